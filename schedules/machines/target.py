"""The machines we compile for. Nothing here imports TVM: ``--target list`` answers at once."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.isa import AVX2, AVX512_VPOPCNTDQ, NEON, NEON_ARMV7, PORTABLE, Isa
from schedules.machines.link import link_triple

_EMULATED_CPUS = {
    "aarch64": frozenset({"cortex-a35", "cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1"}),
    "armv7l": frozenset({"cortex-a7", "cortex-a8", "cortex-a9", "cortex-a15"}),
}
_ANDROID_OF = "a phone's cores; run it under Linux, e.g. in Termux with glibc"

#: TVM's runtime, or libbnn, which runs deployed models.
Runtime = Literal["tvm", "libbnn"]


def runtime_of(machine: str) -> Runtime:
    """Return what runs artifacts on a machine, as ``uname -m`` names it: TVM publishes no runtime for 32-bit ARM."""
    return "libbnn" if machine == "armv7l" else "tvm"


@dataclasses.dataclass(frozen=True)
class Target:
    """A machine we compile for.

    Parameters
    ----------
    name
        What ``--target`` takes.
    description
        One line for people.
    tvm
        TVM's target, as JSON.
    isa
        The instruction set whose kernels it runs.
    machine
        What ``uname -m`` says there.
    """

    name: str
    description: str
    tvm: dict[str, Any]
    isa: Isa
    machine: str

    @property
    def link_triple(self) -> str:
        """The triple that Zig's linker takes, with the oldest glibc that will do."""
        return link_triple(self.machine)

    @property
    def runs_here(self) -> bool:
        """Whether this machine can execute what is compiled for the target."""
        return self.machine == host.machine() and self.isa in host.isas() and self.extras <= host.flags()

    @property
    def extras(self) -> frozenset[str]:
        """What its CPUs have beside their instruction set, as the system calls it."""
        known, attributes = host.EXTRAS.get(self.isa, {}), self.tvm.get("mattr", ())
        return frozenset(flag for flag, llvm in known.items() if llvm in attributes)

    @property
    def emulated_cpu(self) -> str | None:
        """What QEMU calls the processor, so that it refuses instructions that the board lacks; None for its default."""
        known = _EMULATED_CPUS.get(self.machine)
        if known is None:
            return None
        cpu = str(self.tvm.get("mcpu", ""))
        return cpu if cpu in known else "max"

    @property
    def runtime(self) -> Runtime:
        """What runs its artifacts."""
        return runtime_of(self.machine)


def _x86(name: str, description: str, isa: Isa, cpu: str, *attributes: str) -> Target:
    options: dict[str, Any] = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": cpu}
    if attributes:
        options["mattr"] = list(attributes)
    return Target(name, description, options, isa, "x86_64")


def _arm(name: str, description: str, cpu: str) -> Target:
    options = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": cpu, "mattr": ["+neon"]}
    return Target(name, description, options, NEON, "aarch64")


def _armv7(name: str, description: str, cpu: str) -> Target:
    # Of three parts the triple would mean soft float.
    options = {"kind": "llvm", "mtriple": "armv7l-unknown-linux-gnueabihf", "mcpu": cpu, "mattr": ["+neon"]}
    return Target(name, description, options, NEON_ARMV7, "armv7l")


_BASELINE = _x86("x86-64", "any 64-bit x86: scalar popcount", PORTABLE, "x86-64-v2")
_AVX2 = _x86("x86-avx2", "x86 with AVX2 (2013 on): nibble-shuffle popcount", AVX2, "x86-64-v3")
# LLVM would split vectors in two for the clock's sake, as the first processors with AVX-512 needed it.
_OF_AVX512 = ("+avx512vpopcntdq", "+avx512bitalg", "+avx512vnni", "+avx512vbmi", "-prefer-256-bit")
_AVX512 = _x86(
    "x86-avx512",
    "x86 with AVX-512 VPOPCNTDQ (Intel Ice Lake, AMD Zen 4 on)",
    AVX512_VPOPCNTDQ,
    "x86-64-v4",
    *_OF_AVX512,
)
# The same processor to LLVM, and to tuning logs, with what kernels of their own use beside it.
_AMX = _x86(
    "x86-amx",
    "x86 with AVX-512 VPOPCNTDQ and AMX (Intel Sapphire Rapids on)",
    AVX512_VPOPCNTDQ,
    "x86-64-v4",
    *_OF_AVX512,
    *host.EXTRAS[AVX512_VPOPCNTDQ].values(),
)
_GENERIC_ARM = _arm("aarch64", "any 64-bit ARM", "generic")

