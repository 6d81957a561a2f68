"""The toolkit kit passes a good toolkit and catches each broken one."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ergaster.contracts.toolkit import Tool, Toolkit, ToolOutput
from ergaster.errors import InvalidArguments, RetryTool, ToolError
from ergaster.messages import JsonObject
from ergaster.testing import ToolkitContract
from ergaster.tools import tool

TEXT_SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "description": "Any text."}},
    "required": ["text"],
    "additionalProperties": False,
}


class Good(Toolkit):
    """Does nothing wrong."""

    instructions = "Take notes."

    def __init__(self) -> None:
        self.notes: list[str] = []

    @tool(effects={"read"}, idempotent=True)
    async def length(self, text: str, times: int = 1) -> int:
        """Return the length of a text.

        Args:
            text: Any text.
            times: How often to count it.
        """
        await asyncio.sleep(0)
        if times < 1:
            raise ValueError(f"times is {times}; give 1 or more")
        return len(text) * times

    @tool(effects={"write"}, contained=True)
    def note(self, text: str) -> ToolOutput:
        """Keep a note in the workspace.

        Args:
            text: What to keep.
        """
        if "\0" in text or not text.isprintable():
            raise RetryTool("write one line of plain text")
        Path("notes.txt").write_text(text)
        return ToolOutput("kept", data={"length": len(text)})

    @tool(effects={"network"})
    def fetch(self, address: str) -> str:
        """Fetch an address.

        Args:
            address: Where to look.
        """
        raise AssertionError("the kit called a tool with an effect on the network, and was not asked to")


class TestGoodToolkit(ToolkitContract):
    examples: ClassVar = {"length": {"text": "abc"}, "note": {"text": "abc"}}

    def make_toolkit(self, workspace: Path) -> Toolkit:
        return Good()


class Single(Toolkit):
    """One tool, given as it is."""

    def __init__(self, *tools: Tool) -> None:
        self._tools = tools

    def tools(self) -> tuple[Tool, ...]:
        return self._tools


def plain(function: Callable[[JsonObject], Any], **changes: Any) -> Tool:
    """Return a tool `echo(text)` around *function*, with nothing but what *changes* say."""

    async def invoke(arguments: JsonObject, context: object) -> object:
        result = function(arguments)
        return await result if inspect.isawaitable(result) else result

    def validate(arguments: JsonObject) -> JsonObject:
        if set(arguments) != {"text"} or not isinstance(arguments["text"], str):
            raise InvalidArguments("give text", tool="echo")
        return arguments

    values = {"name": "echo", "description": "Echo.", "parameters": TEXT_SCHEMA, "validate": validate, **changes}
    return Tool(invoke=invoke, **values)


def echo(arguments: JsonObject) -> str:
    return "fine"


def kit_of(make: Callable[[], Toolkit], **attributes: Any) -> type[ToolkitContract]:
    """Return the kit of the toolkits that *make* makes; its one example is `echo(text="abc")`."""
    values = {"examples": {"echo": {"text": "abc"}}, "patience": 1.0, **attributes}
    return type("Kit", (ToolkitContract,), {**values, "make_toolkit": lambda self, workspace: make()})


def kit_of_tool(function: Callable[[JsonObject], Any] = echo, **changes: Any) -> type[ToolkitContract]:
    return kit_of(lambda: Single(plain(function, **changes)))


def write_inside(arguments: JsonObject) -> str:
    Path("surprise.txt").write_text("x")
    return "written"


def write_outside(arguments: JsonObject) -> str:
    Path("../outside/surprise.txt").write_text("x")
    return "written"


def read_anything(arguments: JsonObject) -> str:
    try:
        return Path(arguments["text"]).read_text()
    except (OSError, ValueError) as error:
        raise ToolError("cannot be read") from error


def write_anywhere(arguments: JsonObject) -> str:
    try:
        Path(arguments["text"]).write_text("changed")
    except (OSError, ValueError) as error:
        raise ToolError("cannot be written") from error
    return "written"


def stumble(arguments: JsonObject) -> str:
    arguments["text"].encode("ascii")
    return "fine"


def repeat_everything(arguments: JsonObject) -> str:
    raise ToolError(f"cannot use {arguments['text']}")


async def hang(arguments: JsonObject) -> str:
    if arguments["text"] == "-1":
        await asyncio.sleep(60)
    return "fine"


async def swallow(arguments: JsonObject) -> str:
    try:
        await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        return "still here"
    return "fine"


async def block(arguments: JsonObject) -> str:
    time.sleep(0.15)
    return "fine"


def fail(arguments: JsonObject) -> str:
    raise ToolError("never works")


def load_and_leave(arguments: JsonObject) -> JsonObject:
    return arguments


def refuse_strangely(arguments: JsonObject) -> JsonObject:
    raise ValueError("no")


def refuse_namelessly(arguments: JsonObject) -> JsonObject:
    raise InvalidArguments("no")


class Exclusive(Single):
    """Works for one call at a time."""

    def __init__(self) -> None:
        super().__init__(plain(self._work))
        self._busy = False

    async def _work(self, arguments: JsonObject) -> str:
        if self._busy:
            raise RuntimeError("busy")
        self._busy = True
        await asyncio.sleep(0)
        self._busy = False
        return "fine"


class Wounded(Single):
    """Is of no use after a cancelled call."""

    def __init__(self) -> None:
        super().__init__(plain(self._work))
        self._busy = False

    async def _work(self, arguments: JsonObject) -> str:
        assert not self._busy
        self._busy = True
        await asyncio.sleep(0)
        self._busy = False
        return "fine"


class OneLoop(Single):
    """Keeps something of the first event loop."""

    _future: asyncio.Future[str] | None = None

    def __init__(self) -> None:
        super().__init__(plain(self._work))

    async def open(self) -> None:
        if self._future is None:
            self._future = asyncio.get_running_loop().create_future()

    async def _work(self, arguments: JsonObject) -> str:
        assert self._future is not None
        assert self._future.get_loop() is asyncio.get_running_loop()
        return "fine"


class ClosedOnce(Single):
    """Cannot be closed twice."""

    def __init__(self) -> None:
        super().__init__(plain(echo))
        self._open = False

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        assert self._open
        self._open = False


class Talkative(Single):
    """Shows its key."""

    def __init__(self) -> None:
        super().__init__(plain(echo))
        self._key = os.environ.get("ERGASTER_TEST_KEY")

    def __repr__(self) -> str:
        return f"Talkative({self._key})"


class Changing(Single):
    """Has other tools each time."""

    count = 0

    def tools(self) -> tuple[Tool, ...]:
        self.count += 1
        return (plain(echo, name=f"echo{self.count}"),)


class Lecture(Single):
    """Says too much."""

    instructions = "Be careful. " * 1_000


NO_WORDS = {**TEXT_SCHEMA, "properties": {"text": {"type": "string"}}}
NO_SCHEMA = {**TEXT_SCHEMA, "properties": {"text": {"type": "strin", "description": "Any text."}}}
NO_OBJECT = {"type": "string"}
NO_JSON = {**TEXT_SCHEMA, "default": ()}

MUTANTS: Mapping[str, list[type[ToolkitContract]]] = {
    "test_tools_have_legal_and_different_names": [
        kit_of(Single),
        kit_of(lambda: Single(plain(echo), plain(echo))),
        kit_of_tool(name="écho"),
        kit_of(Changing),
    ],
    "test_tools_and_parameters_are_described": [
        kit_of_tool(description=" "),
        kit_of_tool(parameters=NO_WORDS),
        kit_of(lambda: Lecture(plain(echo))),
    ],
    "test_schemas_are_valid": [
        kit_of_tool(parameters=NO_SCHEMA),
        kit_of_tool(parameters=NO_OBJECT),
        kit_of_tool(parameters=NO_JSON),
    ],
    "test_effects_are_declared": [
        kit_of_tool(effects=frozenset({"fly"})),
        kit_of_tool(effects=frozenset({"read"}), contained=True),
    ],
    "test_examples_succeed": [
        kit_of_tool(fail),
        kit_of(lambda: Single(plain(echo)), examples={"ecko": {}}),
        kit_of_tool(lambda _: ToolOutput("fine", data=float("nan"))),
        kit_of_tool(lambda _: ToolOutput("fine", media=("picture",))),  # type: ignore[arg-type]
    ],
    "test_tool_without_write_changes_nothing": [
        kit_of_tool(write_inside),
        kit_of_tool(write_outside, effects=frozenset({"write"})),
    ],
    "test_arguments_that_do_not_fit_are_refused": [
        kit_of_tool(validate=None),
        kit_of_tool(validate=load_and_leave),
        kit_of_tool(validate=refuse_strangely),
        kit_of_tool(validate=refuse_namelessly),
    ],
    "test_hostile_arguments_do_no_harm": [
        kit_of_tool(read_anything, effects=frozenset({"read"})),
        kit_of_tool(write_anywhere, effects=frozenset({"write"}), contained=True),
        kit_of_tool(stumble),
        kit_of_tool(repeat_everything),
        kit_of_tool(hang),
    ],
    "test_calls_at_the_same_time_do_not_disturb_each_other": [kit_of(Exclusive)],
    "test_cancelled_call_ends_and_the_toolkit_goes_on": [kit_of_tool(swallow), kit_of(Wounded)],
    "test_toolkit_opens_and_closes_again_and_in_another_loop": [kit_of(OneLoop), kit_of(ClosedOnce)],
    "test_no_call_stalls_the_loop": [kit_of_tool(block)],
    "test_secrets_are_never_shown": [kit_of(Talkative, secrets=("ERGASTER_TEST_KEY",))],
    "test_import_is_light_and_silent": [],  # see below: it takes modules on the disk
}


async def run_test(kit: type[ToolkitContract], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one test of a kit as pytest would."""
    fixtures = {"workspaces": make_workspaces(tmp_path, monkeypatch), "monkeypatch": monkeypatch}
    test = getattr(kit(), name)
    wanted = {each: fixtures[each] for each in inspect.signature(test).parameters}
    if inspect.iscoroutinefunction(test):
        await test(**wanted)
    else:
        await asyncio.to_thread(test, **wanted)


