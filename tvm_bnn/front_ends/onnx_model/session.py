"""ONNX Runtime, the way it is used here: on the CPU, on one thread."""

from __future__ import annotations

from typing import Any

import onnxruntime

from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line

_ERRORS_ONLY = 3


def session_of(model: Any, optimize: bool) -> Any:
    """Prepare to run a model.

    Parameters
    ----------
    model
        Of standard operators.
    optimize
        Whether nodes may be fused and reordered, which is fast; otherwise they run one by one, as they are written.

    Raises
    ------
    UserError
        If ONNX Runtime refuses it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UserError(
            f"ONNX Runtime {onnxruntime.__version__}, which the compiled model is held against, refuses the model: "
            f"{first_line(error)}"
        ) from error
