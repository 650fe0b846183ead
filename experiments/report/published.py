"""Published figures, to be shown beside ours where the two can be compared; each with its source."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """One figure of a paper."""

    method: str
    network: str
    data: str
    figure: str
    source: str


_IMAGENET = ("ResNet-18", "ImageNet, top-1")
PUBLISHED = (
    Published("Bi-Real Net", *_IMAGENET, "56.4 %", "Liu et al., ECCV 2018"),
    Published("XNOR-Net++", *_IMAGENET, "57.1 %", "Bulat & Tzimiropoulos, BMVC 2019"),
    Published("PCNN", *_IMAGENET, "57.3 %", "Gu et al., AAAI 2019"),
    Published("IR-Net", *_IMAGENET, "58.1 %", "Qin et al., CVPR 2020"),
    Published("BONN", *_IMAGENET, "58.3 %", "Gu et al., ICCV 2019"),
    Published("Si-BNN", *_IMAGENET, "59.7 %", "Wang et al., AAAI 2020"),
    Published("DIR-Net", *_IMAGENET, "60.4 %", "Qin et al., IJCV 2023"),
    Published("Real-to-Bin", *_IMAGENET, "65.4 %", "Martinez et al., ICLR 2020"),
    Published("ReActNet", *_IMAGENET, "65.9 %", "Liu et al., ECCV 2020"),
    Published(
        "BiPointNet", "PointNet", "ModelNet40", "86.4 % (float 88.2 %, XNOR-Net 64.9 %)", "Qin et al., ICLR 2021"
    ),
    Published("BiFSMN", "D-FSMN", "Speech Commands, 12", "95.03 % (float 97.93 %)", "Qin et al., IJCAI 2022"),
    Published("BiFSMN", "D-FSMN", "speed on ARMv8, size", "22.3x faster, 15.5x smaller", "Qin et al., IJCAI 2022"),
    Published(
        "DIR-Net", "ResNet-18", "Raspberry Pi", "1,419 ms float → 262 ms; 46.8 → 4.2 MB", "Qin et al., IJCV 2023"
    ),
    Published(
        "BiMatting",
        "matting, 512x288",
        "operations, size",
        "0.37 GFLOPs, 0.67 MB (float 4.57, 14.5)",
        "Qin et al., 2023",
    ),
)
