"""Expressions of weaver, which are Python with NumPy and Awkward, in the language of recipes.

They are parsed and translated, never executed.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping

from steepest.errors import SteepestError
from steepest.events import parse

SAME = {
    "abs", "sqrt", "exp", "log", "log10", "log1p", "sin", "cos", "tan", "arcsin", "arccos",
    "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "floor", "ceil", "sign",
    "hypot", "where", "isfinite", "isnan",
}  # fmt: skip
"""Functions with the name and the arguments that they have in recipes."""
OTHER = {
    "absolute": "abs", "fabs": "abs", "arctan2": "atan2", "power": "pow", "rint": "round",
    "minimum": "min", "maximum": "max", "fmin": "min", "fmax": "max",
    "_p4_from_ptetaphim": "p4",
}  # fmt: skip
OF_LISTS = {
    "sum": "sum", "max": "max", "min": "min", "mean": "mean", "any": "any", "all": "all",
    "num": "count", "count": "count", "argmax": "argmax", "argmin": "argmin", "len": "len",
}  # fmt: skip
"""Functions of the lists of an event, with ``axis=1`` or ``axis=-1``."""
PLAIN = {"to_numpy", "asarray", "array", "values_astype", "fill_none"}
"""Functions whose first argument is the value."""
MODULES = {"np", "numpy", "ak", "awkward", "math"}
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.Pow: "**",
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
COMPONENTS = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "mass", "px": "px", "py": "py",
              "pz": "pz", "energy": "E", "E": "E"}  # fmt: skip


class Untranslated(Exception):
    """An expression has something that recipes have no word for."""


def translated(text: str, variables: Mapping[str, str]) -> str:
    """Return an expression of weaver as one of a recipe.

    Parameters
    ----------
    text
        Python, such as ``"np.log(part_pt)"``.
    variables
        Definitions by name, ``new_variables``, which are put in place of the names.

    Raises
    ------
    Untranslated
        With what it was.

    Examples
    --------
    >>> translated("(jet_pt > 500) & (np.abs(jet_eta) < 2)", {})
    '(jet_pt > 500) AND (abs(jet_eta) < 2)'
    >>> translated("logpt", {"logpt": "np.log(np.hypot(px, py))"})
    'log(hypot(px, py))'
    >>> translated("~(n < 3)", {}), translated("ak.sum(part_pt, axis=1)", {})
    ('NOT (n < 3)', 'sum(part_pt)')
    """
    found = _text(_tree(text, variables))
    try:
        parse(found)
    except SteepestError as error:
        raise Untranslated(error.what) from None
    return found


def is_condition(text: str, variables: Mapping[str, str]) -> bool:
    """Whether an expression is a condition by its form: a column may be one all the same."""
    return _is_condition(_tree(text, variables))


def _tree(text: str, variables: Mapping[str, str]) -> ast.expr:
    try:
        tree = ast.parse(str(text).strip(), mode="eval").body
    except SyntaxError as error:
        raise Untranslated(f"not Python: {error.msg}") from None
    return _Inlined(variables).visit(tree)


class _Inlined(ast.NodeTransformer):
    """Puts definitions in place of names; one that uses itself is an error."""

    def __init__(self, variables: Mapping[str, str], inside: tuple[str, ...] = ()) -> None:
        self.variables, self.inside = variables, inside

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.variables or str(self.variables[node.id]).strip() == node.id:
            return node
        if node.id in self.inside:
            raise Untranslated(f"{node.id} is defined by itself")
        try:
            tree = ast.parse(str(self.variables[node.id]).strip(), mode="eval").body
        except SyntaxError as error:
            raise Untranslated(f"{node.id} is not Python: {error.msg}") from None
        return _Inlined(self.variables, (*self.inside, node.id)).visit(tree)


def _is_condition(node: ast.expr) -> bool:
    match node:
        case ast.Compare() | ast.BoolOp():
            return True
        case ast.UnaryOp(op=ast.Not()):
            return True
        case ast.UnaryOp(op=ast.Invert(), operand=inner):
            return _is_condition(inner)
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
            return _is_condition(node.left) or _is_condition(node.right)
        case ast.Call(func=function):
            return _name(function) in ("any", "all", "isfinite", "isnan")
    return False


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=module), attr=name) if module in MODULES:
            return name
    raise Untranslated(f"the call {ast.unparse(function)}")


def _inside(node: ast.expr) -> str:
    """Return an operand, in parentheses unless it is a name, a call or a number."""
    plain = isinstance(node, ast.Name | ast.Call | ast.Constant | ast.Subscript | ast.Attribute)
    return _text(node) if plain else f"({_text(node)})"


def _text(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name if name.isidentifier() else f"`{name}`"
        case ast.Constant(value=bool() as value):
            return str(value).lower()
        case ast.Constant(value=int() | float() as value):
            return repr(value)
        case ast.Constant(value=str() as value):
            return f'"{value}"'
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr(), left=left, right=right):
            both = isinstance(node.op, ast.BitAnd)
            words = ("AND", "OR") if _is_condition(node) else ("&", "|")
            return f"{_inside(left)} {words[not both]} {_inside(right)}"
        case ast.BinOp(op=op, left=left, right=right) if type(op) in OPERATORS:
            return f"{_inside(left)} {OPERATORS[type(op)]} {_inside(right)}"
        case ast.BoolOp(op=op, values=values):
            word = " AND " if isinstance(op, ast.And) else " OR "
            return word.join(map(_inside, values))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return f"-{_inside(inner)}"
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _text(inner)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=inner):
            return f"NOT {_inside(inner)}"
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in COMPARISONS for op in ops
        ):
            pairs = zip(ops, others, strict=True)
            rest = (f" {COMPARISONS[type(op)]} {_inside(other)}" for op, other in pairs)
            return _inside(left) + "".join(rest)
        case ast.Subscript(value=value, slice=index):
            return _subscript(value, index)
        case ast.Attribute(value=ast.Name(id="np" | "numpy" | "math"), attr="pi" | "e" as name):
            return repr(getattr(math, name))
        case ast.Attribute(value=value, attr=name) if name in COMPONENTS:
            return f"{_inside(value)}.{COMPONENTS[name]}"
        case ast.Call():
            return _call(node)
    raise Untranslated(f"'{ast.unparse(node)}'")


def _subscript(value: ast.expr, index: ast.expr) -> str:
    """Return ``x[:, 0]`` as ``x[0]``, and ``x[condition]`` as it is."""
    match index:
        case ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), inner]):
            return f"{_inside(value)}[{_text(inner)}]"
    if _is_condition(index):
        return f"{_inside(value)}[{_text(index)}]"
    raise Untranslated(f"'{ast.unparse(index)}' as an index")


def _call(node: ast.Call) -> str:
    name, arguments = _name(node.func), node.args
    options = {option.arg: option.value for option in node.keywords}
    axis = options.pop("axis", None)
    if name in PLAIN and arguments:
        return _text(arguments[0])
    if name in ("clip", "_clip") and len(arguments) == 3 and not options:
        value, low, high = map(_text, arguments)
        return f"min(max({value}, {low}), {high})"
    if options:
        raise Untranslated(f"the option {next(iter(options))} of {name}")
    given = ", ".join(map(_text, arguments))
    if name in OF_LISTS and len(arguments) == 1 and _is_of_lists(axis, name):
        return f"{OF_LISTS[name]}({given})"
    if axis is None and (name in SAME or name in OTHER):
        return f"{OTHER.get(name, name)}({given})"
    raise Untranslated(f"the function {ast.unparse(node.func)}")


def _is_of_lists(axis: ast.expr | None, name: str) -> bool:
    """Whether a function reduces the lists of events: by its axis, or as counts do."""
    if axis is None:
        return name in ("num", "len")
    return ast.unparse(axis) in ("1", "-1")