def make_workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    fixture: Any = inspect.unwrap(ToolkitContract.workspaces)
    return fixture(ToolkitContract(), tmp_path, monkeypatch)


def test_every_promise_has_a_mutant():
    assert set(MUTANTS) == {name for name in vars(ToolkitContract) if name.startswith("test_")}


@pytest.mark.parametrize(
    ("name", "kit"),
    [pytest.param(name, kit, id=f"{name}-{index}") for name, kits in MUTANTS.items() for index, kit in enumerate(kits)],
)
async def test_kit_catches(name: str, kit: type[ToolkitContract], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, ToolError)):
        await run_test(kit, name, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("source", "promise"),
    [
        ("", ""),
        ("import json, attrs, decimal", ""),
        ("print('hello')", "hello"),
        ("import sys; sys.stderr.write('hello')", "hello"),
        ("import hypothesis", "hypothesis"),
        ("import warnings; warnings.warn('old', DeprecationWarning)", "the import fails or warns"),
    ],
)
async def test_kit_watches_the_import(source: str, promise: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = f"kit_mutant_{abs(hash(source))}"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / f"{package}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    toolkit = type("Toolkit", (Good,), {"__module__": package})
    kit = kit_of(toolkit)
    run = run_test(kit, "test_import_is_light_and_silent", tmp_path, monkeypatch)

    if not promise:
        await run
    else:
        with pytest.raises(AssertionError, match=promise):
            await run
