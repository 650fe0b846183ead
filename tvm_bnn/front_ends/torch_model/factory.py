"""Models that a Python file makes: ``path/to/net.py:Net`` or ``package.net:Net``, with weights and example inputs."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from schedules.errors import UserError
from tvm_bnn.front_ends.example_input import BYTES, ExampleInput
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.module_copy import copied
from tvm_bnn.front_ends.torch_model.export import Captured, capture
from tvm_bnn.front_ends.torch_model.files.checkpoint import load_weights

_NAMED = re.compile(r"(?P<place>.+\.py|[A-Za-z_]\w*(?:\.\w+)*):(?P<name>[A-Za-z_]\w*)")
_MOST_NAMED = 8
SEED = 0


@dataclasses.dataclass(frozen=True)
class Factory:
    """A function without arguments that returns a module, or a module's class.

    Parameters
    ----------
    place
        A ``.py`` file, or a dotted module.
    name
        Of the function or class in it.
    weights
        A checkpoint to load, or None to take the weights that the factory gives.
    inputs
        Of the model, in order.
    """

    place: str
    name: str
    weights: Path | None = None
    inputs: tuple[ExampleInput, ...] = ()

    def __str__(self) -> str:
        """As the user names it."""
        return f"{self.place}:{self.name}"

    @property
    def sha256(self) -> str:
        """Of the checkpoint; empty without one."""
        return "" if self.weights is None else hashlib.sha256(self.weights.read_bytes()).hexdigest()

    def capture(self) -> Captured:
        """Make the model, load its weights and export it.

        What the user's code prints goes to stderr: stdout is for the report.

        Raises
        ------
        UserError
            If any of that fails; the message says what, and where in the user's code.
        """
        if not self.inputs:
            raise UserError(f"model '{self}': the shapes of its inputs are needed: --input 1x3x224x224, one for each")
        with _importable(self._folder), contextlib.redirect_stdout(sys.stderr):
            # A copy: a factory may hand out a model that others hold as well.
            module = copied(self._made())
            if self.weights is not None:
                load_weights(module, self.weights)
            generator = torch.Generator().manual_seed(SEED)
            captured = capture(module, [each.tensor(_precision(module), generator) for each in self.inputs])
        program = captured.program
        if not all(value.is_floating_point() or value.dtype in BYTES for value in program.example_inputs[0]):
            # Zeros are no inputs to verify on; without examples, verification asks for real ones.
            program.example_inputs = None
        return captured

    @property
    def _folder(self) -> Path:
        """What ``python FILE`` or ``python -m MODULE`` would put on ``sys.path``."""
        return Path(self.place).resolve().parent if self.place.endswith(".py") else Path.cwd()

    def _made(self) -> torch.nn.Module:
        loaded = self._run("loading", self._loaded)
        made = getattr(loaded, self.name, None)
        if made is None:
            raise UserError(f"model '{self}': no '{self.name}' there; it has {_makers(loaded)}")
        if not callable(made):
            raise UserError(
                f"model '{self}' is a {type(made).__name__}; name a function or a class that makes the model"
            )
        if not isinstance(made, torch.nn.Module):
            _refuse_arguments(str(self), made)
            made = self._run("calling", made)
        if not isinstance(made, torch.nn.Module):
            raise UserError(f"model '{self}' returned a {type(made).__name__}; it has to return a torch.nn.Module")
        return made

    def _loaded(self) -> ModuleType:
        if not self.place.endswith(".py"):
            return importlib.import_module(self.place)
        path = Path(self.place)
        if not path.is_file():
            raise UserError(f"model '{self}': no such file: '{path}'")
        # Under a name of its own: the file may be called like a package that others import.
        name = f"tvm_bnn_given_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path.resolve())
        if spec is None or spec.loader is None:
            raise UserError(f"model '{self}': Python cannot load '{path}'")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    def _run(self, what: str, step: Callable[[], Any]) -> Any:
        """Run the user's code; it may raise anything, and it may exit."""
        try:
            return step()
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            hint = (
                "; name it as package.module:NAME from the folder above"
                if isinstance(error, ImportError) and "relative import" in str(error)
                else ""
            )
            raise UserError(
                f"model '{self}': {what} it failed at {_place(error, self._folder)}: {type(error).__name__}: "
                f"{first_line(error)}{hint}"
            ) from error


def named_model(model: Path, weights: Path | None, inputs: tuple[str, ...]) -> Path | Factory:
    """Return what the command line names: a file, or a factory with its weights and inputs.

    Raises
    ------
    UserError
        If weights or inputs are given for a model file, which has its own, or a shape is not one.
    """
    named = None if model.exists() else _NAMED.fullmatch(str(model))
    if named is not None:
        return Factory(named["place"], named["name"], weights, tuple(map(ExampleInput.parse, inputs)))
    for option, given in (("--weights", weights), ("--input", inputs)):
        if given:
            raise UserError(
                f"model '{model}': {option} goes with file.py:NAME; a model file has its own weights and shapes"
            )
    return model


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let a folder be searched first; afterwards ``sys.path`` is what it was, whatever was done to it meanwhile."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


def _precision(module: torch.nn.Module) -> torch.dtype:
    """Return the one type of a module's parameters, which its inputs have as well, or float32."""
    found = {value.dtype for value in module.parameters() if value.is_floating_point()}
    return found.pop() if len(found) == 1 else torch.float32


def _refuse_arguments(model: str, made: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):
        return
    try:
        signature.bind()
    except TypeError:
        raise UserError(
            f"model '{model}' takes arguments, {made.__name__}{signature}; name a function that needs none and calls it"
        ) from None


def _makers(module: ModuleType) -> str:
    """Return the names of a module's own functions and module classes."""
    found = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, torch.nn.Module)))
    ]
    return ", ".join(found[:_MOST_NAMED]) or "no functions or modules"


def _place(error: BaseException, folder: Path) -> str:
    """Return the innermost line of the user's own code that an exception went through."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}"
