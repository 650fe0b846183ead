"""What is said of a compiled model that disagrees with its reference, in one line."""

from __future__ import annotations

from tvm_bnn.verifying.parity import MOST_RELATIVE_ERROR, Parity
from tvm_bnn.verifying.trouble_report import Trouble


def disagreement(parity: Parity, trouble: Trouble) -> str:
    """Return what disagrees; empty if the compiled model may be called the same model."""
    if parity.broken:
        return f"{parity.broken} of {parity.samples} samples have outputs that are not finite; {parity.framework}'s are"
    if not parity.passed and not parity.exact:
        return (
            f"float layers on narrow numbers are not exact by choice, but a relative L2 error of "
            f"{parity.relative_error:.2g} to {parity.framework} is beyond {MOST_RELATIVE_ERROR:g}"
        )
    if not parity.passed:
        text = (
            f"only {parity.right} of {parity.samples} samples agree with {parity.framework} within "
            f"{parity.tolerance:.2g} (max |Δ| {parity.max_difference:.3g})"
        )
        return f"{text}, and no rounding explains {parity.inexcusable} of the others" if parity.inexcusable else text
    if trouble.failed:
        return f"disagrees with {parity.framework} on inputs that are {'; '.join(trouble.failed)}"
    return ""


def refusal(found: str, parity: Parity, trouble: Trouble) -> str:
    """Return the error for what :func:`disagreement` found, with what the user can do."""
    if not parity.exact:
        return (
            f"parity: {found}; no artifact written; --float-layers fp32 is exact, --accept-unverified writes it all "
            "the same, and says so wherever it is shown"
        )
    advice = "--accept-unverified writes it all the same, and says so wherever it is shown"
    if parity.broken or trouble.broken:
        advice = "--no-verify writes it unchecked"
    elif parity.passed and any("exact zero" in text for text in trouble.failed):
        advice = f"--sign-zero plus or minus settles what the sign of zero is, for both; {advice}"
    return f"parity: {found}; no artifact written; {advice}"
