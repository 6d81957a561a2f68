"""Arithmetic on text: Python's own parser, a short list of what may be computed, and a bound on everything."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction
from typing import TypeAlias

from ergaster.errors import ToolError

__all__ = ["CONSTANTS", "FUNCTIONS", "evaluate"]

Number: TypeAlias = Fraction | float
"""Exact as long as it can be; a float once a root, a logarithm or an angle came in."""

_MAX_CHARACTERS = 1_000
_MAX_DEPTH = 100
_MAX_BITS = 4_096
_MAX_FACTORIAL = 400
_MAX_PLACES = 300
_EXACT_DIGITS = 40
_ROUNDED_DIGITS = 15

# What people type for what Python calls it.
_SPELLINGS = str.maketrans({"^": "**", "×": "*", "·": "*", "÷": "/", "−": "-"})  # noqa: RUF001 - these signs are the point


class _Problem(Exception):
    """What is wrong with the expression; becomes the message of a ToolError."""


def evaluate(expression: str) -> str:
    """Return the value of an arithmetic expression as text.

    Sums, products, quotients and whole powers are exact: `0.1 + 0.2` is `0.3`. Whole numbers are given in full, other
    exact values with up to 40 digits; what has no end, such as `1 / 3`, and what comes from roots, logarithms and
    angles is rounded to 15 digits. Angles are in radians. `round` rounds a half away from zero.

    Raises:
        ToolError: If the expression cannot be read, uses anything but numbers, `+ - * / // % ** ^`, parentheses and
            the known functions and constants, has no real value, or is larger than a bound: 1,000 characters, 100
            levels, numbers of 4,096 bits.
    """
    try:
        return _show(_compute(_parse(expression), 0))
    except _Problem as problem:
        raise ToolError(f"cannot calculate {_cut(expression)}: {problem}") from None
    except ZeroDivisionError:
        raise ToolError(f"cannot calculate {_cut(expression)}: it divides by zero") from None
    except OverflowError:
        raise ToolError(f"cannot calculate {_cut(expression)}: a number on the way is too large") from None
    except ValueError:
        raise ToolError(f"cannot calculate {_cut(expression)}: a function has no real value there") from None


def _cut(expression: str) -> str:
    return repr(expression if len(expression) <= 100 else f"{expression[:100]}…")


def _parse(expression: str) -> ast.expr:
    if len(expression) > _MAX_CHARACTERS:
        raise _Problem(f"it is longer than {_MAX_CHARACTERS} characters; calculate it in parts")
    text = " ".join(expression.translate(_SPELLINGS).split())
    if not text:
        raise _Problem("it is empty; give an expression such as '2 * (3 + 4)'")
    try:
        body = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Problem(f"it is no arithmetic expression{_hint(text)}") from None
    for node in ast.walk(body):  # the literal as it was typed: 0.1 is a tenth, not the float nearest to it
        if isinstance(node, ast.Constant):
            node.kind = ast.get_source_segment(text, node)
    return body


def _hint(text: str) -> str:
    if "%" in text:
        return "; write a percentage as a factor: '0.15 * 80' for 15% of 80"
    if "!" in text:
        return "; write 'factorial(5)' for 5!"
    return "; use numbers, + - * / // % **, parentheses and functions, such as '2 * (3 + sqrt(4))'"


def _compute(node: ast.expr, depth: int) -> Number:
    if depth > _MAX_DEPTH:
        raise _Problem(f"it is nested deeper than {_MAX_DEPTH} levels; calculate it in parts")
    match node:
        case ast.Constant(value=int() | float(), kind=str(text)) if not isinstance(node.value, bool):
            return _read_number(text)
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            value = _compute(operand, depth + 1)
            return -value if isinstance(node.op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_compute(left, depth + 1), _compute(right, depth + 1)))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _bounded(_call(name, [_compute(argument, depth + 1) for argument in arguments]))
        case ast.Name(id=name):
            return _constant(name)
        case ast.Tuple():
            raise _Problem("it has a comma; write 1000, not 1,000, and one expression in each call")
    raise _Problem("it is more than arithmetic; only numbers, + - * / // % **, parentheses and functions are known")


def _read_number(text: str) -> Fraction:
    if text[:2].lower() in {"0x", "0o", "0b"}:
        return _bounded_exact(Fraction(int(text, 0)))
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise _Problem(f"{text[:40]!r} is no number") from None
    if abs(number.adjusted()) > _MAX_BITS // 4:
        raise _Problem(f"the number {text[:40]!r} is too large or too small")
    return _bounded_exact(Fraction(number))


def _constant(name: str) -> float:
    if name not in CONSTANTS:
        known = f"the constants {_names(CONSTANTS)} and the functions {_names(FUNCTIONS)}"
        raise _Problem(f"{name[:40]!r} is not known; use numbers, {known}")
    return CONSTANTS[name]


def _call(name: str, arguments: Sequence[Number]) -> Number:
    if name not in FUNCTIONS:
        raise _Problem(f"there is no function {name[:40]!r}; known are {_names(FUNCTIONS)}")
    fewest, most, function = FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise _Problem(f"{name} takes {wanted} numbers, not {len(arguments)}")
    return function(*arguments)


def _names(table: Mapping[str, object]) -> str:
    return ", ".join(table)


def _bounded(value: Number) -> Number:
    if isinstance(value, Fraction):
        return _bounded_exact(value)
    if not math.isfinite(value):
        raise OverflowError
    return value


def _bounded_exact(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MAX_BITS:
        raise OverflowError
    return value


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        return _whole_power(base, exponent.numerator)
    if base < 0 and exponent != int(exponent):
        raise _Problem("a root of a negative number has no real value")
    return math.pow(base, exponent)


def _whole_power(base: Fraction, exponent: int) -> Fraction:
    if abs(base) == 1:
        return base ** (exponent % 2)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length()) - 1
    if base != 0 and bits * abs(exponent) > _MAX_BITS:
        raise OverflowError
    return Fraction(base**exponent)


def _round(value: Number, places: Number = Fraction(0)) -> Fraction:
    """Round a half away from zero, as it is taught at school."""
    digits = _whole("round", places, _MAX_PLACES)
    scale = Fraction(10) ** digits
    exact = Fraction(Decimal(repr(value))) if isinstance(value, float) else value
    rounded = math.floor(abs(exact) * scale + Fraction(1, 2)) / scale
    return -rounded if exact < 0 else rounded


def _whole(name: str, value: Number, limit: int) -> int:
    number = int(value)
    if value != number or abs(number) > limit:
        raise _Problem(f"{name} takes whole numbers there, up to {float(limit):g}")
    return number


def _factorial(value: Number) -> Fraction:
    return Fraction(math.factorial(_whole("factorial", value, _MAX_FACTORIAL)))


def _gcd(*values: Number) -> Fraction:
    return Fraction(math.gcd(*(_whole("gcd", value, 10**_MAX_PLACES) for value in values)))


def _square_root(value: Number) -> Number:
    if isinstance(value, Fraction) and value >= 0:
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if top * top == value.numerator and bottom * bottom == value.denominator:
            return Fraction(top, bottom)
    return math.sqrt(value)


def _log(value: Number, base: Number | None = None) -> float:
    return math.log(value) if base is None else math.log(value) / math.log(base)


def _angle(function: Callable[[float], float]) -> Callable[[Number], float]:
    """Round to 15 places, so that sin(pi) is 0."""
    return lambda value: round(function(float(value)), 15)


_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda left, right: Fraction(left // right),
    ast.Mod: operator.mod,
    ast.Pow: _power,
}

CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}
"""The names that stand for numbers."""

_ANY = 100
FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Number]]] = {
    "sqrt": (1, 1, _square_root),
    "abs": (1, 1, abs),
    "round": (1, 2, _round),
    "floor": (1, 1, lambda value: Fraction(math.floor(value))),
    "ceil": (1, 1, lambda value: Fraction(math.ceil(value))),
    "min": (1, _ANY, lambda *values: min(values)),
    "max": (1, _ANY, lambda *values: max(values)),
    "sum": (1, _ANY, lambda *values: sum(values, Fraction(0))),
    "mean": (1, _ANY, lambda *values: sum(values, Fraction(0)) / len(values)),
    "factorial": (1, 1, _factorial),
    "gcd": (1, _ANY, _gcd),
    "pow": (2, 2, _power),
    "exp": (1, 1, math.exp),
    "log": (1, 2, _log),
    "ln": (1, 1, math.log),
    "log10": (1, 1, math.log10),
    "log2": (1, 1, math.log2),
    "sin": (1, 1, _angle(math.sin)),
    "cos": (1, 1, _angle(math.cos)),
    "tan": (1, 1, _angle(math.tan)),
    "asin": (1, 1, math.asin),
    "acos": (1, 1, math.acos),
    "atan": (1, 1, math.atan),
    "degrees": (1, 1, math.degrees),
    "radians": (1, 1, math.radians),
}
"""By name: the fewest and the most numbers that it takes, and what it does."""


def _show(value: Number) -> str:
    if isinstance(value, float):
        return _show_decimal(Decimal(format(value + 0.0, f".{_ROUNDED_DIGITS}g")))
    if value.denominator == 1:
        return str(value.numerator)
    top, bottom = Decimal(value.numerator), Decimal(value.denominator)
    try:
        quotient = Context(prec=_EXACT_DIGITS, traps=[Inexact]).divide(top, bottom)
    except Inexact:
        quotient = Context(prec=_ROUNDED_DIGITS).divide(top, bottom)
    return _show_decimal(quotient)


def _show_decimal(value: Decimal) -> str:
    plain = value.normalize(Context(prec=_EXACT_DIGITS))
    return format(plain, "f") if -_ROUNDED_DIGITS < plain.adjusted() < _EXACT_DIGITS else str(plain)
