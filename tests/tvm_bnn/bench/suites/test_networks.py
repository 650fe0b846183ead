import dataclasses

import numpy as np
import pytest
import torch

from relay_passes import pipeline
from relay_passes.analysis.layers import layers_of
from relay_passes.analysis.part_names import layers_behind
from rpc.measuring.measurement import Samples
from schedules.errors import UserError
from schedules.machines.isa import PORTABLE
from schedules.machines.target import find_target, native
from tvm_bnn.artifacts.artifact import KernelUse
from tvm_bnn.bench.networks.catalog import NETWORKS
from tvm_bnn.bench.networks.parts import Sign
from tvm_bnn.bench.options import Plan
from tvm_bnn.bench.peers.catalog import NARROW_BINARY_PEERS, NARROW_TWIN_PEERS
from tvm_bnn.bench.peers.unavailable import Unavailable
from tvm_bnn.bench.suites import networks as network_suite
from tvm_bnn.bench.suites.waterfall import waterfall
from tvm_bnn.bench.tables.networks import print_networks
from tvm_bnn.compile.backend import kernel_uses
from tvm_bnn.compile.kernel_times import roofline
from tvm_bnn.compile.kernel_times.waterfall import Step
from tvm_bnn.compile.reporting.compilation_report import LayerRow
from tvm_bnn.front_ends.opening import open_model
from tvm_bnn.tune.subjects import tasks_of_model
from tvm_bnn.verifying import parity

NAMES = [network.name for network in NETWORKS]
#: Small enough for a test, and every layer still there.
SMALL = [dataclasses.replace(network, image=32, width=8) for network in NETWORKS]


@pytest.mark.parametrize("network", SMALL, ids=NAMES)
def test_the_binary_network_and_its_twin_have_the_same_layers(network):
    binary, twin = network.build(), network.build(binary=False)
    shapes = [
        [module.weight.shape for module in net.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)]
        for net in (binary, twin)
    ]
    assert shapes[0] == shapes[1]
    example = network.example()
    for net in (binary, twin):
        with torch.no_grad():
            result = net(example)
        assert result.shape == (1, 10 if network.name in ("VGG-small", "ResNet-20") else 1000)
        assert result.std() > 0


@pytest.mark.parametrize("network", SMALL, ids=NAMES)
def test_all_layers_that_should_be_binary_get_binary_kernels(network):
    imported = open_model(network.build(), (network.example(),)).read()
    simplified = pipeline.run(imported.module, pipeline.simplify())
    layers = layers_of(simplified)
    passes = pipeline.canonicalize() + pipeline.pack(PORTABLE) + pipeline.lower_to(PORTABLE)
    uses = kernel_uses(pipeline.run(simplified, passes), layers)
    assert sum(layer.float_reason is None for layer in layers) == network.binary_layers
    in_binary_kernels = [use.layer for use in uses if use.choice.startswith(("bconv2d", "bdense"))]
    assert sum(len(layers_behind(layer)) for layer in in_binary_kernels) == network.binary_layers


@pytest.mark.parametrize("network", SMALL, ids=NAMES)
def test_random_weights_are_the_same_every_time_and_leave_signs_undecided(network):
    net = network.build()
    again = network.build().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in net.state_dict().items())
    shares = []
    for module in net.modules():
        if isinstance(module, Sign):
            module.register_forward_hook(
                lambda _module, _inputs, signs: shares.append(float((signs > 0).float().mean()))
            )
    with torch.no_grad():
        net(network.example(2, seed=7))
    assert shares
    assert all(0.02 < share < 0.98 for share in shares), shares


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_networks_of_full_size_are_verified_and_measured(network, printed):
    plan = Plan(native(), repeats=3)
    (records,) = network_suite.run(dataclasses.replace(plan, only=network.name))
    ours = records[0]
    assert ours.facts["binary_layers"] == network.binary_layers
    assert ours.samples is not None
    assert network.name in printed(print_networks, records)


def test_one_small_network_is_measured_from_end_to_end(monkeypatch, printed):
    small = SMALL[NAMES.index("VGG-small")]
    monkeypatch.setattr(network_suite, "NETWORKS", (small,))
    (records,) = network_suite.run(Plan(native(), repeats=2, peers=False))
    ours = records[0]
    assert (ours.case, ours.system, ours.facts["binary_layers"]) == ("VGG-small", "tvm_bnn", 5)
    assert 0 < ours.facts["compiled_network_bytes"] < ours.facts["compiled_process_bytes"]
    parts = [record for record in records if record.part]
    assert sum(record.facts.get("bound") == "binary" for record in parts) == 5
    assert sum(record.work for record in parts) == ours.work
    text = printed(print_networks, records)
    assert "a whole call" in text
    assert all(" default " in line for line in text.splitlines() if " bconv2d/" in line)


def test_the_kernels_of_a_network_are_timed_with_the_schedules_of_its_artifact(log_of):
    small, target = SMALL[NAMES.index("VGG-small")], native()
    module, example = small.build(), small.example()
    log = log_of(tasks_of_model(module, (example,), target), target)
    steps = waterfall(module, example, Plan(target, repeats=1, log=log))
    assert [step.use.schedule for step in steps if " " in step.use.choice] == ["log"] * 7


def layer(name, macs, binary, precision="fp32"):
    return LayerRow(
        name=name,
        kind="conv2d",
        weight_shape=(1, 1, 1, 1),
        bit_planes=(1, 1) if binary else (0, 0),
        binary=binary,
        stores_bits=False,
        reason="",
        kernel="",
        macs=macs,
        bytes_before=1,
        bytes_after=1,
        precision=precision,
    )


