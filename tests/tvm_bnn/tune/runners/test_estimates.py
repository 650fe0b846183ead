import dataclasses
import shutil

import numpy as np
import pytest

from rpc.boards import emulation
from schedules.machines import host
from schedules.machines.isa import NEON
from schedules.machines.target import find_target
from tvm_bnn.bench.limits.cycle_model import find_analyzer
from tvm_bnn.tune.comparing.ranking import ranking
from tvm_bnn.tune.runners.counted_library import Block, count_blocks
from tvm_bnn.tune.runners.estimated_runner import estimated_runner
from tvm_bnn.tune.runners.static_cycles import cycles_of

needs_analyzer = pytest.mark.skipif(find_analyzer() is None, reason="llvm-mca is not installed")
ASSEMBLY = """\
	.text
	.type	layer,@function
layer:
	xorl	%eax, %eax
	.p2align	4
.LBB0_1:
	addl	$1, %eax
	cmpl	$5, %eax
	jne	.LBB0_1
	retq
	.section	.rodata
.LCPI0_0:
	.long	7
"""


def test_a_block_ends_at_a_branch_and_begins_at_a_label():
    blocks, counted = count_blocks(ASSEMBLY, "x86_64")
    assert [[line.split()[0] for line in block] for block in blocks] == [["xorl"], ["addl", "cmpl", "jne"], ["retq"]]
    assert counted.count("leaq\t1(%rax), %rax") == 3
    assert counted.index(".LBB0_1:") < counted.index("bnn_counts+8(%rip)") < counted.index("addl")
    assert "bnn_blocks:\n\t.quad 3" in counted


@needs_analyzer
def test_cycles_are_those_of_each_block_times_its_executions():
    target = find_target("rpi4")
    block = ("\tadd\tx0, x0, #1", "\tadd\tx0, x0, #1")
    once = cycles_of([Block(block, 1)], target, "cortex-a72")
    assert once == pytest.approx(2, rel=0.05)
    assert cycles_of([Block(block, 100), Block(block, 0)], target, "cortex-a72") == pytest.approx(100 * once)


@needs_analyzer
@pytest.mark.skipif(host.machine() != "x86_64", reason="runs x86 code")
def test_candidates_are_estimated_and_wrong_ones_are_found(task, target, candidates):
    runner = dataclasses.replace(estimated_runner(target, "zig"), model="haswell")
    assert runner.kind == "estimated"
    assert "model of" in runner.device
    modules = [candidate.schedule.mod for candidate in candidates[:2]]
    first = runner.measure(task, modules)
    assert all(measured.seconds[0] > 0 for measured in first)
    assert runner.measure(task, modules) == first
    assert all(settled.exact for settled in runner.settle(task, modules))


@needs_analyzer
@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-user is not installed")
def test_a_board_that_is_not_here_is_estimated(make_task):
    missing = emulation.prepare("aarch64")
    if missing is not None:
        pytest.skip(missing)
    task = make_task(rows=4, channels=16, depth=128, isa=NEON)
    (settled,) = estimated_runner(find_target("rpi4"), "zig").settle(task, [task.module])
    assert settled.exact
    # Nothing is faster than two vector instructions a cycle, three of which make 128 products.
    assert settled.seconds * 1e9 >= task.macs / 128 * 1.5


def test_a_perfect_estimate_ranks_perfectly_and_a_reversed_one_chooses_the_slowest():
    times = np.array([3.0, 1.0, 2.0])
    assert (ranking(times, times * 7).rho, ranking(times, times).regret) == (1, 0)
    assert (ranking(times, -times).rho, ranking(times, -times).regret) == (-1, 2)
