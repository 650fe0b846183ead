"""Default boxes and what is said relative to them."""

import hypothesis
import pytest
import torch
from hypothesis import strategies

from experiments.architectures.boxes.anchors import decode, encode, grid
from experiments.architectures.boxes.ssd import sizes
from experiments.architectures.catalog import find_architecture
from experiments.binarizers.catalog import FLOAT

SHARE = strategies.floats(0.0625, 1, width=32)
BOX = strategies.tuples(SHARE, SHARE, SHARE, SHARE)


def test_a_grid_goes_along_rows_and_sizes_follow_each_other():
    found = grid(1, 2, [(0.5, 0.25), (1.0, 1.0)])
    assert found.tolist() == [
        [0.25, 0.5, 0.5, 0.25],
        [0.25, 0.5, 1, 1],
        [0.75, 0.5, 0.5, 0.25],
        [0.75, 0.5, 1, 1],
    ]


def test_offsets_by_hand():
    anchor = torch.tensor([[0.5, 0.5, 0.2, 0.4]])
    box = torch.tensor([[0.52, 0.5, 0.2, 0.8]])
    assert encode(box, anchor)[0].tolist() == pytest.approx([1, 0, 0, 0.693147 / 0.2], abs=1e-5)


@hypothesis.given(BOX, BOX)
@hypothesis.settings(deadline=None)
def test_decoding_undoes_encoding(box, anchor):
    boxes, anchors = torch.tensor([box]), torch.tensor([anchor])
    torch.testing.assert_close(decode(encode(boxes, anchors), anchors), boxes, rtol=1e-4, atol=1e-4)


def test_ssd300_has_8732_default_boxes_and_an_output_for_each():
    torch.manual_seed(0)
    architecture = find_architecture("ssd300")
    small = architecture.build(FLOAT, classes=3, small=True)
    offsets, logits = small(*architecture.example_input(2, small=True))
    assert offsets.shape == (2, len(small.anchors), 4)
    assert logits.shape == (2, len(small.anchors), 4)
    assert len(architecture.make(FLOAT, 20, False).anchors) == 8732


def test_boxes_of_a_cell_have_the_areas_and_ratios_of_the_paper():
    six = torch.tensor(sizes(6, 0.2, 0.45))
    assert (six[:, 0] / six[:, 1]).tolist() == pytest.approx([1, 1, 2, 0.5, 3, 1 / 3], rel=1e-5)
    assert six.prod(1).tolist() == pytest.approx([0.04, 0.09, 0.04, 0.04, 0.04, 0.04], rel=1e-5)


def test_a_proposal_network_says_something_of_every_anchor():
    torch.manual_seed(0)
    architecture = find_architecture("faster-rcnn")
    model = architecture.build(FLOAT, classes=3, small=True)
    objectness, offsets, logits, boxes = model(*architecture.example_input(2, small=True))
    assert objectness.shape == (2, len(model.anchors), 1)
    assert offsets.shape == (2, len(model.anchors), 4)
    assert logits.shape == (2, 4, 4)
    assert boxes.shape == (2, 4, 4)
    assert len(architecture.make(FLOAT, 20, False).anchors) == 38 * 38 * 12
