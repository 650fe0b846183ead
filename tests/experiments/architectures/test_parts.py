"""Parts of architectures with numbers of their own: aggregation of points, alignment of regions, the sparse mask."""

import pytest
import torch

from experiments.architectures.boxes.faster_rcnn import RegionAlign, hat
from experiments.architectures.matting import ConvGRU, uncertain
from experiments.architectures.point_net import EntropyMaximum, entropy_shift
from experiments.binarizers.catalog import FLOAT, find_binarizer


@pytest.mark.parametrize(("points", "shift"), [(1024, 3.2041), (4096, 3.5836)])
def test_the_shift_of_the_maximum_is_bi_point_nets(points, shift):
    assert entropy_shift(points) == pytest.approx(shift, abs=1e-3)


def test_half_of_the_signs_behind_the_aggregation_are_positive():
    x = torch.randn(1000, 50, 64, generator=torch.Generator().manual_seed(0))
    assert float((EntropyMaximum(True)(x) > 0).float().mean()) == pytest.approx(0.5, abs=0.01)
    assert bool((EntropyMaximum(False)(x) == x.amax(2)).all())


def test_interpolation_weights_sum_to_one():
    low, high = torch.tensor([[0.1, -0.5]]), torch.tensor([[0.7, 0.2]])
    torch.testing.assert_close(hat(low, high, 8, 7).sum(-1), torch.ones(1, 2, 7))


def test_a_region_that_is_the_image_is_sampled_where_its_pixels_are():
    features = torch.arange(49.0).view(1, 1, 7, 7)
    whole = torch.tensor([[[0.5, 0.5, 1.0, 1.0]]])
    torch.testing.assert_close(RegionAlign()(features, whole), features)


def test_a_region_reads_its_own_part_of_the_image():
    features = torch.zeros(1, 1, 14, 14)
    features[..., 7:, :7] = 1  # below, left
    corners = torch.tensor([[[0.25, 0.75, 0.4, 0.4], [0.75, 0.25, 0.4, 0.4]]])
    found = RegionAlign()(features, corners)
    assert found[0].unique().tolist() == [1]
    assert found[1].unique().tolist() == [0]


def test_the_mask_is_where_a_matte_changes():
    alpha = -torch.ones(1, 1, 8, 8)
    alpha[..., 4:] = 1
    mask = uncertain(alpha)
    assert mask.unique().tolist() == [0, 1]
    assert mask[0, 0, 0].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("binarizer", [FLOAT, find_binarizer("bnn")], ids=lambda binarizer: binarizer.name)
def test_a_recurrent_unit_remembers_earlier_frames_and_no_later_ones(binarizer):
    torch.manual_seed(0)
    unit = ConvGRU(binarizer, 4)
    frames = torch.randn(1, 3, 4, 5, 5)
    changed = frames.clone()
    changed[:, 1] = torch.randn(1, 4, 5, 5)
    with torch.no_grad():
        one, two = unit(frames), unit(changed)
    assert torch.equal(one[:, 0], two[:, 0])
    assert not torch.equal(one[:, 1], two[:, 1])
    assert not torch.equal(one[:, 2], two[:, 2])
