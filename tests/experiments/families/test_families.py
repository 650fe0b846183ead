"""The acceptance set is what it says: it runs, its signs are mixed, its layers are counted, it exports or not."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from experiments.families.catalog import FAMILIES
from experiments.families.family import Family, Inputs, resample

# Where the two operands of a product stand among the operator's arguments.
PRODUCTS = {"convolution": (0, 1), "addmm": (1, 2), "mm": (0, 1), "bmm": (0, 1)}
# Operators that decide between values; a decision is positive where the result is.
DECISIONS = {"sign", "sign_", "ge", "gt", "round", "floor"}

TOLERANCE = 1e-4  # the detach trick rounds: ±α is met to 1e-7 usually, to 6e-5 where α is small


@dataclasses.dataclass
class Product:
    """The operands of a convolution or matrix product, one row for each scale that a binary operand may have."""

    activations: torch.Tensor
    weights: torch.Tensor

    def is_binary(self) -> bool:
        return two_valued(self.activations, or_zero=True) and two_valued(self.weights, or_zero=False)


class Recorder(TorchDispatchMode):
    """Keeps the operands of every product and the outcome of every decision."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[Product] = []
        self.decisions: list[torch.Tensor] = []

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in PRODUCTS:
            self.products.append(product(name, args))
        result = function(*args, **(kwargs or {}))
        if name in DECISIONS:
            self.decisions.append(result > 0)
        return result


def product(name: str, args: Any) -> Product:
    left, right = (args[position].detach().clone() for position in PRODUCTS[name])
    if name != "convolution":
        return Product(left.flatten(0, -2), right.transpose(-1, -2).flatten(0, -2))
    transposed = args[6]
    return Product(left.flatten(1), (right.transpose(0, 1) if transposed else right).flatten(1))


def two_valued(rows: torch.Tensor, or_zero: bool) -> bool:
    counted = rows != 0 if or_zero else torch.ones_like(rows, dtype=torch.bool)
    low = rows.masked_fill(~counted, torch.inf).amin(1, keepdim=True)
    high = rows.masked_fill(~counted, -torch.inf).amax(1, keepdim=True)
    distance = torch.minimum((rows - low).abs(), (rows - high).abs())
    return bool((~counted | (distance <= TOLERANCE * rows.abs().amax(1, keepdim=True))).all())


def record(family: Family, inputs: Inputs) -> Recorder:
    model = family.build()
    with torch.no_grad(), Recorder() as recorder:
        model(*inputs)
    return recorder


def products_of_inputs(family: Family) -> list[Product]:
    """Return the products that differ when the input does; the others only prepare weights."""
    first, second = (record(family, inputs) for inputs in (family.inputs(), resample(family.inputs(), 1)))
    pairs = zip(first.products, second.products, strict=True)
    return [
        one
        for one, other in pairs
        if not (torch.equal(one.activations, other.activations) and torch.equal(one.weights, other.weights))
    ]


def decisions_on_inputs(family: Family) -> list[torch.Tensor]:
    first, second = (record(family, inputs) for inputs in (family.inputs(), resample(family.inputs(), 1)))
    pairs = zip(first.decisions, second.decisions, strict=True)
    return [one for one, other in pairs if not torch.equal(one, other)]


def run(model: nn.Module, inputs: Inputs) -> Inputs:
    with torch.no_grad():
        outputs = model(*inputs)
    return (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)


def same(some: Inputs, others: Inputs) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


def test_names_are_unique() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_a_family_is_built_the_same_every_time(family: Family) -> None:
    assert same(run(family.build(), family.inputs()), run(family.build(), family.inputs()))


def test_the_output_is_finite_and_depends_on_the_input(family: Family) -> None:
    model = family.build()
    some, others = run(model, family.inputs()), run(model, resample(family.inputs(), 1))
    for one, other in zip(some, others, strict=True):
        assert one.isfinite().all()
        assert one.std() > 0
        assert not torch.equal(one, other)


def test_signs_of_activations_are_mixed(family: Family) -> None:
    shares = [float(decision.float().mean()) for decision in decisions_on_inputs(family)]
    assert shares or not family.binary_layers
    assert all(0.1 <= share <= 0.9 for share in shares), shares


def test_layers_are_counted_right(family: Family) -> None:
    products = products_of_inputs(family)
    counted = (sum(product.is_binary() for product in products), len(products))
    assert counted == (family.binary_layers, family.total_layers)


def test_inference_leaves_the_parameters_alone(family: Family) -> None:
    model = family.build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run(model, family.inputs())
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("family", [family for family in FAMILIES if family.exports], ids=lambda family: family.name)
def test_export_computes_the_same(family: Family) -> None:
    with torch.no_grad():
        exported = torch.export.export(family.build(), family.inputs(), strict=False).module()
    for inputs in (family.inputs(), resample(family.inputs(), 1)):
        assert same(run(exported, inputs), run(family.build(), inputs))


@pytest.mark.parametrize(
    "family", [family for family in FAMILIES if not family.exports], ids=lambda family: family.name
)
def test_export_refuses_what_the_catalog_says_it_refuses(family: Family) -> None:
    # Tensor.data has no place in a graph, and a branch on a tensor's value has no guard.
    with torch.no_grad(), pytest.raises(RuntimeError, match=r"fake tensor|data-dependent"):
        torch.export.export(family.build(), family.inputs(), strict=False)
