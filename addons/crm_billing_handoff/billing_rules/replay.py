"""Work an amount out anew from the formula and the inputs that were stored with it."""

import ast
import operator
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from .allocation import round_money

# How people write it, and how it is computed.
SIGNS = {"×": "*", "÷": "/", "−": "-", "–": "-", "·": "*"}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
FUNCTIONS = {"min": min, "max": max, "abs": abs, "ceil": ceil, "floor": floor}
DEEPEST = 50


class NotReplayable(ValueError):
    """The formula says more than arithmetic, or an input is missing."""


def evaluate(formula: str, inputs: Mapping[str, Any]) -> Fraction:
    """Return the exact value of an arithmetic formula, nothing rounded.

    Knows ``+ − × ÷``, brackets, ``min max abs ceil floor``, numbers, and the inputs by
    their names. Nothing else of the language is reachable.

    :param inputs: numbers as ``Decimal``, ``Fraction``, int, or the text of one
    :raise NotReplayable: it cannot be computed; says what is in the way
    """
    text = re.sub(r"[×÷−–·]", lambda sign: SIGNS[sign[0]], formula)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise NotReplayable(f"No arithmetic: {formula}") from error
    return _value(tree.body, inputs, 0)


def _value(node: ast.AST, inputs: Mapping[str, Any], depth: int) -> Fraction:
    if depth > DEEPEST:
        raise NotReplayable("A formula this deep")
    if isinstance(node, ast.Constant):
        return number(node.value)
    if isinstance(node, ast.Name):
        if node.id not in inputs:
            raise NotReplayable(f"{node.id} was not stored")
        return number(inputs[node.id])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, inputs, depth + 1)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left = _value(node.left, inputs, depth + 1)
        right = _value(node.right, inputs, depth + 1)
        if isinstance(node.op, ast.Div) and not right:
            raise NotReplayable("Divided by zero")
        return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and not node.keywords:
        name = getattr(node.func, "id", None)
        if name in FUNCTIONS and node.args:
            arguments = [_value(part, inputs, depth + 1) for part in node.args]
            return Fraction(FUNCTIONS[name](*arguments))
    raise NotReplayable(f"No arithmetic: {ast.unparse(node)}")


def number(value: Any) -> Fraction:
    """Return a stored number exactly: ``19/31``, ``62.00``, 7 or 0.1 as it prints."""
    if isinstance(value, bool) or value is None:
        raise NotReplayable(f"{value} is no number")
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError) as error:
        raise NotReplayable(f"{value} is no number") from error


def replay(formula: str, inputs: Mapping[str, Any]) -> Decimal:
    """Return the amount, rounded once to the ``step`` among the inputs (S11).

    :raise NotReplayable: see :func:`evaluate`
    """
    step = Decimal(str(inputs.get("step") or "0.01"))
    return round_money(evaluate(formula, inputs), step)
