"""Detectors of two stages: which regions the second one looks at, and the loss of both (Ren et al., NeurIPS 2015)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from experiments.architectures.architecture import Architecture
from experiments.architectures.boxes.anchors import decode
from experiments.data.dataset import Array
from experiments.metrics.detection import Boxes
from experiments.training.objectives.boxes import centred, corners_of, multibox_loss, survivors

#: Regions of a picture in training: true boxes moved a little for one half, anchors for the other.
_LEARNT = 16
_MOVED = 0.15
#: Proposals that overlap more are one; the paper takes 0.7 and keeps hundreds, here few are kept.
_SAME = 0.5
_CONSIDERED = 256
_MARGIN = 1e-3


def takes_regions(architecture: Architecture) -> bool:
    """Return whether a network is a detector of two stages: its second input is regions."""
    return architecture.task == "detection" and len(architecture.inputs) > 1


def as_input(regions: torch.Tensor) -> torch.Tensor:
    """Return regions, centre and size in shares of the picture, as the network takes them: logits."""
    return torch.logit(regions.clamp(_MARGIN, 1 - _MARGIN)).float()


def learnt_regions(truth: Sequence[Boxes], anchors: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return regions ``(N, 16, 4)`` for the second stage to learn from: near the true boxes, and anywhere.

    They do not depend on what the first stage proposes, so that one pass trains both.
    """
    return torch.stack([_around(boxes, anchors.cpu(), rng) for boxes in truth])


def _around(boxes: Boxes, anchors: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    near = _LEARNT // 2 if len(boxes.labels) else 0
    far = anchors[torch.from_numpy(rng.integers(0, len(anchors), _LEARNT - near))]
    if not near:
        return far
    chosen = centred(torch.from_numpy(boxes.corners).float())[torch.arange(near) % len(boxes.labels)]
    moves = torch.from_numpy(rng.uniform(-_MOVED, _MOVED, (near, 4))).float()
    moved = torch.cat([chosen[:, :2] + moves[:, :2] * chosen[:, 2:], chosen[:, 2:] * (1 + moves[:, 2:])], -1)
    return torch.cat([moved, far])


def two_stage_loss(
    outputs: tuple[torch.Tensor, ...], regions: torch.Tensor, anchors: torch.Tensor, truth: Sequence[Boxes]
) -> torch.Tensor:
    """Return the loss of the proposals plus that of the regions.

    Both have the form of SSD's; for proposals there is one class, whatever it is (Ren et al., eq. 1).

    Parameters
    ----------
    outputs
        Objectness ``(N, anchors, 1)``, offsets ``(N, anchors, 4)``, class logits ``(N, R, classes + 1)`` and offsets
        ``(N, R, 4)``.
    regions
        That the network was given, ``(N, R, 4)``: centre, size.
    anchors, truth
        As for `multibox_loss`.
    """
    objectness, offsets, logits, boxes = outputs
    things = [Boxes(one.corners, np.zeros_like(one.labels), one.scores) for one in truth]
    proposed = torch.cat([torch.zeros_like(objectness), objectness], -1)
    return multibox_loss(offsets, proposed, anchors, things) + multibox_loss(boxes, logits, regions, truth)


def proposals(objectness: Array, offsets: Array, anchors: torch.Tensor, count: int) -> torch.Tensor:
    """Return the regions ``(N, count, 4)`` that a network's first stage thinks most of.

    Those that overlap a better one come last: there are always ``count``.
    """
    boxes = corners_of(decode(torch.from_numpy(offsets), anchors.cpu())).clamp(0, 1)
    best = [_best(one.numpy(), score[:, 0], count) for one, score in zip(boxes, objectness, strict=True)]
    return centred(torch.stack([one[chosen] for one, chosen in zip(boxes, best, strict=True)]))


def _best(corners: Array, scores: Array, count: int) -> Array:
    order = np.argsort(-scores, kind="stable")[: max(count, _CONSIDERED)]
    alive = survivors(corners[order], _SAME)
    return np.concatenate([order[alive], order[~alive]])[:count]


def in_two_stages(call: Callable[..., tuple[Array, ...]], anchors: torch.Tensor) -> Callable[..., tuple[Array, ...]]:
    """Return what runs a network twice: for proposals, and for what those regions hold.

    What it returns are the network's outputs, and the regions behind them.
    """

    def detect(images: torch.Tensor, unknown: torch.Tensor) -> tuple[Array, ...]:
        objectness, offsets, *_ = call(images, unknown)
        regions = proposals(objectness, offsets, anchors, unknown.shape[1])
        return (*call(images, as_input(regions)), regions.numpy())

    return detect
