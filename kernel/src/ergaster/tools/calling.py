"""Reading a function's signature, and calling it with what a model wrote."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
import typing
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ergaster.contracts.context import RunContext, ToolContext
from ergaster.contracts.toolkit import ToolOutput
from ergaster.errors import InvalidArguments, InvalidInput, ToolError
from ergaster.messages import JsonObject
from ergaster.tools.output import MEDIA, as_json

if TYPE_CHECKING:
    from anyio import CapacityLimiter

    from ergaster.schema import Adapter

__all__ = ["Inject", "Plan", "call_function", "checked_arguments", "plan_of", "thread_limiter"]

logger = logging.getLogger(__name__)

thread_limiter: ContextVar[CapacityLimiter | None] = ContextVar("ergaster_thread_limiter", default=None)
"""Which limiter counts the threads of blocking tools; None for anyio's own. The kernel sets one for each depth of
nested runs, so that tools that run agents cannot wait for each other's threads."""

_PLAN = "__ergaster_plan__"


@frozen
class Inject:
    """Marks a parameter that the caller's dependencies fill in: `Annotated[Database, Inject("db")]`.

    Attributes:
        name: The name in `dependencies`; empty for the parameter's own name.
    """

    name: str = ""


@frozen
class Plan:
    """What is known of a function once its signature was read.

    Attributes:
        function: Whose plan it is; a wrapper inherits the attributes of what it wraps, and must not use its plan.
        is_method: Whether the first parameter is `self`.
        adapter: Of the parameters that the model fills in.
        injected: The others: how to get each from the context, by name.
        positional: Positional-only parameters, in order, with their defaults.
    """

    function: Callable[..., object]
    is_method: bool
    adapter: Adapter
    injected: Mapping[str, Callable[[ToolContext], Any]]
    positional: Mapping[str, object]


def plan_of(function: Callable[..., object], is_method: bool, names: Mapping[str, object]) -> Plan:
    """Return the plan of a function, kept on the function as long as that lives.

    Args:
        function: The function.
        is_method: Whether its first parameter is `self`.
        names: Names that its type hints may use besides those of its module.

    Raises:
        SchemaError: If its type hints cannot become a JSON Schema.
    """
    known = getattr(function, "__dict__", {}).get(_PLAN)
    if isinstance(known, Plan) and known.function is function and known.is_method == is_method:
        return known
    plan = _read(function, is_method, names)
    try:
        setattr(function, _PLAN, plan)
    except (AttributeError, TypeError):  # a built-in function keeps nothing; it is read again by each tool
        pass
    return plan


def _read(function: Callable[..., object], is_method: bool, names: Mapping[str, object]) -> Plan:
    from ergaster.schema import function_adapter
    from ergaster.schema.hints import function_hints, plain_function

    parameters = list(inspect.signature(function).parameters.values())
    scope = getattr(plain_function(function), "__globals__", {})
    ours = {"Inject": Inject, "RunContext": RunContext, "ToolContext": ToolContext}
    # these need not be imported at run time: a type checker likes them better under TYPE_CHECKING
    names = {**{name: value for name, value in ours.items() if name not in scope}, **names}
    hints = function_hints(function, names)
    first = {parameters[0].name} if is_method and parameters else set()
    preset = set(function.keywords) if isinstance(function, functools.partial) else set()
    injected: dict[str, Callable[[ToolContext], Any]] = {}
    for parameter in parameters:
        getter = _injection(parameter, hints.get(parameter.name), getattr(function, "__qualname__", str(function)))
        if getter is not None and parameter.name not in first:
            injected[parameter.name] = getter
    only = [item for item in parameters if item.kind is item.POSITIONAL_ONLY and item.name not in first]
    positional = {item.name: item.default for item in only}
    skip = frozenset(first | preset | set(injected))
    return Plan(function, is_method, function_adapter(function, skip, names=names), injected, positional)