TARGETS: tuple[Target, ...] = (
    _AVX512,
    _AMX,
    _AVX2,
    _BASELINE,
    _arm("arm", "64-bit ARM; the same as rpi4", "cortex-a72"),
    _GENERIC_ARM,
    _arm("rpi3", "Raspberry Pi 3, Zero 2 W: Cortex-A53", "cortex-a53"),
    _arm("rpi4", "Raspberry Pi 4, 400, CM4: Cortex-A72", "cortex-a72"),
    _arm("rpi5", "Raspberry Pi 5: Cortex-A76", "cortex-a76"),
    _arm("rk3399", "Rockchip RK3399 boards: Cortex-A72", "cortex-a72"),
    _arm("rk3588", "Rockchip RK3588 boards: Cortex-A76", "cortex-a76"),
    _arm("jetson-nano", "NVIDIA Jetson Nano: Cortex-A57", "cortex-a57"),
    _arm("jetson-orin", "NVIDIA Jetson Orin: Cortex-A78AE", "cortex-a78"),
    _arm("pixel1", f"Google Pixel 1: Kryo ({_ANDROID_OF})", "kryo"),
    _arm("pixel4", f"Google Pixel 4: Cortex-A76 ({_ANDROID_OF})", "cortex-a76"),
    _arm("pixel6", f"Google Pixel 6: Cortex-X1 ({_ANDROID_OF})", "cortex-x1"),
    _armv7("armv7", "any 32-bit ARM with NEON", "cortex-a7"),
    _armv7("rpi2", "Raspberry Pi 2: Cortex-A7", "cortex-a7"),
    _armv7("rpi4-32", "Raspberry Pi 4 under a 32-bit system: Cortex-A72", "cortex-a72"),
    _arm("neoverse-n1", "Ampere Altra, AWS Graviton 2", "neoverse-n1"),
    _arm("neoverse-v1", "AWS Graviton 3", "neoverse-v1"),
    _arm("neoverse-v2", "AWS Graviton 4, NVIDIA Grace", "neoverse-v2"),
)


def native() -> Target:
    """Return the target that describes this machine.

    TVM's own detection asks LLVM for the CPU's model, which virtual machines hide; the feature flags do not lie.
    """
    isas = host.isas()
    known = {"x86_64": (_AVX512, _AVX2, _BASELINE), "aarch64": (_GENERIC_ARM,)}.get(host.machine(), ())
    for target in known:
        if target.isa in isas:
            options = dict(target.tvm)
            if host.machine() == "aarch64":
                options["mcpu"] = host.arm_cpu() or options["mcpu"]
            extras = [llvm for flag, llvm in host.EXTRAS.get(target.isa, {}).items() if flag in host.flags()]
            if extras:
                options["mattr"] = [*options.get("mattr", ()), *extras]
            return dataclasses.replace(
                target, name="native", description=f"this machine: {target.isa.name}", tvm=options
            )
    raise UserError(f"target 'native': this machine is a {host.machine()}; x86_64 and aarch64 are supported")


def find_target(name: str) -> Target:
    """Return the target of that name, or the one that a TVM target in JSON describes.

    Raises
    ------
    UserError
        If there is no such target.
    """
    if name == "native":
        return native()
    if name.lstrip().startswith("{"):
        return _from_json(name)
    for target in TARGETS:
        if target.name == name:
            return target
    raise UserError(f"target '{name}' is not known; '--target list' prints the names, and a TVM target in JSON will do")


def _from_json(text: str) -> Target:
    """Return the target that a JSON object describes; its instruction set is asked of LLVM."""
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"target: not valid JSON ({error}); expected e.g. {json.dumps(_GENERIC_ARM.tvm)}") from None
    if options.get("kind") != "llvm":
        raise UserError(f"target: kind is {options.get('kind')!r}; only 'llvm' (CPUs) can be compiled for")
    from schedules.machines.amx import has_tiles
    from schedules.machines.llvm import isa_of

    triple = str(options.setdefault("mtriple", f"{host.machine()}-linux-gnu"))
    machine = {"arm64": "aarch64", "amd64": "x86_64", "armv7": "armv7l", "arm": "armv7l"}.get(
        triple.split("-", maxsplit=1)[0], triple.split("-", maxsplit=1)[0]
    )
    description, isa = json.dumps(options), isa_of(options)
    if has_tiles(options, isa):
        # Named, though the processor may imply it: this machine has to be asked for it before anything runs.
        named = [llvm for flag, llvm in host.EXTRAS[isa].items() if flag.startswith("amx")]
        options["mattr"] = list(dict.fromkeys([*options.get("mattr", ()), *named]))
    return Target("custom", description, options, isa, machine)
