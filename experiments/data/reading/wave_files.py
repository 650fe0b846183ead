"""Recordings: wav files as waves of one length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from experiments.data.dataset import Array
from schedules.errors import UserError

_DIMENSIONS_OF_STEREO = 2


def read_wave(path: Path) -> tuple[Array, int]:
    """Return a recording as ``(T,)`` float32 in [-1, 1], channels averaged, and its rate.

    Raises
    ------
    UserError
        If it is no wav file of integers or floats.
    """
    try:
        rate, values = wavfile.read(path)
    except (ValueError, EOFError) as error:
        raise UserError(f"recording '{path}': no wav file that can be read ({error})") from None
    wave = values.astype(np.float32)
    if values.dtype == np.uint8:
        wave = (wave - 128) / 128
    elif values.dtype.kind == "i":
        wave = wave / -float(np.iinfo(values.dtype).min)
    return wave.mean(axis=1) if wave.ndim == _DIMENSIONS_OF_STEREO else wave, int(rate)


def waves(seconds: float, rate: int) -> Callable[[Path], Array]:
    """Return a function that reads recordings as so many seconds, cut or filled up with silence.

    Raises
    ------
    UserError
        If a recording has another rate.
    """

    def read(path: Path) -> Array:
        wave, found = read_wave(path)
        if found != rate:
            raise UserError(f"recording '{path}': {found} samples a second, not {rate}")
        return fitted(wave, round(seconds * rate))

    return read


def fitted(wave: Array, length: int) -> Array:
    """Return a wave of that length, cut or filled up with silence."""
    return np.pad(wave[:length], (0, max(0, length - len(wave))))
