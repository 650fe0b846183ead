"""What reports say about a comparison: how many samples agree, are explained or excused, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what reports are made of imports TVM; printing them does not need to
    from tvm_bnn.verifying.parity import Parity
    from tvm_bnn.verifying.trouble_report import Trouble


def exact_text(parity: Parity) -> str:
    """Return the line about a model whose outputs have to agree."""
    shares = [f"{parity.agreeing} of {parity.samples} samples ({parity.inputs}) within {parity.tolerance:.2g} of "]
    shares[0] += parity.framework
    if parity.explained:
        shares.append(f"{parity.explained} once it decides {parity.near_ties} near ties as here")
    if parity.excused:
        shares.append(f"{parity.excused} [yellow]{_excuse(parity)}[/]")
    shares += [f"max |Δ| {parity.max_difference:.2g}", f"executed {parity.executed}"]
    return ", ".join(shares) + _prediction_text(parity)


def _excuse(parity: Parity) -> str:
    """Return by what samples are excused that neither agree nor are explained, if they are."""
    if not parity.passed:
        return "wrong"
    doubtful = 0 if parity.yardstick_agreeing is None else parity.samples - parity.yardstick_agreeing
    if doubtful:
        return f"excused: its own float64 disagrees on {doubtful}, {parity.most_differing} may"
    return f"excused: rounding decides, {parity.most_differing} may"


def inexact_text(parity: Parity, precision: str) -> str:
    """Return the line about a model that is inexact by choice."""
    return (
        f"[yellow]not exact, by choice[/] (float layers in {precision}): relative L2 error "
        f"{parity.relative_error:.2g} to {parity.framework} on {parity.samples} samples ({parity.inputs}), "
        f"max |Δ| {parity.max_difference:.2g}, executed {parity.executed}" + _prediction_text(parity)
    )


def _prediction_text(parity: Parity) -> str:
    return "" if parity.argmax_agreement is None else f"; same prediction for {parity.argmax_agreement:.2%}"


def trouble_text(trouble: Trouble) -> str:
    """Return the line about samples that look for trouble."""
    right = len(trouble.tried) - len(trouble.failed) - len(trouble.undecided)
    parts = [f"{right} of {len(trouble.tried)} kinds of inputs agree: {', '.join(trouble.tried)}"]
    parts += [f"WRONG on {'; '.join(trouble.failed)}"] if trouble.failed else []
    parts += [f"rounding decides on {', '.join(trouble.undecided)}"] if trouble.undecided else []
    parts += [f"not taken: {', '.join(trouble.not_taken)}"] if trouble.not_taken else []
    return "; ".join(parts)


def not_finite_text(trouble: Trouble) -> str:
    """Return the note about inputs that are not finite; empty if both answer alike."""
    if not trouble.not_finite:
        return ""
    inputs = f"inputs with {' or '.join(trouble.not_finite)}"
    return f"to {inputs}, answers numbers where the reference has none, or the reverse"
