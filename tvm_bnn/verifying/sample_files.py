"""Read inputs to verify on from NumPy's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from schedules.errors import UserError
from tvm_bnn.verifying.samples import Samples
from tvm_bnn.zoo.digits import DIGITS_TEST


def read_samples(path: Path) -> Samples:
    """Read ``.npy`` (one input) or ``.npz`` (arrays in the order of the model's inputs, and perhaps ``labels``).

    Raises
    ------
    UserError
        If the file is missing or something else.
    """
    if not path.is_file():
        raise UserError(f"inputs '{path}': no such file")
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"inputs '{path}' is no .npy or .npz file of plain arrays ({error})") from None
    if isinstance(loaded, np.ndarray):
        return Samples((loaded,), path.name)
    with loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    labels = arrays.pop("labels", None)
    return Samples(tuple(arrays.values()), path.name, labels, tuple(arrays))


def digits_samples() -> Samples:
    """Return the test split of the embedded digits network: 360 images in [0, 1] with their labels."""
    with np.load(DIGITS_TEST) as stored:
        images = (stored["images"] / 16).astype(np.float32)
        return Samples((images,), "test digits", stored["labels"])
