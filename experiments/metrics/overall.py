"""BiBench's overall metrics: quadratic means of ratios to full precision, one function each with its equation.

Qin et al., *BiBench: Benchmarking and Analyzing Network Binarization*, ICML 2023, arXiv 2301.11233, section 3. ``E`` is
the mean over whatever a track averages inside one dimension: architectures of a task, severities of a corruption, or
chips. A hat or ``bi`` marks the binarized network. More is better in every one of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev

#: A machine word's worth of binary multiply-accumulates costs one float one; a float weight stores so many binary ones.
BINARY_MACS_PER_FLOAT, BINARY_WEIGHTS_PER_FLOAT = 64, 32
KINDS = ("cnn", "transformer", "mlp")


def quadratic_mean(values: Sequence[float]) -> float:
    """Return √(mean of squares).

    Raises
    ------
    ValueError
        If there are no values, or one is no finite number.
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"a quadratic mean needs finite numbers, got {list(values)}")
    return math.sqrt(fmean(value * value for value in values))


def om_task(ratios: Mapping[str, Sequence[float]]) -> float:
    """Return OM_task = √(1/N Σᵢ E²(Aᵢᵇⁱ / Aᵢ)) over the N tasks.

    Parameters
    ----------
    ratios
        For each task, accuracy over full-precision accuracy of each architecture.
    """
    return quadratic_mean([fmean(values) for values in ratios.values()])


def om_arch(ratios: Mapping[str, Sequence[float]]) -> float:
    """Return OM_arch = √(⅓ (E²(A_CNNᵇⁱ/A_CNN) + E²(A_Transᵇⁱ/A_Trans) + E²(A_MLPᵇⁱ/A_MLP))).

    Parameters
    ----------
    ratios
        For ``cnn``, ``transformer`` and ``mlp``, accuracy over full-precision accuracy of each architecture.

    Raises
    ------
    ValueError
        If one of the three is missing.
    """
    if set(ratios) != set(KINDS):
        raise ValueError(f"OM_arch is over {', '.join(KINDS)}; got {', '.join(sorted(ratios)) or 'none'}")
    return quadratic_mean([fmean(ratios[kind]) for kind in KINDS])


def om_robust(gaps: Mapping[str, Sequence[tuple[float, float]]]) -> float:
    """Return OM_robust = √(1/C Σ_c E²(G_c / G_cᵇⁱ)) over the C corruptions, G = clean − corrupted accuracy.

    Parameters
    ----------
    gaps
        For each corruption, pairs of the full-precision and the binarized network's gap.

    Raises
    ------
    ValueError
        If a binarized network's gap is not positive: a ratio to it would mean nothing.
    """
    for kind, pairs in gaps.items():
        if any(binary <= 0 for _, binary in pairs):
            raise ValueError(f"corruption '{kind}' does not lower the binarized network's accuracy")
    return quadratic_mean([fmean(full / binary for full, binary in pairs) for pairs in gaps.values()])


def om_train(
    seconds: Sequence[tuple[float, float]], accuracies: Sequence[tuple[Sequence[float], Sequence[float]]]
) -> float:
    """Return OM_train = √(½ (E²(T_train/T_trainᵇⁱ) + E²(std(A_hyper)/std(A_hyperᵇⁱ)))).

    Parameters
    ----------
    seconds
        Pairs of the full-precision and the binarized network's training time.
    accuracies
        Pairs of the accuracies that they reach over the same choices of hyper-parameters.

    Raises
    ------
    ValueError
        If the binarized network's accuracy is the same for every choice.
    """
    spreads = [(pstdev(full), pstdev(binary)) for full, binary in accuracies]
    if any(binary == 0 for _, binary in spreads):
        raise ValueError("the binarized network's accuracy does not depend on its hyper-parameters")
    return quadratic_mean([fmean(full / binary for full, binary in pairs) for pairs in (seconds, spreads)])


def compression(total: float, full: float, ratio: int) -> float:
    """Return |M| / ((|M| − |M̂|)/ratio + |M̂|): how many times less there is to compute, or to store.

    Parameters
    ----------
    total
        Multiply-accumulates, or weights.
    full
        Those that stay in full precision.
    ratio
        64 for what is computed (r_c), 32 for what is stored (r_s).

    Raises
    ------
    ValueError
        If more stays in full precision than there is.
    """
    if not 0 <= full <= total or total == 0:
        raise ValueError(f"{full} of {total} in full precision: between none and all of something is possible")
    return total / ((total - full) / ratio + full)


def om_comp(r_c: Sequence[float], r_s: Sequence[float]) -> float:
    """Return OM_comp = √(½ (E²(r_c) + E²(r_s))), the means over architectures."""
    return quadratic_mean([fmean(r_c), fmean(r_s)])


def om_infer(times: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]]) -> float:
    """Return OM_infer = √(½ (E²(T_infer/T_inferᵇⁱ) + E²(S_infer/S_inferᵇⁱ))).

    Parameters
    ----------
    times, sizes
        Pairs of the full-precision and the binarized network's latency, and of what they store, over devices and
        architectures.
    """
    return quadratic_mean([fmean(full / binary for full, binary in pairs) for pairs in (times, sizes)])
