"""Which layers can average every two rows and columns of their result before any of it is written."""

from __future__ import annotations

from collections.abc import Iterable

from relay_passes.dialect import shape_of
from relay_passes.rewrite import Expr, op_name
from schedules.kernels.binary.bitpack import channels_a_word

#: Layers whose kernels have the results of two rows at hand.
_ANCHORS = frozenset({"relax.bnn.packed_conv2d", "relax.bnn.blocked_conv2d"})
#: Of the window: every two rows and columns, none of them twice, none left out in between.
_WINDOW = {"pool_size": [2, 2], "strides": [2, 2], "dilation": [1, 1], "padding": [0, 0, 0, 0]}


def is_mean_of_halves(value: Expr) -> bool:
    """Tell whether a value is the mean of every two rows and columns of an image, all of them."""
    if op_name(value) != "relax.nn.avg_pool2d" or str(value.attrs.layout) != "NHWC":
        return False
    window = {name: [int(extent) for extent in getattr(value.attrs, name)] for name in _WINDOW}
    _, height, width, _ = shape_of(value.args[0])
    return window == _WINDOW and height % 2 == width % 2 == 0


def can_pool(anchor: Expr, packs: Iterable[Expr]) -> bool:
    """Tell whether the kernel of a layer can pool and pack its result: its vectors and words are all whole."""
    if op_name(anchor) not in _ANCHORS:
        return False
    blocks, *_, lanes = shape_of(anchor.args[1])
    return blocks * lanes == shape_of(anchor)[-1] and all(map(_fills_words, packs))


def _fills_words(pack: Expr) -> bool:
    word_bits, groups = (int(pack.attrs[name]) for name in ("word_bits", "groups"))
    return channels_a_word(shape_of(pack.args[0])[-1] // groups, word_bits) is not None