def test_work_is_shared_out_among_the_kernels_of_a_layer():
    times = Samples((1.0,), 1)
    uses = [
        *(KernelUse("stem", "f0", "conv2d/avx2 1x1"), KernelUse("body", "f1", "bconv2d/avx2 1x1")),
        *(KernelUse("body", "f2", "bconv2d/avx2 1x1"), KernelUse("body", "f3", "loops/avx2")),
        *(KernelUse("", "max_pool2d", "loops/avx2"), KernelUse("blur", "conv2d", "loops/avx2")),
        KernelUse("left | right", "f4", "bconv2d/avx2 1x1"),
        *(KernelUse("bytes", "f5", "conv2d_int8/avx2 1x1"), KernelUse("halves", "f6", "dense_bf16/avx2 1x1")),
    ]
    layers = [layer("stem", 10, False), layer("body", 100, True), layer("blur", 6, False)]
    layers += [layer("left", 20, True), layer("right", 30, True)]
    layers += [layer("bytes", 7, False, "int8"), layer("halves", 8, False, "bf16")]
    rows = roofline.kernel_rows([Step(use, times) for use in uses], layers)
    assert [row["work"] for row in rows] == [10, 50, 50, 0, 0, 6, 50, 7, 8]
    bounds = [row["facts"].get("bound") for row in rows]
    assert bounds == ["float32", "binary", "binary", None, None, "float32", "binary", "int8", "bfloat16"]
    assert rows[4]["part"] == "5: max_pool2d"


def test_the_limit_of_narrow_float_layers_is_theirs():
    facts = {"binary_macs": 1000, "float_macs": 100}
    rates = {"binary": 100.0, "float32": 10.0, "int8": 50.0}
    assert roofline.limit_ns(facts, rates) == 20
    assert roofline.limit_ns({**facts, "float_layers": "int8"}, rates) == 12
    assert roofline.limit_ns({**facts, "float_layers": "bf16"}, rates) is None


def test_a_network_with_narrow_float_layers_is_measured_against_peers_that_have_them(monkeypatch, printed):
    small = SMALL[NAMES.index("VGG-small")]
    monkeypatch.setattr(network_suite, "NETWORKS", (small,))
    # So small and with random weights, a sign that rounding flips changes everything.
    monkeypatch.setattr(parity, "MOST_RELATIVE_ERROR", 10)
    (records,) = network_suite.run(Plan(native(), repeats=2, float_layers="int8"))
    ours = records[0]
    assert ours.facts["parity"].startswith("L2 error ")
    systems = {record.system for record in records if not record.part}
    peers = {f"{name} twin" for name in NARROW_TWIN_PEERS} | {f"{name} binary" for name in NARROW_BINARY_PEERS}
    assert peers <= systems
    bounds = [record.facts.get("bound") for record in records if record.part]
    assert (bounds.count("binary"), bounds.count("int8"), bounds.count("float32")) == (5, 2, 0)
    assert "conv2d_int8/" in printed(print_networks, records)


def test_a_network_that_narrow_numbers_scatter_is_skipped_with_the_reason(monkeypatch, printed):
    small = [SMALL[NAMES.index(name)] for name in ("VGG-small", "ResNet-20")]
    monkeypatch.setattr(network_suite, "NETWORKS", tuple(small))
    monkeypatch.setattr(parity, "MOST_RELATIVE_ERROR", 0)
    plan = Plan(native(), repeats=2, peers=False, float_layers="int8")
    cases = list(network_suite.run(plan))
    assert [len(records) for records in cases] == [1, 1]
    text = printed(print_networks, [record for records in cases for record in records])
    assert "skipped tvm_bnn, 1 of its cases: parity: float layers on narrow numbers are not exact by choice" in text
    monkeypatch.setattr(parity.Parity, "passed", False)
    with pytest.raises(UserError, match="parity"):
        list(network_suite.run(dataclasses.replace(plan, float_layers="fp32")))


def test_a_target_that_cannot_multiply_bfloat16_is_refused_and_no_network_skipped():
    with pytest.raises(UserError, match="target 'x86-avx2' has no instruction that multiplies it"):
        next(network_suite.run(Plan(find_target("x86-avx2"), repeats=1, peers=False, float_layers="bf16")))


@pytest.mark.parametrize("peer", NARROW_TWIN_PEERS)
def test_twins_in_int8_are_still_the_same_network(peer):
    small = SMALL[NAMES.index("ResNet-20")]
    twin, example = small.build(binary=False), small.example()
    try:
        call = NARROW_TWIN_PEERS[peer](twin, example, 1)
    except Unavailable as reason:
        pytest.skip(str(reason))
    found = call()
    found = np.asarray(found.data if peer.startswith("OpenVINO") else found)
    with torch.no_grad():
        expected = twin(example).numpy()
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    # What bytes round away; in float32 it would be a millionth.
    assert 1e-4 < error < 0.1


def test_a_network_that_lost_a_binary_layer_is_no_measurement(monkeypatch):
    small = dataclasses.replace(SMALL[NAMES.index("VGG-small")], binary_layers=6)
    monkeypatch.setattr(network_suite, "NETWORKS", (small,))
    with pytest.raises(RuntimeError, match="'VGG-small': 5 layers are binary, not 6"):
        next(network_suite.run(Plan(native(), repeats=1, peers=False)))
