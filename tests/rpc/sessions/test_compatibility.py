from pathlib import Path

import pytest

from rpc.formats.artifact_facts import Artifact, ArtifactFacts
from rpc.formats.board_facts import BoardFacts
from rpc.sessions.compatibility import refuse_misfit
from schedules.errors import UserError

AVX512 = "avx512f avx512bw avx512dq avx512vl avx512_vpopcntdq avx512_vnni"


def artifact(machine, isa, *cpu_features):
    facts = ArtifactFacts("net", "a target", machine, isa, (), (), (), {}, 0, "", cpu_features=cpu_features)
    return Artifact(Path("net.so"), facts, b"")


def test_what_an_x86_board_lacks_is_named_before_anything_is_uploaded():
    for_amx = artifact("x86_64", "avx512-vpopcntdq", "avx512_vnni", "amx_int8")
    refuse_misfit(for_amx, BoardFacts(machine="x86_64", model="a Xeon", features=f"{AVX512} amx_int8 amx_tile"))
    with pytest.raises(UserError, match=r"needs amx_int8, which the device \(an EPYC\) lacks"):
        refuse_misfit(for_amx, BoardFacts(machine="x86_64", model="an EPYC", features=AVX512))


def test_what_a_board_does_not_tell_is_not_held_against_it():
    refuse_misfit(artifact("x86_64", "avx512-vpopcntdq", "amx_int8"), BoardFacts(machine="x86_64"))
    refuse_misfit(artifact("aarch64", "neon", "asimdrdm"), BoardFacts(machine="aarch64", features="asimd"))
