"""Functions as tools. The annotations of this module are postponed, as in most programs."""

from __future__ import annotations

import functools
import inspect
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import pytest

from ergaster.contracts.context import RunContext
from ergaster.contracts.toolkit import Tool, Toolkit
from ergaster.errors import InvalidArguments, SchemaError, ToolError
from ergaster.tools import FunctionTool, Inject, as_tools, schema_tool, tool

if TYPE_CHECKING:
    from ergaster.contracts.context import ToolContext


class Call:
    """A running call, as far as these tools look at it."""

    def __init__(self, **dependencies: object) -> None:
        self.dependencies = dependencies
        self.reports: list[Any] = []

    async def progress(self, value: Any) -> None:
        self.reports.append(value)


async def run(made: Tool, arguments: dict[str, Any], call: Call | None = None) -> Any:
    return await made.invoke(made.validate(arguments), call or Call())


def add(first: int, second: int = 2) -> int:
    """Add two numbers.

    Use it for sums.

    Args:
        first: The one.
    """
    return first + second


def test_function_becomes_a_tool_with_its_docstring_and_schema():
    (made,) = as_tools(add)

    assert ("add", "Add two numbers.\n\nUse it for sums.") == (made.name, made.description)
    assert {
        "type": "object",
        "properties": {
            "first": {"type": "integer", "description": "The one."},
            "second": {"type": "integer", "default": 2},
        },
        "required": ["first"],
        "additionalProperties": False,
    } == made.parameters


def test_options_become_attributes_of_the_tool():
    @tool(name="rm", description="Remove.", effects=["write", "exec"], confirm=True, timeout=3, ask_for="path")
    def remove(path: str) -> None: ...

    assert ("rm", "Remove.", {"write", "exec"}, True, 3, ("path",)) == (
        remove.name,
        remove.description,
        remove.effects,
        remove.confirm,
        remove.timeout,
        remove.ask_for,
    )


def test_tool_can_still_be_called_as_a_function():
    made = tool(add)

    assert 5 == made(2, second=3)
    assert "add" == made.__name__
    assert inspect.signature(add) == inspect.signature(made)


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        ({}, ("first: missing, expected an integer",)),
        ({"first": None}, ("first: found null, expected an integer",)),
        (
            {"first": "None"},
            ("first: found the text 'None', expected an integer; write the value itself, without quotes around it",),
        ),
        ({"first": 1, "third": 3}, ("third: unknown argument; known are first and second",)),
        (
            {"frist": 1, "second": "2"},
            (
                "frist: unknown argument; did you mean 'first'?",
                "second: found the text '2', expected an integer; write the value itself, without quotes around it",
                "first: missing, expected an integer",
            ),
        ),
        ([1], ("the arguments: found an array of 1, expected an object",)),
        ("first", ("the arguments: found the text 'first', expected an object",)),
        (None, ("the arguments: found null, expected an object",)),
    ],
)
def test_arguments_that_do_not_fit_are_named_for_the_model(arguments, problems):
    with pytest.raises(InvalidArguments) as caught:
        tool(add).validate(arguments)

    assert problems == caught.value.problems
    assert "add" == caught.value.tool
    assert str(caught.value).startswith("the arguments of add do not fit, so nothing was run.")
    assert all(problem in str(caught.value) for problem in problems)


def test_hints_are_read_late_so_that_they_may_name_what_comes_below():
    @tool
    def book(trip: Trip) -> str:
        return trip.to

    assert "to" in book.parameters["properties"]["trip"]["properties"] or book.parameters["$defs"]


@attrs.frozen
class Trip:
    to: str
    day: date | None = None


async def test_arguments_reach_the_function_as_their_types():
    @tool
    def book(trip: Trip, days: set[int]) -> Any:
        return trip, days

    assert (Trip("Oslo", date(2025, 1, 31)), {1, 2}) == await run(
        book, {"trip": {"to": "Oslo", "day": "2025-01-31"}, "days": [1, 2]}
    )


