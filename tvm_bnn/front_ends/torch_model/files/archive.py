"""What a ``.pt2`` would run while it is read: looked for in its archive, before PyTorch opens it.

``torch.export.load`` unpickles weights and constants that their lists call pickled, whatever they hold; hands
expressions of shapes to sympy, which evaluates them as Python; and takes any name below ``torch`` for an operator.
What ``torch.export.save`` writes for a model of tensors needs none of that.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.files.expressions import is_arithmetic

_ADVICE = "where you trust the file, --trust (trust=True) opens it"
#: Lists of what is stored, and folders that the names in them are relative to.
_LISTS = re.compile(r"^data/(weights|constants)/[^/]*_config\.json$")
#: Always unpickled, whatever a list says.
_PICKLED = re.compile(
    r"^data/(sample_inputs|weights|constants)/[^/]*\.pt$|^serialized_(?!exported_program\.json$)[^/]*$"
)
#: Objects of C++ classes, and of Python's.
_OBJECTS = re.compile(r"^data/constants/(custom|opaque)_obj")
_COMPILED = re.compile(r"^data/aotinductor/|\.so$")
_GRAPHS = re.compile(r"^models/[^/]*\.json$|^serialized_exported_program\.json$")
#: Operators, and arithmetic on shapes; of Python's own, only what computes.
_TARGETS = re.compile(
    r"^(torch\.ops(\.[A-Za-z]\w*){2,3}|torch\._?sym_\w+|torch\.sym_\w+|math\.[a-z]\w*"
    r"|_operator\.(?!attrgetter|itemgetter|methodcaller|call)[a-z]\w*|[\w:]*)$"
)
_MOST_JSON = 1 << 30


def check_archive(path: Path) -> None:
    """Refuse a file that could run code while it is read.

    Raises
    ------
    UserError
        If something in it is pickled and holds more than tensors, or is an expression, an operator or a library that no
        model needs; or if the archive contradicts itself.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(set(names)) != len(names):
            raise UserError(f"model '{path}' holds two files of one name: export it again")
        for name, inner in _inner_names(names):
            try:
                found = _danger(archive, name, inner)
            except (
                ValueError,
                RecursionError,
                zipfile.BadZipFile,
                KeyError,
                TypeError,
                AttributeError,
                OSError,
            ) as error:
                raise UserError(f"model '{path}': '{inner}' cannot be read ({type(error).__name__})") from error
            if found:
                raise UserError(f"model '{path}' could run code while it is read: {found}; {_ADVICE}")


def _inner_names(names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each member's name, and what it is without the folder that holds all of them."""
    for name in names:
        yield name, name
        if "/" in name:
            yield name, name.split("/", 1)[1]


def _danger(archive: zipfile.ZipFile, name: str, inner: str) -> str:
    """Return what is wrong with a member, empty if nothing is."""
    if _COMPILED.search(inner):
        return f"'{inner}' is compiled code"
    if _OBJECTS.match(inner):
        return f"'{inner}' is a pickled object"
    if _PICKLED.match(inner):
        return _pickle_danger(archive, name, inner)
    if _LISTS.match(inner):
        return _list_danger(archive, name, inner)
    if _GRAPHS.match(inner):
        return next(_graph_dangers(_json(archive, name)), "")
    return ""


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as file:
        return json.loads(file.read(_MOST_JSON))


def _list_danger(archive: zipfile.ZipFile, name: str, inner: str) -> str:
    for entry in _json(archive, name)["config"].values():
        path = str(entry["path_name"])
        if not re.fullmatch(r"\w+", path):
            return f"'{inner}' names '{path}'"
        if _OBJECTS.match(f"data/constants/{path}"):
            return f"'{path}' is a pickled object"
        if entry.get("use_pickle"):
            member = name.rsplit("/", 1)[0] + "/" + path
            found = _pickle_danger(archive, member, path)
            if found:
                return found
    return ""


def _pickle_danger(archive: zipfile.ZipFile, name: str, inner: str) -> str:
    data = archive.read(name)
    if not data:
        return ""
    try:
        torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        return f"'{inner}' is pickled and holds {refused[1] if refused else 'what is no tensor'}"
    return ""


def _graph_dangers(value: Any) -> Iterator[str]:
    """Yield what a graph holds that no model needs."""
    if isinstance(value, list):
        for item in value:
            yield from _graph_dangers(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "expr_str" and not is_arithmetic(item):
                yield f"the expression '{str(item)[:80]}' is no arithmetic"
            elif key == "range_constraints" and not all(map(is_arithmetic, item)):
                yield "a range is none of arithmetic"
            elif key == "guards_code" and not all(map(is_arithmetic, item)):
                yield "a condition on its inputs is no arithmetic"
            elif key == "target" and isinstance(item, str) and not _TARGETS.match(item):
                yield f"'{item[:80]}' is no operator"
            else:
                yield from _graph_dangers(item)
