"""`@tool`, and the tool that it makes."""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from types import MethodType
from typing import Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack, overload

from attrs import field, fields, frozen

from ergaster.contracts.context import ToolContext
from ergaster.contracts.toolkit import Effect, Invoke, Tool, ToolHook
from ergaster.errors import SchemaError
from ergaster.messages import JsonObject
from ergaster.tools.calling import Plan, call_function, checked_arguments, plan_of

__all__ = ["FunctionTool", "ToolOptions", "checked_effects", "checked_name", "function_tool", "tool"]

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EFFECTS: tuple[str, ...] = typing.get_args(Effect)


class ToolOptions(TypedDict, total=False):
    """The keyword options of `tool`: the attributes of `Tool` that a user sets."""

    effects: str | Iterable[Effect]
    contained: bool
    idempotent: bool
    confirm: bool
    approval: str | None
    external: bool
    ask_for: tuple[str, ...]
    timeout: float | None
    retries: int
    cache: float
    concurrency: int | None
    result_limit: int
    ends_run: bool
    shows_result: bool
    hooks: tuple[ToolHook, ...]
    toolkit: str


_LATER: Any = object()
"""Stands for an attribute that is read from the function when somebody first asks for it."""


@frozen(kw_only=True)
class FunctionTool(Tool, Generic[P, R]):
    """A tool that is a Python function; it can still be called as one.

    Its description and its schema are read from the function when they are first asked for, so that a type hint may
    name what is defined further down, and a module full of tools imports at once. As an attribute of a class it binds
    to the instance like any method.

    Attributes:
        function: The function itself.
        owner: The instance that it is bound to.
        blocking: Whether a plain function runs in a worker thread; without one it must never wait.
        is_method: Whether the first parameter is `self`.
        names: Names that its type hints may use besides those of its module.
    """

    description: str = _LATER
    parameters: JsonObject = field(default=_LATER, repr=False)
    invoke: Invoke | None = field(default=_LATER, repr=False, eq=False)
    validate: Callable[[JsonObject], JsonObject] | None = field(default=_LATER, repr=False, eq=False)
    function: Callable[P, R]
    owner: object = field(default=None, repr=False)
    blocking: bool = True
    is_method: bool = False
    names: Mapping[str, object] = field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        for name in ("description", "parameters", "invoke", "validate"):
            value = getattr(self, name)
            if value is _LATER or getattr(value, "func", None) in {_invoke, _validate}:  # of the tool that this is a copy of
                object.__delattr__(self, name)  # an empty slot sends its first reader to __getattr__

    def __getattr__(self, name: str) -> Any:
        if name == "description":
            value: object = _description(self.function)
        elif name == "parameters":
            value = _plan(self).adapter.json_schema
            _check_asked(self.name, self.ask_for, value)
        elif name == "invoke":
            value = None if self.external else functools.partial(_invoke, self)
        elif name == "validate":
            value = functools.partial(_validate, self)
        elif name in {"__name__", "__qualname__", "__wrapped__"}:
            return self.function if name == "__wrapped__" else getattr(self.function, name)
        else:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, name, value)
        return value

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "is_method", True)

    @overload
    def __get__(self, instance: None, owner: type) -> FunctionTool[P, R]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> FunctionTool[..., R]: ...
    def __get__(self, instance: object | None, owner: type) -> FunctionTool[P, R] | FunctionTool[..., R]:
        return self if instance is None or not self.is_method else self.replace(owner=instance)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as if it were no tool."""
        return self.function(*args, **kwargs) if self.owner is None else self.function(self.owner, *args, **kwargs)  # type: ignore[arg-type]  # bound to its owner

    def __hash__(self) -> int:
        return hash((self.name, id(self.function), id(self.owner)))

    def replace(self, **changes: object) -> FunctionTool[P, R]:
        """Return a copy with these attributes changed; what was not asked for yet stays unread."""
        values: dict[str, Any] = {}
        for name in FIELDS:
            try:
                values[name] = object.__getattribute__(self, name)
            except AttributeError:  # not read yet
                continue
        return type(self)(**{**values, **changes})


FIELDS = tuple(item.name for item in fields(FunctionTool))


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, blocking: bool = True, **options: Unpack[ToolOptions]
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    blocking: bool = True,
    **options: Unpack[ToolOptions],
) -> FunctionTool[P, R] | Callable[[Callable[P, R]], FunctionTool[P, R]]:
    """Turn a function or a method into a tool that an agent can call.

    The model reads the docstring: its text becomes the description, its `Args` the descriptions of the parameters. The
    type hints become the schema, and arguments that do not fit it never reach the function. A parameter annotated with
    `ToolContext` or `RunContext` receives the running call, one with `Annotated[T, Inject("name")]` the caller's
    dependency; the model sees neither.

    A plain function runs in a worker thread, a coroutine function on the loop. A generator tells the run how far it is:
    each value that it yields is shown as progress at once, and the last one, or what it returns, is the result. A
    `ToolOutput` that it yields is always the result and never progress.

    Args:
        function: The function, when the decorator has no options.
        name: What the model calls it; the function's name by default.
        description: Instead of the docstring's text.
        blocking: False for a plain function that never waits and so needs no thread.
        options: Attributes of `Tool`, such as `effects={"write"}`, `confirm=True`, `timeout=30`.

    Raises:
        SchemaError: If the name or an effect is not allowed.

    Example:
        >>> @tool(effects={"read"})
        ... def population(city: str) -> int:
        ...     '''Return how many people live in a city.'''
        ...     return {"Nairobi": 4_397_073}[city]
    """

    def decorate(function: Callable[P, R]) -> FunctionTool[P, R]:
        made = function_tool(function, name, description=description, blocking=blocking, **options)
        return typing.cast("FunctionTool[P, R]", made)

    return decorate if function is None else decorate(function)


def _local_names(function: Callable[..., object]) -> Mapping[str, object]:
    """Return the local classes that a local function's hints name, while the function around it still runs."""
    if "<locals>" not in getattr(function, "__qualname__", ""):
        return {}
    from ergaster.schema.hints import enclosing_names

    return enclosing_names(function)