async def test_context_and_dependencies_are_filled_in_and_not_shown_to_the_model():
    @tool
    def look(
        city: str,
        context: ToolContext,
        run: RunContext | None,
        db: Annotated[dict[str, int], Inject("database")],
        cache: Annotated[complex, Inject()],
        log: Annotated[str, Inject("log")] = "none",
    ) -> Any:
        return city, context, run, db, cache, log

    call = Call(database={"x": 1}, cache=3j)

    assert ["city"] == list(look.parameters["properties"])
    assert ("Oslo", call, call, {"x": 1}, 3j, "none") == await run(look, {"city": "Oslo"}, call)
    with pytest.raises(InvalidArguments, match="db: unknown argument"):
        look.validate({"city": "Oslo", "db": {}})
    with pytest.raises(ToolError, match=r"look\(\) needs the dependency 'database'; hand it to the run with dependencies="):
        await run(look, {"city": "Oslo"}, Call(cache=3j))


def test_name_of_the_modules_own_wins_over_ours():
    scope: dict[str, Any] = {"ToolContext": int}
    exec("def look(city: 'ToolContext') -> None: ...", scope)

    assert {"city": {"type": "integer"}} == tool(scope["look"]).parameters["properties"]


class Counter(Toolkit):
    """Counts."""

    def __init__(self, start: int) -> None:
        self.count = start

    @tool(effects="write")
    def increase(self, by: int = 1) -> int:
        """Increase the count."""
        self.count += by
        return self.count

    @tool
    async def show(self, context: ToolContext) -> int:
        """Show the count."""
        return self.count

    @staticmethod
    @tool
    def zero(offset: int) -> int:
        """Return zero."""
        return offset


async def test_methods_bind_to_their_toolkit():
    one, two = Counter(0), Counter(10)
    increase, show, zero = as_tools(one)

    assert ("increase", "show", "zero") == (increase.name, show.name, zero.name)
    assert {"Counter"} == {made.toolkit for made in (increase, show, zero)}
    assert ({"by"}, set(), {"offset"}) == tuple(set(made.parameters["properties"]) for made in (increase, show, zero))
    assert (3, 3, 7) == (await run(increase, {"by": 3}), await run(show, {}), await run(zero, {"offset": 7}))
    assert (15, 15) == (two.increase(5), await run(two.show, {}))
    assert 3 == one.count
    assert Counter.increase.parameters == increase.parameters


async def test_bound_methods_of_any_object_are_tools():
    class Greeter:
        def greet(self, name: str) -> str:
            """Greet."""
            return f"{self.word} {name}"

        word = "hello"

    (made,) = as_tools(Greeter().greet)

    assert ["name"] == list(made.parameters["properties"])
    assert "hello Ada" == await run(made, {"name": "Ada"})


async def test_arguments_that_a_partial_has_set_are_not_asked_of_the_model():
    (made,) = as_tools(functools.partial(add, second=40))

    assert ("add", ["first"]) == (made.name, list(made.parameters["properties"]))
    assert 42 == await run(made, {"first": 2})


async def test_positional_only_parameters_are_passed_by_position():
    @tool
    def power(base: int, exponent: int = 2, /, *, modulo: int | None = None) -> int:
        return pow(base, exponent, modulo)

    @tool
    def rest(first: int = 1, second: int = 2, /, **more: int) -> Any:
        return first, second, more

    assert (9, 8, 2) == (
        await run(power, {"base": 3}),
        await run(power, {"base": 2, "exponent": 3}),
        await run(power, {"base": 2, "exponent": 3, "modulo": 3}),
    )
    assert (1, 5, {"x": 1}) == await run(rest, {"second": 5, "x": 1})


def test_function_that_took_over_the_attributes_of_a_tool_has_a_plan_of_its_own():
    def outer(city: str) -> str: ...

    assert tool(add).parameters
    functools.update_wrapper(outer, add, assigned=())
    del outer.__wrapped__

    assert ["city"] == list(tool(outer).parameters["properties"])


def test_function_may_be_a_tool_and_a_method():
    def shift(self: int, by: int) -> int: ...

    class Register:
        move = tool(shift)

    assert ["self", "by"] == list(tool(shift).parameters["properties"])
    assert ["by"] == list(Register().move.parameters["properties"])
    assert ["self", "by"] == list(tool(shift).parameters["properties"])


