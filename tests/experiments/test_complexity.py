"""Counts against published ones, each with its source, and by hand."""

import msgspec
import pytest
import torch
from torch import nn

from experiments.architectures.catalog import find_architecture
from experiments.binarizers.catalog import FLOAT, find_binarizer
from experiments.complexity import Complexity, compiled_complexity, complexity

#: Architecture, classes, multiply-accumulates and parameters in float, tolerance, source.
PUBLISHED = [
    ("resnet-18", 1000, 1.814e9, 11_689_512, 1e-3, "torchvision: 1.81 GFLOPS, 11689512 parameters"),
    ("resnet-34", 1000, 3.664e9, 21_797_672, 1e-3, "torchvision: 3.66 GFLOPS, 21797672 parameters"),
    ("resnet-20", 10, 40.6e6, 0.27e6, 2e-2, "He et al., CVPR 2016, table 6: 0.27 M; 40.6 M as usually counted"),
    ("ssd300", 90, 34.858e9, 35.64e6, 1e-3, "torchvision ssd300_vgg16: 34.86 GFLOPS, 35641826 parameters"),
    ("pointnet-vanilla", 40, 148e6, 0.8e6, 4e-2, "Qi et al., CVPR 2017, table 6: 148 M, 0.8 M"),
    ("pointnet", 40, 440e6, 3.5e6, 4e-2, "Qi et al., CVPR 2017, table 6: 440 M, 3.5 M"),
]


@pytest.mark.parametrize(
    ("name", "classes", "macs", "weights", "tolerance"),
    [row[:5] for row in PUBLISHED],
    ids=[f"{row[0]}: {row[5]}" for row in PUBLISHED],
)
def test_float_networks_cost_what_is_published(name, classes, macs, weights, tolerance):
    architecture = find_architecture(name)
    found = complexity(architecture.build(FLOAT, classes=classes), architecture.example_input())
    assert found.macs_total == pytest.approx(macs, rel=tolerance)
    assert found.weights_total == pytest.approx(weights, rel=max(tolerance, 1e-2))
    assert (found.macs_binary, found.weights_binary, found.r_c, found.r_s) == (0, 0, 1, 1)


#: Liu et al., ReActNet, ECCV 2020, table 1: BOPs, FLOPs, OPs.
REACT_NET_TABLE = [
    ("reactnet-a", "react", 4.82e9, 0.12e8, 0.87e8),
    ("bi-real-18", "bireal", 1.68e9, 1.39e8, 1.63e8),
]


@pytest.mark.parametrize(("name", "binarizer", "binary", "real", "operations"), REACT_NET_TABLE)
def test_binary_networks_cost_what_react_nets_table_says(name, binarizer, binary, real, operations):
    architecture = find_architecture(name)
    model = architecture.build(find_binarizer(binarizer), classes=1000)
    found = complexity(model, architecture.example_input())
    assert found.macs_binary == pytest.approx(binary, rel=5e-3)
    assert found.macs_float == pytest.approx(real, rel=1.5e-2)
    assert found.operations == pytest.approx(operations, rel=1e-2)


def test_bert_base_has_the_parameters_of_its_paper():
    # Devlin et al., NAACL 2019: 110 M. Ours lacks the 1,536 of the segment embedding and adds the classifier.
    architecture = find_architecture("bert-base")
    found = sum(p.numel() for p in architecture.make(FLOAT, 2, False).parameters())
    assert found == 109_482_240 - 2 * 768 + 2 * 768 + 2 - 384 * 768


def test_both_ratios_follow_the_papers_formulas():
    found = Complexity(macs_total=6400 + 36, macs_binary=6400, weights_total=320 + 10, weights_binary=320)
    assert found.r_c == pytest.approx(6436 / (100 + 36))
    assert found.r_s == pytest.approx(330 / (10 + 10))
    assert found.operations == 136


def network(binarizer):
    """A real and a binary convolution and a real linear on an 8x8 image: 1,728 + 9,216 + 160 multiply-accumulates."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 3, 3, padding=1, bias=False), binarizer.conv2d(3, 4, 3, stride=2, bias=False)),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 10)),
    )


REAL, BINARY = 8 * 8 * 3 * 9 + 16 * 10, 3 * 3 * 4 * 27


@pytest.mark.parametrize(
    ("name", "products", "extra"),
    [
        ("bnn", 1, 0),
        ("xnor", 1, 3 * 3 * 9),  # the box filter of K
        ("abc", 4, 0),
        ("horq", 2, 0),
        ("ebnn", 2, 3),  # the gate
        ("rbnn", 1, 0),  # rotations are folded into the weights
        ("proxybnn", 1, 0),
        ("fda", 1, 0),  # the noise is gone
    ],
)
def test_products_are_counted_by_hand(name, products, extra):
    binarizer = find_binarizer(name)
    found = complexity(network(binarizer), (torch.randn(1, 1, 8, 8),))
    assert found.macs_binary == products * BINARY
    assert found.products_binary == products
    assert found.macs_float == REAL + extra
    assert found.weights_binary == 108 * (2 if name in {"abc", "ebnn"} else 1)


def test_weights_of_one_bit_save_storage_and_no_computation():
    found = complexity(network(find_binarizer("bwn")), (torch.randn(1, 1, 8, 8),))
    assert (found.macs_binary, found.weights_binary) == (0, 108)
    assert found.r_c == 1
    assert found.r_s == pytest.approx((27 + 108 + 170) / (27 + 108 / 32 + 170))


def test_two_bits_count_for_every_pair_of_them():
    found = complexity(network(find_binarizer("pact2")), (torch.randn(1, 1, 8, 8),))
    assert found.macs_binary == 4 * BINARY
    assert found.weights_binary == 2 * 108


def test_counting_leaves_the_network_as_it_was():
    model = network(find_binarizer("bnn")).train()
    before = msgspec.json.encode([p.tolist() for p in model.parameters()])
    complexity(model, (torch.randn(1, 1, 8, 8),))
    assert model.training
    assert msgspec.json.encode([p.tolist() for p in model.parameters()]) == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_compiled_network_computes_what_theory_says(tmp_path):
    from tvm_bnn.compile.compiler import compile_model

    architecture = find_architecture("vgg-small")
    torch.manual_seed(0)
    model = architecture.build(find_binarizer("bireal"), classes=10, small=True)
    inputs = architecture.example_input(small=True)
    report = compile_model(model.eval(), inputs, output=tmp_path / "network.so", verify=False).report
    theory, compiled = complexity(model, inputs), compiled_complexity(report)
    assert compiled.macs_total == theory.macs_total
    assert compiled.macs_binary == theory.macs_binary
    assert compiled.weights_binary == theory.weights_binary
    assert compiled.r_c == theory.r_c
