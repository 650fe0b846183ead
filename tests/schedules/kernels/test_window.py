import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schedules.kernels import reference
from schedules.kernels.binary.border import border_table
from schedules.kernels.window import Axis, Window


@st.composite
def axes(draw):
    size, kernel = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    dilation, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    before, after = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    axis = Axis(size, kernel, stride, before, after, dilation)
    return axis if axis.out > 0 else Axis(size + dilation * kernel, kernel, stride, before, after, dilation)


@given(axes())
def test_every_output_position_has_the_valid_taps_of_its_border_class(axis):
    valid = axis.valid_taps()
    of_class = valid[axis.class_positions()]
    assert len(of_class) == axis.border_classes
    for position in range(axis.out):
        np.testing.assert_array_equal(of_class[border_class(axis, position)], valid[position])


def border_class(axis, position):
    """The integer arithmetic that the kernels do."""
    if axis.clipped is None:
        return position
    lead, trail = axis.clipped
    return min(position, lead) + max(0, position - (axis.out - 1 - trail))


def test_a_3x3_window_has_nine_kinds_of_position():
    vertical, horizontal = Window((3, 3), padding=(1, 1, 1, 1)).axes(8, 8)
    assert (vertical.border_classes, horizontal.border_classes) == (3, 3)


def test_an_image_smaller_than_the_window_gives_every_position_its_own_class():
    axis = Axis(size=2, kernel=5, stride=1, before=2, after=2, dilation=1)
    assert axis.clipped is None
    assert axis.border_classes == 2


WINDOWS = [
    Window((3, 3), padding=(1, 1, 1, 1)),
    Window((3, 3), (2, 2), (1, 1, 1, 1)),
    Window((5, 5), (1, 2), (2, 2, 2, 2)),
    Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2)),
    Window((1, 1)),
    Window((2, 3), (3, 1), (0, 1, 0, 1)),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_the_reference_convolution_is_pytorchs(window, groups):
    rng = np.random.default_rng(0)
    x = rng.choice([-1, 1], (2, 7, 9, 4)).astype(np.float32)
    weight = rng.choice([-1, 1], (6, *window.kernel, 4 // groups)).astype(np.float32)
    top, left, _, _ = window.padding
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2),
        torch.from_numpy(weight).permute(0, 3, 1, 2),
        stride=window.strides,
        padding=(top, left),
        dilation=window.dilation,
        groups=groups,
    )
    np.testing.assert_array_equal(reference.conv2d(x, weight, window, groups), expected.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_the_border_table_makes_padding_contribute_nothing(window):
    rng = np.random.default_rng(1)
    x, weight = rng.choice([-1, 1], (1, 7, 9, 5)), rng.choice([-1, 1], (3, *window.kernel, 5))
    table = border_table(weight, window, 7, 9)
    top, left, bottom, right = window.padding
    # Padding as the packed kernels see it: words of zero bits, that is of -1.
    minus_ones = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=-1)
    unpadded = Window(window.kernel, window.strides, (0, 0, 0, 0), window.dilation)
    taps = window.kernel[0] * window.kernel[1] * 5
    mismatches = (taps - reference.conv2d(minus_ones, weight, unpadded)) // 2
    vertical, horizontal = window.axes(7, 9)
    rows = [border_class(vertical, i) for i in range(vertical.out)]
    columns = [border_class(horizontal, j) for j in range(horizontal.out)]
    dot = table[np.ix_(rows, columns)][None] - 2 * mismatches
    np.testing.assert_array_equal(dot, reference.conv2d(x, weight, window))