async def test_object_that_can_be_called_is_a_tool():
    class Scale:
        """Not this."""

        async def __call__(self, number: int) -> int:
            """Scale a number.

            Args:
                number: Which.
            """
            return number * 3

    made = tool(name="scale")(Scale())

    assert {"number": {"type": "integer", "description": "Which."}} == made.parameters["properties"]
    assert "Scale a number." == made.description
    assert 9 == await run(made, {"number": 3})


def test_replaced_tool_keeps_its_function_and_stays_unread():
    made = tool(add).replace(name="plus", confirm=True)

    assert isinstance(made, FunctionTool)
    assert ("plus", True, 3) == (made.name, made.confirm, made(1))
    with pytest.raises(InvalidArguments, match="the arguments of plus do not fit"):
        made.validate({})


def test_tool_is_a_plain_value():
    made = tool(add)

    assert made == tool(add) != tool(name="other")(add)
    assert {made: 1}[made] == 1
    assert attrs.evolve(made, retries=3).parameters == made.parameters
    with pytest.raises(InvalidArguments, match="the arguments of sum do not fit"):
        attrs.evolve(made, name="sum").validate({})
    assert "add" in repr(made)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.name = "other"
    with pytest.raises(AttributeError):
        made.nothing  # noqa: B018  # reading it is the test


def test_local_classes_are_found_when_the_function_is_decorated():
    def build() -> FunctionTool[Any, Any]:
        @attrs.frozen
        class Local:
            value: int

        @tool
        def use(local: Local) -> int:
            return local.value

        return use

    assert ["value"] == list(build().parameters["properties"]["local"]["properties"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tool(lambda x: x), "a lambda has no name"),
        (lambda: tool(name="look up")(add), "the tool name 'look up' is not allowed"),
        (lambda: tool(name="")(add), "is not allowed"),
        (lambda: tool(name="x" * 65)(add), "is not allowed"),
        (lambda: tool(effects={"wirte"})(add), "unknown effect 'wirte'; effects are read, write, network, exec, money"),
        (lambda: tool(staticmethod(add)), "write @staticmethod above @tool"),
        (lambda: tool(3), "is no function"),
        (lambda: tool(Trip), "is no function"),
        (lambda: tool(ask_for="x")(add).parameters, "ask_for names 'x', which is no parameter"),
        (lambda: as_tools("calculator"), "'calculator' is a name, not a tool"),
        (lambda: as_tools(Counter), "Counter is a class; hand in an instance, Counter()"),
        (lambda: as_tools(3), "3 is no tool"),
        (lambda: as_tools({"name": "x"}), "a tool as a mapping has the keys"),
        (lambda: as_tools({"name": "x", "parameters": {"type": "array"}}), "must be a JSON Schema of an object"),
        (lambda: as_tools({"name": "x", "parameters": {"type": "object", "required": 3}}), "no valid JSON Schema"),
        (lambda: as_tools([add, [add]]), "two tools have the name 'add'"),
        (lambda: as_tools([Counter(1), Counter(2)]), "Counter.increase"),
        (lambda: tool(undocumented).parameters, "undocumented(), 'thing': it has no type hint"),
    ],
)
def test_what_is_no_tool_is_an_error_with_a_next_step(make, message):
    with pytest.raises(SchemaError) as caught:
        make()

    assert message in str(caught.value)


def undocumented(thing): ...


def test_the_same_tool_twice_is_one_tool():
    made = tool(add)

    assert (made,) == as_tools([made, (made,)])


async def test_tools_of_a_raw_schema_check_their_arguments():
    async def invoke(arguments: Any, context: Any) -> str:
        return arguments["city"]

    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    made = schema_tool("look", "Look.", schema, invoke, effects={"network"})
    (outside,) = as_tools({"name": "ask", "description": "Ask.", "parameters": schema})

    assert "Oslo" == await run(made, {"city": "Oslo"})
    assert (True, None) == (outside.external, outside.invoke)
    for each in (made, outside):
        with pytest.raises(InvalidArguments, match="city: found the number 3, expected text"):
            each.validate({"city": 3})