def _injection(parameter: inspect.Parameter, hint: Any, where: str) -> Callable[[ToolContext], Any] | None:
    """Return how to fill a parameter from the context, or None when the model does."""
    for note in getattr(hint, "__metadata__", ()):
        if isinstance(note, Inject) or note is Inject:
            name = (note.name if isinstance(note, Inject) else "") or parameter.name
            return functools.partial(_dependency, name, parameter.default, where)
    members = typing.get_args(hint) if typing.get_origin(hint) is not None else (hint,)
    if any(isinstance(member, type) and RunContext in member.__mro__ for member in members):
        return _same
    return None


def _same(context: ToolContext) -> ToolContext:
    return context


def _dependency(name: str, default: object, where: str, context: ToolContext) -> object:
    try:
        return context.dependencies[name]
    except KeyError:
        if default is not inspect.Parameter.empty:
            return default
        raise ToolError(
            f"the function {where}() needs the dependency {name!r}; hand it to the run with dependencies={{{name!r}: ...}}"
        ) from None


def checked_arguments(load: Callable[[JsonObject], Any], name: str, arguments: JsonObject) -> JsonObject:
    """Return the arguments as the tool wants them.

    Raises:
        InvalidArguments: If they do not fit; written for the model to act on.
    """
    try:
        loaded: JsonObject = load(arguments)
    except InvalidInput as error:
        listed = "\n".join(f"- {problem}" for problem in error.problems)
        raise InvalidArguments(
            f"the arguments of {name} do not fit, so nothing was run. Correct these and call it again:\n{listed}",
            tool=name,
            problems=error.problems,
        ) from None
    return loaded


async def call_function(
    plan: Plan, function: Callable[..., object], arguments: JsonObject, context: ToolContext, *, blocking: bool
) -> object:
    """Call a tool's function with checked arguments and what it gets from the context.

    Args:
        plan: What is known of it.
        function: The function, or the bound method.
        arguments: As `plan.adapter` loaded them.
        context: The running call.
        blocking: Whether a plain function needs a thread.
    """
    values = dict(arguments)
    for name, getter in plan.injected.items():
        values[name] = getter(context)
    positional = [values.pop(name, default) for name, default in plan.positional.items()]
    call = functools.partial(function, *positional, **values)
    plain = inspect.unwrap(plan.function)
    if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain) or not blocking:
        result = call()
    else:
        result = await _in_thread(call, context)
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, Generator):
        return await _in_thread(lambda: result, context)
    return await _follow(result, context) if isinstance(result, AsyncGenerator) else result


async def _in_thread(call: Callable[[], object], context: ToolContext) -> object:
    """Run a call, and the generator that it may return, in a worker thread.

    When the caller stops waiting, a generator is closed at its next step, and the result is dropped.
    """
    import anyio
    import anyio.from_thread
    import anyio.to_thread

    abandoned = threading.Event()

    def report(value: object) -> None:
        anyio.from_thread.run(_progress, value, context)

    def work() -> object:
        try:
            result = call()
            return _step(result, report, abandoned) if isinstance(result, Generator) else result
        finally:
            if abandoned.is_set():
                logger.warning("a blocking tool ended after its call was given up; its result is dropped")

    try:
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=thread_limiter.get())
    except anyio.get_cancelled_exc_class():
        abandoned.set()
        raise


def _step(steps: Generator[object, None, object], report: Callable[[object], None], abandoned: threading.Event) -> object:
    last: object = None
    while True:
        try:
            value = next(steps)
        except StopIteration as end:
            return last if end.value is None else end.value
        if abandoned.is_set():
            steps.close()
            return None
        last = value
        report(value)


async def _follow(steps: AsyncGenerator[object, None], context: ToolContext) -> object:
    last: object = None
    async with aclosing(steps):
        async for value in steps:
            last = value
            await _progress(value, context)
    return last


async def _progress(value: object, context: ToolContext) -> None:
    if not isinstance(value, (ToolOutput, *MEDIA)):
        await context.progress(as_json(value, "a progress report"))