def function_tool(
    function: Any,
    name: str | None = None,
    *,
    description: str | None = None,
    **options: Any,
) -> FunctionTool[..., Any]:
    """Return a function as a tool; the options are those of `tool`."""
    if isinstance(function, staticmethod | classmethod):
        raise SchemaError(f"@tool stands above @{type(function).__name__}; write @{type(function).__name__} above @tool")
    if not callable(function) or isinstance(function, type):
        raise SchemaError(f"{function!r} is no function; decorate a function or a method")
    options["effects"] = checked_effects(options.get("effects", ()), function)
    asked = options.get("ask_for", ())
    options["ask_for"] = (asked,) if isinstance(asked, str) else tuple(asked)
    if description is not None:
        options["description"] = description
    name = checked_name(name, function)
    if isinstance(function, MethodType):
        options |= {"owner": function.__self__, "is_method": True}
        return FunctionTool(name=name, function=function.__func__, names=_local_names(function.__func__), **options)
    return FunctionTool(name=name, function=function, names=_local_names(function), **options)


def checked_name(name: str | None, function: object = None) -> str:
    """Return a tool's name, the function's own if None; raises `SchemaError` when providers would refuse it."""
    if name is None:
        plain = function.func if isinstance(function, functools.partial) else function
        name = getattr(plain, "__name__", type(function).__name__)
    if name == "<lambda>":
        raise SchemaError("a lambda has no name and no type hints; write a function with `def`")
    if not _NAME.fullmatch(name):
        raise SchemaError(
            f"the tool name {name!r} is not allowed; use 1 to 64 of A-Z, a-z, 0-9, '_' and '-', as in @tool(name='look_up')"
        )
    return name


def checked_effects(effects: str | Iterable[str], owner: object) -> frozenset[Effect]:
    """Return effects as a set; raises `SchemaError` for an unknown one."""
    words = frozenset([effects] if isinstance(effects, str) else effects)
    if unknown := sorted(words.difference(_EFFECTS)):
        where = getattr(owner, "__qualname__", owner)
        raise SchemaError(f"the tool {where}: unknown effect {unknown[0]!r}; effects are {', '.join(_EFFECTS)}")
    return typing.cast("frozenset[Effect]", words)


def _check_asked(name: str, asked: tuple[str, ...], schema: JsonObject) -> None:
    if unknown := [word for word in asked if word not in schema["properties"]]:
        raise SchemaError(f"the tool {name}: ask_for names {unknown[0]!r}, which is no parameter of it")


def _description(function: Callable[..., object]) -> str:
    from ergaster.schema.docstrings import parse_docstring
    from ergaster.schema.hints import function_doc

    return parse_docstring(function_doc(function)).description


def _plan(made: FunctionTool[..., Any]) -> Plan:
    return plan_of(made.function, made.is_method, made.names)


def _validate(made: FunctionTool[..., Any], arguments: JsonObject) -> JsonObject:
    return checked_arguments(_plan(made).adapter.load, made.name, arguments)


async def _invoke(made: FunctionTool[..., Any], arguments: JsonObject, context: ToolContext) -> object:
    return await call_function(_plan(made), made, arguments, context, blocking=made.blocking)
