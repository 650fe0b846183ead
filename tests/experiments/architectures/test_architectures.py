"""Every architecture builds with any binarizer, trains a step, and has its float twin from the same code."""

import pytest
import torch
from torch import nn

from experiments.architectures.calibration import calibrate, draw_offsets
from experiments.architectures.catalog import ARCHITECTURES, find_architecture
from experiments.binarizers.catalog import BINARIZERS, FLOAT, find_binarizer
from experiments.binarizers.parts.layer import BinaryLayer, BinaryMatmul
from schedules.errors import UserError

EVERY = pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
#: Parameters without influence on any output, as only a loss on the outputs' sign could train them.
NO_GRADIENT = {"bimatting": {"coarse"}}


def build(architecture, binarizer, seed=0):
    torch.manual_seed(seed)
    return architecture.build(binarizer, classes=7, small=True)


def outputs(model, inputs):
    found = model(*inputs)
    return found if isinstance(found, tuple) else (found,)


def test_names_are_unique_and_kinds_are_all_there():
    assert len({architecture.name for architecture in ARCHITECTURES}) == len(ARCHITECTURES)
    assert {architecture.kind for architecture in ARCHITECTURES} == {"cnn", "transformer", "mlp"}
    tasks = {architecture.task for architecture in ARCHITECTURES}
    assert tasks == {"image", "detection", "points", "text", "audio", "matting"}


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r"^architecture 'resnet18': not known; there are resnet-18, "):
        find_architecture("resnet18")


@EVERY
def test_the_small_size_runs_and_passes_gradients(architecture):
    model = build(architecture, find_binarizer("bireal"))
    found = outputs(model, architecture.example_input(3, small=True))
    assert all(output.isfinite().all() and len(output) == 3 for output in found)
    sum(output.square().sum() for output in found).backward()
    missing = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert missing <= NO_GRADIENT.get(architecture.name, set())


@EVERY
def test_the_first_and_the_last_layer_are_real(architecture):
    model = build(architecture, find_binarizer("bnn"))
    layers = [
        module
        for module in model.modules()
        if isinstance(module, BinaryLayer | nn.Conv1d | nn.Conv2d | nn.Linear | nn.Embedding)
    ]
    assert not isinstance(layers[0], BinaryLayer)
    assert not isinstance(layers[-1], BinaryLayer)
    assert any(isinstance(layer, BinaryLayer) for layer in layers)


@EVERY
def test_the_float_twin_has_the_same_layers_and_none_of_them_binary(architecture):
    twin, binary = build(architecture, FLOAT), build(architecture, find_binarizer("bnn"))
    assert not any(isinstance(module, BinaryLayer) for module in twin.modules())
    shapes = [sorted(tuple(p.shape) for p in model.parameters() if p.dim() > 1) for model in (twin, binary)]
    assert shapes[0] == shapes[1]


@EVERY
def test_a_seed_gives_the_same_network_and_the_same_inputs(architecture):
    some, other = (build(architecture, find_binarizer("xnor++"), seed=4).eval() for _ in range(2))
    inputs = [architecture.example_input(2, small=True) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*inputs, strict=True))
    with torch.no_grad():
        pairs = zip(outputs(some, inputs[0]), outputs(other, inputs[1]), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("binarizer", BINARIZERS, ids=lambda binarizer: binarizer.name)
@pytest.mark.parametrize("name", ["bi-real-18", "bert-tiny", "dfsmn", "pointnet-vanilla"])
def test_any_binarizer_fits(name, binarizer):
    architecture = find_architecture(name)
    model = build(architecture, binarizer).eval()
    logits = model(*architecture.example_input(2, small=True))
    assert logits.shape == (2, 7)
    # The weights after a step of training are loaded again, learned scales of an output's size among them.
    other = build(architecture, binarizer, seed=1).eval()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(*architecture.example_input(2, small=True)), logits)


def test_calibration_fits_norms_to_what_reaches_them_and_keeps_their_momentum():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=0.2)).train()
    batches = [(3 * torch.randn(16, 1, 8, 8) + 1,) for _ in range(4)]
    calibrate(model, batches)
    assert not model.training
    assert model[1].momentum == 0.2
    with torch.no_grad():
        normalised = model(torch.cat([batch[0] for batch in batches]))
    assert normalised.mean((0, 2, 3)).abs().max() < 0.05
    assert (normalised.std((0, 2, 3)) - 1).abs().max() < 0.1


def test_attention_is_boolean_where_activations_are_binary_and_softmax_where_not():
    architecture = find_architecture("bert-tiny")
    seen = []

    for name in ("bireal", "bwn"):
        model = build(architecture, find_binarizer(name)).eval()
        context = model.layers[0].attention.context
        context.left.register_forward_hook(lambda _m, _i, output: seen.append(output))
        with torch.no_grad():
            model(*architecture.example_input(2, small=True))
        assert isinstance(context, BinaryMatmul)
    boolean, soft = seen
    assert boolean.unique().tolist() == [0, 1]
    torch.testing.assert_close(soft.sum(-1), torch.ones(soft.shape[:-1]))


def test_keyword_spotting_runs_with_fewer_layers():
    architecture = find_architecture("dfsmn")
    model = build(architecture, find_binarizer("bnn")).eval()
    ran = []
    for index, layer in enumerate(model.layers):
        layer.register_forward_hook(lambda *_, index=index: ran.append(index))
    with torch.no_grad():
        whole = model(*architecture.example_input(small=True))
        model.thin = 2
        thin = model(*architecture.example_input(small=True))
    assert ran == [0, 1, 0]
    assert not torch.equal(whole, thin)


def test_offsets_are_drawn_by_a_seed_for_batch_norms_alone():
    models = [nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.LayerNorm(4)) for _ in range(2)]
    for model in models:
        draw_offsets(model, 7)
    assert models[0][1].bias.abs().min() > 0
    assert torch.equal(models[0][1].bias, models[1][1].bias)
    assert not models[0][2].bias.any()
