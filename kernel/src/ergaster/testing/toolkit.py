"""The contract kit of toolkits."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, get_args

import pytest

from ergaster.codec import dump_json, encode
from ergaster.contracts.toolkit import Effect, Tool, Toolkit, ToolOutput
from ergaster.errors import ErgasterError, InvalidArguments, Signal
from ergaster.messages import Json, JsonObject, Media
from ergaster.testing.calls import call_tool
from ergaster.testing.contract import Contract
from ergaster.testing.hostile import deep_json, hostile_paths, hostile_texts, is_deliberate, make_arguments, misfits

__all__ = ["ToolkitContract"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_CANARY = "canary-7d1f: nobody may read or change this"
_MAX_ERROR = 20_000
_MAX_INSTRUCTIONS = 4_000
_STALL = 0.1
_LIMITED: frozenset[Effect] = frozenset({"network", "exec", "money"})

_IMPORT = """
import io, json, sys
import ergaster.tools, ergaster.contracts.toolkit
before, printed = set(sys.modules), io.StringIO()
sys.stdout = sys.stderr = printed
__import__(sys.argv[1])
new = {name.partition(".")[0] for name in set(sys.modules) - before}
foreign = sorted(name for name in new - set(sys.stdlib_module_names) if not name.startswith(("ergaster_", sys.argv[1])))
sys.__stdout__.write(json.dumps({"printed": printed.getvalue(), "foreign": foreign}))
"""


class ToolkitContract(Contract):
    """What every toolkit promises. Three lines are enough:

        class TestWeather(ToolkitContract):
            ref = "weather"

    Each test works in an empty folder of its own, which is the working folder and has a file beside it that nobody may
    touch. Tools with the effects `network`, `exec` or `money` are called only with the arguments in `examples`, since
    the kit cannot know what else would cost; give the toolkit a loopback peer then.

    Attributes:
        ref: The toolkit's name, as a user types it.
        options: Its options.
        examples: By tool, arguments with which it succeeds in a fresh folder. Tools that are not named are called with
            arguments made from their schema, and may refuse them.
        secrets: Environment variables that hold secrets, besides those that the plugin's `Spec` names.
        light_imports: Packages that its module may import besides its own, the kernel and support libraries; better none.
        patience: Seconds after which a call counts as hanging.
    """  # noqa: D415 - the first line leads to the example

    ref: ClassVar[str] = ""
    options: ClassVar[Mapping[str, object]] = {}
    examples: ClassVar[Mapping[str, JsonObject]] = {}
    secrets: ClassVar[tuple[str, ...]] = ()
    light_imports: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[float] = 20.0

    def make_toolkit(self, workspace: Path) -> Toolkit:
        """Return a fresh toolkit for a test; override it to set up what the examples need.

        Args:
            workspace: The empty folder of this test; also the working folder.
        """
        from ergaster.plugins import PluginManager

        assert self.ref, "give the kit a ref, such as ref = 'weather', or override make_toolkit()"
        made = PluginManager().create("toolkit", self.ref, self.options)
        assert isinstance(made, Toolkit), f"{self.ref!r} is a {type(made).__name__}; a toolkit subclasses Toolkit"
        return made

    @pytest.fixture
    def workspaces(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
        """Give fresh working folders, one for each call."""
        return lambda: _make_workspace(tmp_path, monkeypatch)

    @asynccontextmanager
    async def _using(self, workspace: Path) -> AsyncIterator[Toolkit]:
        toolkit = self.make_toolkit(workspace)
        await toolkit.open()
        try:
            yield toolkit
        finally:
            await toolkit.close()

    async def test_tools_have_legal_and_different_names(self, workspaces: Callable[[], Path]) -> None:
        """Names are 1 to 64 letters, digits, `_` and `-`; no two are equal; asking again gives the same."""
        async with self._using(workspaces()) as toolkit:
            names = [tool.name for tool in toolkit.tools()]

            assert names, "a toolkit has at least one tool"
            assert [name for name in names if not _NAME.match(name)] == []
            assert sorted(set(names)) == sorted(names), "two tools have one name"
            assert [tool.name for tool in toolkit.tools()] == names

    async def test_tools_and_parameters_are_described(self, workspaces: Callable[[], Path]) -> None:
        """A model reads what a tool does and what each argument means; instructions are text of moderate length."""
        async with self._using(workspaces()) as toolkit:
            missing = [tool.name for tool in toolkit.tools() if not tool.description.strip()]
            missing += [
                f"{tool.name}({name})"
                for tool in toolkit.tools()
                for name, schema in tool.parameters.get("properties", {}).items()
                if not str(schema.get("description", "")).strip()
            ]

            assert missing == [], "describe these in the docstring"
            assert isinstance(toolkit.instructions, str)
            assert len(toolkit.instructions) <= _MAX_INSTRUCTIONS

    async def test_schemas_are_valid(self, workspaces: Callable[[], Path]) -> None:
        """Each schema is a JSON Schema of an object, and is JSON itself."""
        import jsonschema_rs

        async with self._using(workspaces()) as toolkit:
            for tool in toolkit.tools():
                assert json.loads(dump_json(dict(tool.parameters))) == tool.parameters
                assert tool.parameters.get("type") == "object", f"{tool.name}: parameters are an object"
                assert jsonschema_rs.meta.is_valid(dict(tool.parameters)), f"{tool.name}: no valid JSON Schema"

    async def test_effects_are_declared(self, workspaces: Callable[[], Path]) -> None:
        """Effects are of the known five, and only a tool that writes can be contained."""
        known = set(get_args(Effect))
        async with self._using(workspaces()) as toolkit:
            for tool in toolkit.tools():
                assert set(tool.effects) <= known, f"{tool.name}: effects are {sorted(known)}"
                assert not tool.contained or "write" in tool.effects, f"{tool.name}: contained means that its writes are"

    async def test_examples_succeed(self, workspaces: Callable[[], Path]) -> None:
        """Each example gives a result that a model can read and a journal can keep."""
        async with self._using(workspaces()) as toolkit:
            names = {tool.name for tool in toolkit.tools()}
        assert set(self.examples) <= names, f"examples name tools that do not exist; there are {sorted(names)}"
        for name, arguments in self.examples.items():
            async with self._using(workspaces()) as toolkit, asyncio.timeout(self.patience):
                tool = _named(toolkit, name)
                assert _result_problem(await call_tool(tool, arguments)) == ""

    async def test_tool_without_write_changes_nothing(self, workspaces: Callable[[], Path]) -> None:
        """A tool that does not declare `write` leaves the working folder as it was; none touches what lies outside."""
        workspace = workspaces()
        async with self._using(workspace) as toolkit:
            for tool in sorted(toolkit.tools(), key=lambda tool: "write" in tool.effects):
                if not self._may_call(tool):
                    continue
                before, outside = _tree(workspace), _tree(_outside(workspace))
                await self._outcome(tool, self._arguments(tool), toolkit)

                assert "write" in tool.effects or _tree(workspace) == before, f"{tool.name} writes; declare effects={{'write'}}"
                assert _tree(_outside(workspace)) == outside, f"{tool.name} wrote outside its folder"

    async def test_arguments_that_do_not_fit_are_refused(self, workspaces: Callable[[], Path]) -> None:
        """What does not fit the schema is an `InvalidArguments`, and nothing runs."""
        workspace = workspaces()
        async with self._using(workspace) as toolkit:
            before = _tree(workspace.parent)
            for tool in toolkit.tools():
                for arguments in misfits(tool.parameters, self._arguments(tool)):
                    with pytest.raises(InvalidArguments) as caught:
                        await call_tool(tool, arguments)
                    assert caught.value.tool == tool.name, "the error names the tool"
                for text in ("", "[]", "null", "{", '{"a": NaN}', deep_json(), f'{{"a": {deep_json()}}}'):
                    if text or tool.parameters.get("required"):
                        with pytest.raises(InvalidArguments):
                            await call_tool(tool, text)
            assert _tree(workspace.parent) == before

    async def test_hostile_arguments_do_no_harm(self, workspaces: Callable[[], Path]) -> None:
        """NUL, surrogates, 8 MiB, foreign syntax, ways out: a result or a clear error, soon, and nothing outside touched."""
        workspace = workspaces()
        problems = []
        async with self._using(workspace) as toolkit:
            before = _tree(_outside(workspace))
            for tool in toolkit.tools():
                if not self._may_call(tool) or tool.effects & _LIMITED:
                    continue
                base = self._arguments(tool)
                for name, value in _hostile(tool, workspace):
                    problem = await self._outcome(tool, {**base, name: value}, toolkit)
                    problems += [f"{tool.name}({name}={value!r:.60}): {problem}"] if problem else []
            assert _tree(_outside(workspace)) == before, "a hostile argument changed what lies outside"
        assert problems == [], "raise a ToolError that says what to do"

    async def test_calls_at_the_same_time_do_not_disturb_each_other(self, workspaces: Callable[[], Path]) -> None:
        """Twenty equal calls at once end clearly; where the tool only reads, twenty calls of its example succeed."""
        for name in await self._callable(workspaces()):
            async with self._using(workspaces()) as toolkit, asyncio.timeout(self.patience):
                tool = _named(toolkit, name)
                calls = [call_tool(tool, self._arguments(tool)) for _ in range(20)]
                results = await asyncio.gather(*calls, return_exceptions=True)

                errors = [result for result in results if isinstance(result, BaseException)]
                may_fail = "write" in tool.effects or name not in self.examples
                assert may_fail or errors == [], f"{name} fails when it is called twenty times at once"
                assert [error for error in errors if not _is_clear(error, toolkit)] == []

    async def test_cancelled_call_ends_and_the_toolkit_goes_on(self, workspaces: Callable[[], Path]) -> None:
        """A cancelled call ends as cancelled, at once; the next call works."""
        for name in await self._callable(workspaces()):
            for turns in range(4):
                async with self._using(workspaces()) as toolkit, asyncio.timeout(self.patience):
                    tool = _named(toolkit, name)
                    task = asyncio.ensure_future(call_tool(tool, self._arguments(tool)))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    is_sent = task.cancel()
                    await asyncio.wait([task])
                    assert task.cancelled() == is_sent, f"{name} swallows its cancellation; let CancelledError pass"
                    assert await self._outcome(tool, self._arguments(tool), toolkit) == ""

    def test_toolkit_opens_and_closes_again_and_in_another_loop(self, workspaces: Callable[[], Path]) -> None:
        """Open, use, close, twice, in two event loops; closing twice does no harm."""
        workspace = workspaces()
        toolkit = self.make_toolkit(workspace)

        async def use() -> list[str]:
            await toolkit.open()
            problems = [
                await self._outcome(tool, self._arguments(tool), toolkit) for tool in toolkit.tools() if self._may_call(tool)
            ]
            await toolkit.close()
            await toolkit.close()
            return [problem for problem in problems if problem]

        for _ in range(2):
            assert asyncio.run(use()) == []

    async def test_no_call_stalls_the_loop(self, workspaces: Callable[[], Path]) -> None:
        """While a tool works, the event loop does, too; what blocks belongs into a plain `def`, which runs in a thread."""
        async with self._using(workspaces()) as toolkit:
            for tool in toolkit.tools():
                if self._may_call(tool):
                    gaps = [await _longest_gap(self._outcome(tool, self._arguments(tool), toolkit)) for _ in range(3)]
                    assert min(gaps) < _STALL, f"{tool.name} held the event loop for {min(gaps):.2f} s, three times of three"

    async def test_secrets_are_never_shown(self, workspaces: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
        """Keys from the environment are in no repr and in no error."""
        shown = []
        for name in self._environment():
            monkeypatch.setenv(name, f"canary-secret-{name}")
        toolkit = self.make_toolkit(workspaces())
        shown += [repr(toolkit), str(vars(type(toolkit)).get("instructions", "")), repr(toolkit.instructions)]
        for tool in toolkit.tools():
            shown += [repr(tool), tool.description, dump_json(dict(tool.parameters))]
            with pytest.raises(InvalidArguments) as caught:
                await call_tool(tool, "[]")
            shown.append(str(caught.value))

        assert [text[:200] for text in shown if "canary-secret" in text] == []

    def test_import_is_light_and_silent(self, workspaces: Callable[[], Path]) -> None:
        """Importing the module prints nothing and loads no other package; load those inside the functions that need them."""
        module = type(self.make_toolkit(workspaces())).__module__.partition(".")[0]
        found = find_spec(module)
        if found is None or found.origin is None:
            pytest.skip(f"the module {module!r} is no installed package, so its import cannot be watched")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-W", "error", "-c", _IMPORT, module]
        done = subprocess.run(  # noqa: S603 - the interpreter itself, and the module that is tested
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

        assert done.returncode == 0, f"the import fails or warns: {done.stderr[-2000:]}"
        seen = json.loads(done.stdout)
        assert seen["printed"] == ""
        assert [name for name in seen["foreign"] if name not in self.light_imports] == []

    async def _outcome(self, tool: Tool, arguments: JsonObject, toolkit: Toolkit) -> str:
        """Call a tool and return what is wrong with how it ended; a clear error is fine."""
        try:
            async with asyncio.timeout(self.patience):
                output = await call_tool(tool, arguments)
        except TimeoutError:
            return f"still busy after {self.patience:g} s"
        except Exception as error:  # boundary: the kit reports whatever a tool raises
            if not _is_clear(error, toolkit):
                return f"{type(error).__name__}: {str(error)[:200]}"
            if len(str(error)) > _MAX_ERROR:
                return f"an error of {len(str(error))} characters; cut what it repeats"
            return "it read what lies outside" if _CANARY in str(error) else ""
        return _result_problem(output)

    def _arguments(self, tool: Tool) -> dict[str, Json]:
        given = self.examples.get(tool.name)
        return dict(given) if given is not None else make_arguments(tool.parameters)

    async def _callable(self, workspace: Path) -> list[str]:
        async with self._using(workspace) as toolkit:
            return [tool.name for tool in toolkit.tools() if self._may_call(tool)]

    def _may_call(self, tool: Tool) -> bool:
        return tool.invoke is not None and (tool.name in self.examples or not tool.effects & _LIMITED)

    def _environment(self) -> tuple[str, ...]:
        if not self.ref:
            return self.secrets
        from ergaster.plugins import PluginManager
        from ergaster.refs import parse_ref

        return (*self.secrets, *PluginManager().spec("toolkit", parse_ref(self.ref).plugin).env)


def _make_workspace(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    workspace = base / str(len(list(base.iterdir()))) / "workspace"
    outside = _outside(workspace)
    workspace.mkdir(parents=True)
    outside.mkdir()
    (outside / "canary.txt").write_text(_CANARY)
    (workspace / "link").symlink_to(outside)
    monkeypatch.chdir(workspace)
    return workspace


def _outside(workspace: Path) -> Path:
    return workspace.parent / "outside"


def _named(toolkit: Toolkit, name: str) -> Tool:
    return next(tool for tool in toolkit.tools() if tool.name == name)


def _tree(folder: Path) -> dict[str, str]:
    """Return what lies below a folder: by path, the hash of a file or the kind of anything else."""
    return {str(path.relative_to(folder)): _fingerprint(path) for path in sorted(folder.rglob("*"))}


def _fingerprint(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return "link" if path.is_symlink() else "folder"
    return sha256(path.read_bytes()).hexdigest()


def _hostile(tool: Tool, workspace: Path) -> Iterator[tuple[str, Json]]:
    is_free = "write" in tool.effects and not tool.contained  # it may write anywhere, and a policy asks before
    paths = () if is_free else hostile_paths(_outside(workspace))
    for name, schema in tool.parameters.get("properties", {}).items():
        text = dump_json(schema)
        if '"string"' in text:
            yield from ((name, value) for value in (*hostile_texts(), *paths))
        if '"integer"' in text or '"number"' in text:
            yield from ((name, value) for value in (0, -1, 2**31, 2**63, -(2**63) - 1, 10**400))
        yield name, json.loads(deep_json(200))


def _is_clear(error: BaseException, toolkit: Toolkit) -> bool:
    if isinstance(error, ErgasterError | Signal):
        return True
    return isinstance(error, Exception) and is_deliberate(error, type(toolkit).__module__)


def _result_problem(output: ToolOutput) -> str:
    if any(not isinstance(part, Media) for part in output.media):
        return "its media are no Image, Audio, Video or File"
    try:
        dump_json({"content": output.content, "data": output.data, "media": [encode(part) for part in output.media]})
    except (TypeError, ValueError, ErgasterError) as error:
        return f"its result is no JSON: {error}"
    seen = [output.content, *(part.data.decode("latin-1") for part in output.media if part.data)]
    return "it read what lies outside" if any(_CANARY in text for text in seen) else ""


async def _longest_gap(work: Coroutine[Any, Any, object]) -> float:
    """Return the longest time that the loop gave nobody else a turn while *work* went on."""
    task, longest = asyncio.ensure_future(work), 0.0
    while not task.done():
        before = perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, perf_counter() - before)
    await task
    return longest
