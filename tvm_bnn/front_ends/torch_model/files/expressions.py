"""Expressions of shapes as text: arithmetic on names and numbers, or something that must not be evaluated."""

from __future__ import annotations

import ast
import re

_MOST_CHARACTERS = 10_000
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Tuple, ast.Load, ast.keyword, ast.Subscript),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
#: What PyTorch and sympy write; none evaluates its arguments as text.
_FUNCTIONS = frozenset(
    [
        *("Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Mod", "Max", "Min", "floor", "ceiling"),
        *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "Equality", "Unequality", "LessThan"),
        *("GreaterThan", "StrictLessThan", "StrictGreaterThan", "FloorDiv", "ModularIndexing", "Where", "PythonMod"),
        *("CleanDiv", "CeilToInt", "FloorToInt", "TruncToInt", "TruncToFloat", "RoundToInt", "RoundDecimal"),
        *("ToFloat", "CeilDiv", "LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv"),
        *("Identity", "Abs", "len", "IsNonOverlappingAndDenseIndicator", "BitwiseFn_bitwise_and"),
        *("BitwiseFn_bitwise_or", "OpaqueUnaryFn_sqrt", "OpaqueUnaryFn_exp", "OpaqueUnaryFn_log"),
        *("max", "min", "abs", "int", "float", "bool", "round"),
    ]
)
_METHODS = frozenset(
    [
        *("size", "stride", "storage_offset", "dim", "numel", "sym_max", "sym_min", "sym_float", "sym_int", "sym_not"),
        *("sqrt", "floor", "ceil", "trunc"),
    ]
)
_ATTRIBUTES = frozenset({"shape", "ndim"})


def is_arithmetic(text: object) -> bool:
    """Tell whether an expression computes with names and numbers, and does nothing else."""
    if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
        return False
    try:
        return _is_fine(ast.parse(text, mode="eval"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _is_fine(node: ast.AST) -> bool:
    return _is_known(node) and all(map(_is_fine, ast.iter_child_nodes(node)))


def _is_known(node: ast.AST) -> bool:
    """Tell whether a node is one of arithmetic, its children aside."""
    match node:
        case ast.Constant(value=value):
            known = isinstance(value, int | float) or (
                isinstance(value, str) and re.fullmatch(r"\w+", value) is not None
            )
        case ast.Name(id=name):
            known = not name.startswith("__")
        case ast.Attribute(attr=name):
            known = name in _METHODS | _ATTRIBUTES
        case ast.Call(func=ast.Name(id=name)):
            known = name in _FUNCTIONS
        case ast.Call(func=ast.Attribute(attr=name)):
            known = name in _METHODS
        case _:
            known = isinstance(node, _NODES)
    return known
