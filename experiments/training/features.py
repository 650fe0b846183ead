"""From raw samples to the tensors that a network takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch

from experiments.architectures.architecture import Architecture, InputSpec
from experiments.data.dataset import Array, Dataset
from experiments.data.reading.vocabulary import PADDING

Features: TypeAlias = Callable[[Array], tuple[torch.Tensor, ...]]
"""Takes a batch of raw inputs as :class:`Dataset` has them, and returns what the network is called with."""
_MEAN, _DEVIATION = 0.5, 0.25
_BT601 = torch.tensor([0.299, 0.587, 0.114])
_RGB = 3
_LOWEST_HZ, _LOUDNESS_FLOOR = 60.0, 1e-5
#: Log-mel energies of speech lie about here; the network's first norm does the rest.
_LOG_MEAN, _LOG_DEVIATION = -4.0, 3.0


def features_for(architecture: Architecture, dataset: Dataset, small: bool) -> Features:
    """Return what prepares a data set's samples for an architecture."""
    specs = architecture.small_inputs if small else architecture.inputs
    kinds: dict[str, Callable[[Array, InputSpec], torch.Tensor]] = {
        "image": _pictures,
        "detection": _pictures,
        "matting": _pictures,
        "points": _clouds,
        "text": _sentences,
        "audio": functools.partial(_spectrograms, rate=dataset.rate),
    }
    first = kinds[dataset.task]

    def prepare(raw: Array) -> tuple[torch.Tensor, ...]:
        return (first(raw, specs[0]), *(_further(raw, spec) for spec in specs[1:]))

    return prepare


def _pictures(raw: Array, spec: InputSpec) -> torch.Tensor:
    """Return ``(N, …, C, H, W)`` about zero, of as many channels as the network takes."""
    values = torch.from_numpy(np.ascontiguousarray(raw)).float().div_(255).sub_(_MEAN).div_(_DEVIATION)
    channels = spec.shape[-3]
    if channels == 1 and values.shape[-1] == _RGB:
        values = (values * _BT601).sum(-1, keepdim=True)
    return values.expand(*values.shape[:-1], channels).movedim(-1, -3).contiguous()


def _clouds(raw: Array, spec: InputSpec) -> torch.Tensor:
    """Return clouds as ``(N, 3, P)`` or ``(N, P, 3)``, as the network takes them."""
    values = torch.from_numpy(np.ascontiguousarray(raw, np.float32))
    return values if spec.shape[-1] == values.shape[-1] else values.transpose(1, 2).contiguous()


def _sentences(raw: Array, _spec: InputSpec) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(raw, np.int64))


def _further(raw: Array, spec: InputSpec) -> torch.Tensor:
    """Return a second input: which words are there, of sentences; the state of a recurrent layer is zero at first."""
    if raw.dtype == np.int64:
        present = torch.from_numpy(raw != PADDING)
        return present.long() if spec.vocabulary else present.float()
    return torch.zeros(len(raw), *spec.shape)


def _spectrograms(raw: Array, spec: InputSpec, rate: int) -> torch.Tensor:
    """Return log-mel spectrograms, ``(N, …, mels, frames)``, of waves ``(N, T)``."""
    mels, frames = spec.shape[-2:]
    waves = torch.from_numpy(np.ascontiguousarray(raw, np.float32))
    hop = waves.shape[1] // frames
    size = 1 << int(np.ceil(np.log2(2 * hop)))
    spectrum = torch.stft(waves, size, hop, window=torch.hann_window(size), return_complex=True).abs()[..., :frames]
    energies = torch.from_numpy(mel_filters(mels, size, rate)) @ spectrum
    made = (energies.add(_LOUDNESS_FLOOR).log() - _LOG_MEAN) / _LOG_DEVIATION
    return made.reshape(len(raw), *spec.shape)


@functools.cache
def mel_filters(mels: int, size: int, rate: int) -> Array:
    """Return triangles, ``(mels, size / 2 + 1)`` float32: equally wide on the mel scale (O'Shaughnessy, 1987)."""

    def mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    edges = 700 * (10 ** (np.linspace(mel(_LOWEST_HZ), mel(rate / 2), mels + 2) / 2595) - 1)
    bins = np.linspace(0, rate / 2, size // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32) / np.float32(size / 4)


def augmented(raw: Array, dataset: Dataset, rng: np.random.Generator) -> Array:
    """Return training samples that are as likely as these.

    Pictures move by up to an eighth and are mirrored, where a mirror image is as good; waves move by up to a tenth.
    """
    if dataset.task == "image":
        return _moved(raw, rng, dataset.mirrored)
    if dataset.task == "audio":
        steps = rng.integers(-raw.shape[1] // 10, raw.shape[1] // 10 + 1, len(raw))
        return np.stack([np.roll(wave, step) for wave, step in zip(raw, steps, strict=True)])
    return raw


def _moved(images: Array, rng: np.random.Generator, mirror: bool) -> Array:
    reach = images.shape[1] // 8
    wide = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    height, width = images.shape[1:3]
    corners = rng.integers(0, 2 * reach + 1, (len(images), 2))
    flips = rng.random(len(images)) < (0.5 if mirror else 0.0)

    def cut(number: int) -> Array:
        top, left = corners[number]
        piece = wide[number, top : top + height, left : left + width]
        return piece[:, ::-1] if flips[number] else piece

    return np.stack([cut(number) for number in range(len(images))])
