"""The metric of each task, in percent, so that a ratio to full precision means the same everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
PERCENT = 100.0


def accuracy(labels: Array, predicted: Array) -> float:
    """Return the share of right predictions; both are ``(N,)`` integers."""
    from sklearn.metrics import accuracy_score

    return PERCENT * float(accuracy_score(labels, predicted))


def matthews(labels: Array, predicted: Array) -> float:
    """Return Matthews' correlation, GLUE's metric for CoLA, of ``(N,)`` integers."""
    from sklearn.metrics import matthews_corrcoef

    return PERCENT * float(matthews_corrcoef(labels, predicted))


def f1(labels: Array, predicted: Array) -> float:
    """Return F1 of class 1, GLUE's metric for MRPC and QQP, of ``(N,)`` integers."""
    from sklearn.metrics import f1_score

    return PERCENT * float(f1_score(labels, predicted))


def spearman(targets: Array, predicted: Array) -> float:
    """Return Spearman's rank correlation, GLUE's metric for STS-B, of ``(N,)`` floats."""
    from scipy.stats import spearmanr

    return PERCENT * float(spearmanr(targets, predicted).statistic)


def mean_iou(labels: Array, predicted: Array, classes: int) -> float:
    """Return the mean intersection over union of the classes that occur, of integers of the same shape."""
    from sklearn.metrics import jaccard_score

    return PERCENT * float(
        jaccard_score(labels.ravel(), predicted.ravel(), labels=_occurring(labels, predicted, classes), average="macro")
    )


def mean_absolute_difference(alpha: Array, predicted: Array) -> float:
    """Return the mean |difference| of mattes in [0, 1], in thousandths as the matting literature has it."""
    return 1e3 * float(np.abs(alpha.astype(np.float64) - predicted.astype(np.float64)).mean())


def matting_score(alpha: Array, predicted: Array) -> float:
    """Return 100·(1 − mean |difference|): a score for which more is better, as the overall metrics want it."""
    return PERCENT * (1 - mean_absolute_difference(alpha, predicted) / 1e3)


def _occurring(labels: Array, predicted: Array, classes: int) -> list[int]:
    present = np.bincount(labels.ravel(), minlength=classes) + np.bincount(predicted.ravel(), minlength=classes)
    return [int(index) for index in np.flatnonzero(present)]
