"""Networks of the product compile, run every binary product on bits, and agree with PyTorch."""

import pytest

from experiments.architectures.catalog import ARCHITECTURES, find_architecture
from experiments.binarizers.catalog import BINARIZERS, find_binarizer
from experiments.parity.cell import run_cell

#: One for each task, with methods that between them have every kind of scale and of activation.
A_HANDFUL = [
    ("resnet-20", "xnor"),
    ("vgg-small", "dorefa"),
    ("ssd300", "recu"),
    ("pointnet-vanilla", "xnor++"),
    ("bert-tiny", "bireal"),
    ("dfsmn", "react"),
    ("reactnet-a", "pact2"),
]


def check(architecture, binarizer, small):
    cell = run_cell(architecture, binarizer, small=small, target="native")
    assert cell.message == ""
    assert cell.on_bits == cell.there
    # The compiler's own check passed, which allows for samples that PyTorch's float64 does not agree on either.
    assert cell.samples == 16


@pytest.mark.parametrize(("architecture", "binarizer"), A_HANDFUL)
def test_a_network_compiles_and_agrees(architecture, binarizer):
    check(find_architecture(architecture), find_binarizer(binarizer), small=True)


@pytest.mark.slow
@pytest.mark.parametrize("binarizer", BINARIZERS, ids=lambda binarizer: binarizer.name)
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_the_whole_product_compiles_and_agrees(architecture, binarizer):
    check(architecture, binarizer, small=True)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_full_sizes_compile_and_agree(architecture):
    check(architecture, find_binarizer("react"), small=False)


def test_what_stops_the_compiler_is_the_cells_message():
    cell = run_cell(find_architecture("resnet-20"), find_binarizer("float"), small=True, target="native")
    assert cell.message.startswith("UserError: model")
    assert "has no binary layer" in cell.message
    assert not cell.is_right
