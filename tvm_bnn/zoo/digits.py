"""Where the embedded network for handwritten digits lies, and its test split."""

from __future__ import annotations

from pathlib import Path

DIGITS = Path(__file__).parent / "digits.pt2"
DIGITS_TEST = Path(__file__).parent / "digits_test.npz"
