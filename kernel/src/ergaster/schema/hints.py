"""Type hints as objects: forward references, postponed annotations, local classes."""

from __future__ import annotations

import builtins
import functools
import inspect
import re
import sys
import typing
from collections.abc import Callable, Mapping
from types import FrameType, SimpleNamespace
from typing import Any

from ergaster.errors import SchemaError

__all__ = ["class_hints", "enclosing_names", "function_doc", "function_hints", "hint_name", "plain_function"]

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def hint_name(hint: object) -> str:
    """Return how a user would write a hint."""
    return hint.__qualname__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")


def resolve(
    annotations: Mapping[str, object], scope: Mapping[str, object], names: Mapping[str, object], where: str
) -> dict[str, object]:
    """Return the annotations as objects; the names win over the module's scope.

    Raises:
        SchemaError: If a name in an annotation is not defined; says in which.
    """
    try:
        return _evaluate(annotations, scope, names)
    except Exception:  # boundary: an annotation is the user's code; the guilty one is found below
        hints: dict[str, object] = {}
    for name, annotation in annotations.items():
        try:
            hints.update(_evaluate({name: annotation}, scope, names))
        except Exception as error:  # boundary: an annotation is the user's code
            raise SchemaError(
                f"{where}, {name!r}: the type hint {annotation!r} cannot be resolved ({type(error).__name__}: {error}); "
                "define or import the name in the module itself, not in a function or under TYPE_CHECKING"
            ) from error
    return hints


def _evaluate(annotations: Mapping[str, object], scope: Mapping[str, object], names: Mapping[str, object]) -> dict[str, object]:
    holder = SimpleNamespace(__annotations__=dict(annotations))
    return typing.get_type_hints(holder, globalns=scope, localns=names, include_extras=True)  # type: ignore[arg-type]  # only read


def plain_function(function: Callable[..., object]) -> Callable[..., object]:
    """Return the function that has the hints: under wrappers, partial applications, and objects that can be called."""
    plain = inspect.unwrap(function)
    while isinstance(plain, functools.partial):
        plain = inspect.unwrap(plain.func)
    called: Callable[..., object] = plain if inspect.isroutine(plain) else type(plain).__call__
    return called


def function_doc(function: Callable[..., object]) -> str:
    """Return the docstring of a function, or of what a partial application or an object calls."""
    own = function if inspect.isroutine(function) else plain_function(function)
    return inspect.getdoc(own) or ""


def function_hints(function: Callable[..., object], names: Mapping[str, object]) -> dict[str, object]:
    """Return a function's hints, resolved in its module, its closure and *names*."""
    plain = plain_function(function)
    scope: Mapping[str, object] = getattr(plain, "__globals__", {})
    annotations = {name: hint for name, hint in inspect.get_annotations(plain).items() if name != "return"}
    where = f"the function {getattr(plain, '__qualname__', plain)!s}()"
    names = {**_closure(plain), **enclosing_names(plain), **names}
    return resolve(annotations, scope, names, where)


def class_hints(kind: type) -> dict[str, object]:
    """Return the hints of a class and its bases, each resolved in its own module."""
    hints: dict[str, object] = {}
    for base in reversed(kind.__mro__):
        if base is object or not (annotations := inspect.get_annotations(base)):
            continue
        scope = vars(sys.modules[base.__module__]) if base.__module__ in sys.modules else {}
        # `date: date | None = None` means the module's date; a class nested in this one means itself
        known = {*scope, *dir(builtins)}
        nested = {name: value for name, value in vars(base).items() if name not in known or isinstance(value, type)}
        names = {**nested, **enclosing_names(base), base.__name__: base}
        hints.update(resolve(annotations, scope, names, f"the class {base.__qualname__}"))
    return hints


def _closure(function: Callable[..., object]) -> dict[str, object]:
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    if code is None or not cells:
        return {}
    found = {}
    for name, cell in zip(code.co_freevars, cells, strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            pass
    return found


def enclosing_names(owner: Any) -> dict[str, object]:
    """Return what the annotations of a local function or class name in the function around it, if that still runs."""
    plain = owner if isinstance(owner, type) else plain_function(owner)
    qualname: str = getattr(plain, "__qualname__", "")
    if "<locals>" not in qualname:
        return {}
    words = _words(inspect.get_annotations(plain))
    outer = qualname.rpartition(".<locals>")[0]
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # the only way to a running function's locals
    while frame is not None:
        if frame.f_code.co_qualname == outer:
            return {word: frame.f_locals[word] for word in words if word in frame.f_locals}
        frame = frame.f_back
    return {}


def _words(annotations: Mapping[str, object]) -> set[str]:
    return {word for hint in annotations.values() for word in _WORD.findall(hint if isinstance(hint, str) else repr(hint))}
