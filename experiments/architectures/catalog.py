"""The architectures of the benchmark, in one table."""

from __future__ import annotations

from experiments.architectures import bert, fsmn, matting, point_net
from experiments.architectures.architecture import Architecture
from experiments.architectures.boxes import faster_rcnn, ssd
from experiments.architectures.pictures import bi_real_net, quick_net, react_net, resnet, vgg_small
from schedules.errors import UserError

ARCHITECTURES: tuple[Architecture, ...] = (
    *resnet.ARCHITECTURES,
    *vgg_small.ARCHITECTURES,
    *bi_real_net.ARCHITECTURES,
    *react_net.ARCHITECTURES,
    *quick_net.ARCHITECTURES,
    *ssd.ARCHITECTURES,
    *faster_rcnn.ARCHITECTURES,
    *point_net.ARCHITECTURES,
    *bert.ARCHITECTURES,
    *fsmn.ARCHITECTURES,
    *matting.ARCHITECTURES,
)


def find_architecture(name: str) -> Architecture:
    """Return the architecture of that name.

    Raises
    ------
    UserError
        If there is none.
    """
    for architecture in ARCHITECTURES:
        if architecture.name == name:
            return architecture
    known = ", ".join(architecture.name for architecture in ARCHITECTURES)
    raise UserError(f"architecture '{name}': not known; there are {known}")
