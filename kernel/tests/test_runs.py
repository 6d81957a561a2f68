"""Runs of an agent, seen from outside."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from io import StringIO
from typing import Annotated, Any

import pytest
from attrs import define

from ergaster import (
    Agent,
    ErgasterError,
    Image,
    Inject,
    Limits,
    Message,
    ModelSettings,
    Resolve,
    RunContext,
    ToolContext,
    tool,
)
from ergaster.contracts.model import Capabilities, ModelRequest, ModelResponse
from ergaster.errors import (
    BadRequest,
    ConfigError,
    InvalidInput,
    InvalidOutput,
    ProviderUnavailable,
    RateLimited,
    RunError,
    UnknownPlugin,
)
from ergaster.events import Event, OutputDelta, TextDelta, ToolCompleted, ToolFailed, ToolProgress
from ergaster.messages import File, StopReason, ToolCall, ToolResult, Usage
from ergaster.testing import ScriptedModel
from ergaster_memory import MemoryStorage


@define
class City:
    """A city."""

    name: str
    people: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def call(name: str, arguments: str = "{}", identifier: str = "c1") -> ToolCall:
    return ToolCall(identifier, name, arguments)


def results(request: ModelRequest) -> list[ToolResult]:
    return [part for message in request.messages for part in message.parts if isinstance(part, ToolResult)]


async def events_of(agent: Agent, given: Any = "hi", **options: Any) -> list[Event]:
    return [event async for event in agent.astream(given, **options)]


async def test_an_answer_comes_back_with_its_usage_and_its_calls() -> None:
    result = await Agent(model=ScriptedModel(["Hello."])).arun("hi")

    assert ("completed", "Hello.", StopReason.STOP) == (result.status, result.text, result.stop_reason)
    assert Usage(10, 1) == result.usage
    assert ["scripted"] == [each.model for each in result.calls]
    assert [Message("user", "hi"), Message("assistant", "Hello.")] == list(result.messages)


async def test_a_stream_has_one_terminal_event_and_rising_numbers() -> None:
    model = ScriptedModel([[call("add", '{"a":1,"b":2}')], "It is three."])

    events = await events_of(Agent(model=model, tools=[add]))

    kinds = [event.kind for event in events]
    assert [event for event in events if event.is_terminal] == [events[-1]]
    assert kinds[0] == "run_started"
    durable = [event.seq for event in events if event.is_durable]
    assert list(range(1, len(durable) + 1)) == durable
    assert "It is three." == "".join(event.text for event in events if isinstance(event, TextDelta))
    offsets = [event.offset for event in events if not event.is_durable and event.seq == durable[-2] - 1]
    assert sorted(set(offsets)) == offsets


async def test_the_calls_of_one_reply_run_side_by_side() -> None:
    together = asyncio.Barrier(3)

    async def meet() -> str:
        """Wait for the others."""
        await together.wait()
        return "met"

    model = ScriptedModel([[call("meet", identifier=f"c{n}") for n in range(3)], "ok"])

    result = await Agent(model=model, tools=[meet]).arun("go")

    assert ["met"] * 3 == [each.content for each in results(model.requests[1])]
    assert "ok" == result.text


async def test_no_more_calls_run_at_once_than_the_limit_says() -> None:
    running, most = 0, 0

    async def work() -> None:
        """Work."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    model = ScriptedModel([[call("work", identifier=f"c{n}") for n in range(200)], "ok"])

    await Agent(model=model, tools=[work], limits=Limits(parallel_tools=7)).arun("go")

    assert 7 == most


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("adds", "{}", "there is no tool 'adds'; the tools are: add"),
        ("add", '{"a": 1', "cannot be read"),
        ("add", "[1, 2]", "must be one JSON object"),
        ("add", '{"a": NaN, "b": 1}', "NaN"),
        ("add", '{"a": "1", "b": 2}', "expected an integer"),
        ("add", '{"a": null, "b": 2}', "expected an integer"),
        ("add", '{"a": 1}', "b: missing"),
        ("add", '{"a": 1, "b": 2, "c": 3}', "c"),
        ("add", '{"a": ' + "[" * 5000 + "]" * 5000 + ', "b": 2}', "deep"),
    ],
)
async def test_a_call_that_does_not_fit_is_explained_to_the_model_and_not_run(name: str, arguments: str, said: str) -> None:
    ran = []

    @tool(name="add")
    def counting(a: int, b: int) -> int:
        """Add."""
        ran.append((a, b))
        return a + b

    model = ScriptedModel([[call(name, arguments)], "sorry"])

    await Agent(model=model, tools=[counting]).arun("go")

    (result,) = results(model.requests[1])
    assert result.is_error
    assert said in result.content
    assert [] == ran


async def test_call_ids_that_are_empty_or_repeated_become_unique() -> None:
    model = ScriptedModel([[call("add", '{"a":1,"b":1}', ""), call("add", '{"a":2,"b":2}', ""), call("add", "{}", "x")], "ok"])

    await Agent(model=model, tools=[add]).arun("go")

    identifiers = [each.call_id for each in results(model.requests[1])]
    assert 3 == len(set(identifiers))
    assert ["2", "4"] == [each.content for each in results(model.requests[1])][:2]


async def test_an_error_of_a_tool_is_told_to_the_model_without_a_trace() -> None:
    def broken() -> None:
        """Break."""
        raise KeyError("nothing there")

    model = ScriptedModel([[call("broken")], "sorry"])

    result = await Agent(model=model, tools=[broken]).arun("go")

    assert "KeyError: 'nothing there'" == results(model.requests[1])[0].content
    assert "sorry" == result.text


async def test_a_long_result_is_cut_with_a_visible_mark() -> None:
    @tool(result_limit=10)
    def long() -> str:
        """Talk."""
        return "x" * 1000

    model = ScriptedModel([[call("long")], "ok"])

    await Agent(model=model, tools=[long]).arun("go")

    assert "xxxxxxxxxx\n[… 990 characters cut]" == results(model.requests[1])[0].content


async def test_an_answer_of_eight_megabytes_is_cut_with_a_visible_mark() -> None:
    result = await Agent(model=ScriptedModel(["x" * 8_000_000]), storage=MemoryStorage()).arun("go")

    assert result.text.endswith("characters cut]")
    assert len(result.text) < 2_000_000


async def test_a_tool_gets_its_arguments_as_the_objects_that_it_asks_for() -> None:
    seen: list[object] = []

    def visit(city: City, when: date, times: int = 2) -> None:
        """Visit."""
        seen.extend([city, when, times])

    arguments = '{"city": {"name": "Oslo", "people": 7}, "when": "2026-01-02"}'

    await Agent(model=ScriptedModel([[call("visit", arguments)], "ok"]), tools=[visit]).arun("go")

    assert [City("Oslo", 7), date(2026, 1, 2), 2] == seen


def test_a_tool_defined_in_a_function_may_name_classes_of_that_function() -> None:
    @define
    class Local:
        name: str

    def greet(who: Local) -> str:
        """Greet."""
        return f"hello {who.name}"

    model = ScriptedModel([[call("greet", '{"who": {"name": "Ada"}}')], "ok"])

    Agent(model=model, tools=[greet]).run("go")  # on another thread, where this function's names are not seen

    assert "hello Ada" == results(model.requests[1])[0].content


async def test_an_equal_call_of_the_same_user_is_answered_from_the_cache() -> None:
    asked: list[str] = []

    @tool(cache=60)
    def look(word: str, here: ToolContext) -> str:
        """Look."""
        asked.append(f"{here.user_id}:{word}")
        return word.upper()

    model = ScriptedModel(lambda request: "ok" if results(request) else [call("look", '{"word":"a"}')])
    agent = Agent(model=model, tools=[look])

    for user in ("ada", "ada", "bob"):
        await agent.arun("go", user_id=user)

    assert ["ada:a", "bob:a"] == asked


async def test_hooks_wrap_a_call_the_first_outermost() -> None:
    order: list[str] = []

    def hook(name: str) -> Any:
        async def wrap(arguments: Any, context: ToolContext, run: Any) -> object:
            order.append(f"before {name}")
            result = await run({**arguments, "b": 10})
            order.append(f"after {name}")
            return f"{result}!"

        return wrap

    hooked = tool(hooks=(hook("one"), hook("two")))(add)
    model = ScriptedModel([[call("add", '{"a":1,"b":2}')], "ok"])

    await Agent(model=model, tools=[hooked]).arun("go")

    assert ["before one", "before two", "after two", "after one"] == order
    assert "11!!" == results(model.requests[1])[0].content


async def test_a_tool_that_takes_too_long_is_said_to_be_of_unknown_outcome() -> None:
    @tool(timeout=0.01)
    async def slow() -> None:
        """Wait."""
        await asyncio.Event().wait()

    model = ScriptedModel([[call("slow")], "ok"])

    events = await events_of(Agent(model=model, tools=[slow]))

    (failed,) = [event for event in events if isinstance(event, ToolFailed)]
    assert failed.outcome_unknown
    assert "did not finish within 0.01 s" in failed.result.content


async def test_a_failure_that_passes_is_retried_as_often_as_the_tool_says() -> None:
    tries: list[int] = []

    @tool(retries=2)
    async def flaky(context: ToolContext) -> str:
        """Try."""
        tries.append(context.attempt)
        if len(tries) < 3:
            raise ProviderUnavailable("not yet")
        return "at last"

    model = ScriptedModel([[call("flaky")], "ok"])

    await Agent(model=model, tools=[flaky]).arun("go")

    assert "at last" == results(model.requests[1])[0].content


async def test_a_tool_sees_its_run_and_what_the_caller_handed_in() -> None:
    seen: dict[str, object] = {}

    async def look(
        word: str, here: ToolContext, run: RunContext, database: Annotated[object, Inject("db")], context: str = "mine"
    ) -> str:
        """Look."""
        seen.update(key=here.idempotency_key, user=run.user_id, db=database, attempt=here.attempt, path=here.path)
        await here.progress({"at": word})
        return context

    model = ScriptedModel([[call("look", '{"word": "half"}')], "ok"])
    agent = Agent(model=model, tools=[look], name="looker")

    events = await events_of(agent, user_id="ada", run_id="r1", dependencies={"db": "the database"})

    assert {
        "key": "r1:c1",
        "user": "ada",
        "db": "the database",
        "attempt": 1,
        "path": ("looker", "look"),
    } == seen
    assert [{"at": "half"}] == [event.value for event in events if isinstance(event, ToolProgress)]
    assert {"word", "context"} == set(model.requests[0].tools[0].parameters["properties"])


async def test_instructions_are_filled_in_once_and_stay_text() -> None:
    hostile = "${metadata.secret} {{7*7}} {0.__class__} %(x)s"
    model = ScriptedModel(["ok"])
    agent = Agent(model=model, instructions="You help ${user_id}. Topic: ${state.topic}. Note: ${metadata.note}")

    await agent.arun("hi", user_id=hostile, session_state={"topic": "birds"}, metadata={"note": hostile, "secret": "s3"})

    assert f"You help {hostile}. Topic: birds. Note: {hostile}" == model.requests[0].messages[0].text


async def test_a_placeholder_that_nothing_fills_is_an_error_that_names_it() -> None:
    agent = Agent(model=ScriptedModel(["ok"]), instructions="About ${state.topic}")

    with pytest.raises(ConfigError, match=r"\$\{state\.topic\}"):
        await agent.arun("hi")


async def test_instructions_may_be_functions_of_the_run() -> None:
    async def about(context: RunContext) -> str:
        return f"The user is {context.user_id}."

    model = ScriptedModel(["ok"])

    await Agent(model=model, instructions=["Be brief.", about]).arun("hi", user_id="ada")

    assert "Be brief.\n\nThe user is ada." == model.requests[0].messages[0].text


async def test_one_run_may_differ_from_the_agent_and_leaves_it_as_it_was() -> None:
    model, other = ScriptedModel(["one", "two"]), ScriptedModel(["other"])
    agent = Agent(model=model, tools=[add], settings=ModelSettings(temperature=0.0))

    assert "other" == (await agent.arun("hi", model=other, tools=[], settings=ModelSettings(max_tokens=5))).text
    assert "one" == (await agent.arun("hi")).text

    assert ((), 5) == (other.requests[0].tools, other.requests[0].settings.max_tokens)
    assert ["add"] == [spec.name for spec in model.requests[0].tools]


async def test_tools_may_be_made_for_each_run() -> None:
    def tools_for(context: RunContext) -> Sequence[object]:
        return [add] if context.user_id == "ada" else []

    model = ScriptedModel(["one", "two"])
    agent = Agent(model=model, tools=tools_for)

    await agent.arun("hi", user_id="ada")
    await agent.arun("hi", user_id="bob")

    assert [1, 0] == [len(request.tools) for request in model.requests]


@pytest.mark.parametrize("given", ["", (), [], 7, b"bytes", [object()], Message("user", ())])
async def test_an_input_that_cannot_be_one_is_refused_before_anything_is_stored(given: Any) -> None:
    storage = MemoryStorage()

    if given == "":
        given = []
    with pytest.raises(InvalidInput):
        await Agent(model=ScriptedModel([]), storage=storage).arun(given, run_id="r1")
    assert 0 == await storage.last_seq("default", "run:r1")


async def test_parts_become_one_message() -> None:
    model = ScriptedModel(["a cat"])

    await Agent(model=model).arun(["What is this?", Image(b"png", media_type="image/png"), File(url="https://example.org/a")])

    assert 3 == len(model.requests[0].messages[0].parts)


async def test_an_input_must_fit_the_input_schema() -> None:
    model = ScriptedModel(["ok", "ok"])
    agent = Agent(model=model, input_schema=City)

    await agent.arun({"name": "Oslo", "people": 7})
    await agent.arun(City("Oslo", 7))
    with pytest.raises(InvalidInput, match="people"):
        await agent.arun({"name": "Oslo", "people": "seven"})

    assert ['{"name":"Oslo","people":7}'] * 2 == [request.messages[0].text for request in model.requests]


async def test_an_answer_becomes_an_object_of_the_output_schema() -> None:
    result = await Agent(model=ScriptedModel(['```json\n{"name": "Oslo", "people": 7}\n```']), output_schema=City).arun("x")

    assert City("Oslo", 7) == result.output


async def test_an_answer_that_does_not_fit_is_sent_back_with_the_reason() -> None:
    model = ScriptedModel(['{"name": "Oslo", "people": "many"}', "no JSON", '{"name": "Oslo", "people": 7}'])

    result = await Agent(model=model, output_schema=City).arun("x")

    assert City("Oslo", 7) == result.output
    assert "people" in model.requests[1].messages[-1].text
    assert "not JSON" in model.requests[2].messages[-1].text


async def test_an_answer_that_never_fits_fails_the_run() -> None:
    model = ScriptedModel(lambda request: "nonsense")

    with pytest.raises(InvalidOutput):
        await Agent(model=model, output_schema=City, limits=Limits(output_retries=1)).arun("x")
    assert 2 == len(model.requests)


async def test_a_model_without_native_schemas_is_told_the_schema_in_words() -> None:
    model = ScriptedModel(['{"name": "Oslo", "people": 7}'], capabilities=Capabilities(schema_output=False))

    await Agent(model=model, output_schema=City).arun("x")

    assert model.requests[0].output_schema is None
    assert '"people"' in model.requests[0].messages[0].text


async def test_a_structured_answer_can_be_read_while_it_arrives() -> None:
    model = ScriptedModel(['{"name": "Oslo", "people": 709000}'], piece=3)

    events = await events_of(Agent(model=model, output_schema=City))

    values = [event.value for event in events if isinstance(event, OutputDelta)]
    assert {"name": "Oslo", "people": 709000} == values[-1]
    assert any(set(value) == {"name"} for value in values)


async def test_a_passing_failure_is_tried_again_and_a_lasting_one_is_not() -> None:
    model = ScriptedModel([RateLimited("slow", retry_after=0.001), ProviderUnavailable("down", retry_after=0.001), "ok"])
    assert "ok" == (await Agent(model=model).arun("x")).text

    model = ScriptedModel([BadRequest("no"), "ok"])
    with pytest.raises(BadRequest) as caught:
        await Agent(model=model).arun("x", run_id="r7")
    assert (1, "r7") == (len(model.requests), caught.value.run_id)  # type: ignore[attr-defined]


async def test_retries_end() -> None:
    model = ScriptedModel(lambda request: RateLimited("slow", retry_after=0.001))

    with pytest.raises(RateLimited):
        await Agent(model=model, limits=Limits(model_retries=2)).arun("x")
    assert 3 == len(model.requests)


async def test_a_failed_run_can_be_resumed_once_the_cause_is_mended() -> None:
    model = ScriptedModel([[call("add", '{"a":1,"b":2}')], BadRequest("no"), "three"])
    agent = Agent(model=model, tools=[add], storage=MemoryStorage())

    with pytest.raises(BadRequest) as caught:
        await agent.arun("x")
    result = await agent.aresume(caught.value.run_id)  # type: ignore[attr-defined]

    assert "three" == result.text
    assert 3 == len(model.requests)


async def test_a_run_id_is_never_begun_twice() -> None:
    agent = Agent(model=ScriptedModel(["one", "two"]), storage=MemoryStorage())
    await agent.arun("x", run_id="r1")

    with pytest.raises(RunError, match="resume it"):
        await agent.arun("x", run_id="r1")


async def test_the_prompt_stays_byte_equal_from_step_to_step() -> None:
    model = ScriptedModel([[call("add", '{ "b":2,  "a":1}', f"c{n}")] for n in range(5)] + [["done"][0]])

    await Agent(model=model, tools=[add], instructions="Be exact.", storage=MemoryStorage()).arun("go")

    for before, after in zip(model.requests, model.requests[1:], strict=False):
        assert after.messages[: len(before.messages)] == before.messages
        assert after.tools == before.tools


def test_a_mistyped_name_gets_the_nearest_at_once() -> None:
    with pytest.raises(UnknownPlugin, match="history"):
        Agent(model=ScriptedModel([]), histroy=True)  # type: ignore[call-arg]
    with pytest.raises(UnknownPlugin, match="calculator"):
        Agent(model=ScriptedModel([]), tools=["calculater"])
    with pytest.raises(UnknownPlugin):
        Agent(model="opennai:gpt")


async def test_two_tools_of_one_name_are_an_error_that_names_both() -> None:
    with pytest.raises(ErgasterError, match="add"):
        await Agent(model=ScriptedModel([]), tools=[add, add]).aopen()


async def test_two_runs_with_different_users_share_nothing() -> None:
    seen: list[tuple[str | None, object]] = []

    async def who(context: RunContext) -> str:
        """Say who."""
        context.session_state["me"] = context.user_id
        await asyncio.sleep(0)
        seen.append((context.user_id, context.session_state["me"]))
        return str(context.user_id)

    model = ScriptedModel(lambda request: [call("who")] if not results(request) else results(request)[-1].content)
    agent = Agent(model=model, tools=[who], storage=MemoryStorage())

    answers = await asyncio.gather(*(agent.arun("who am I", user_id=f"u{n}", session_id=f"s{n}") for n in range(200)))

    assert [f"u{n}" for n in range(200)] == [answer.text for answer in answers]
    assert all(user == state for user, state in seen)


async def test_another_model_may_write_the_answer_down() -> None:
    thinker = ScriptedModel([[call("add", '{"a":1,"b":2}')], "It is Oslo, with seven people."])
    writer = ScriptedModel(['{"name": "Oslo", "people": "7"}', '{"name": "Oslo", "people": 7}'])
    agent = Agent(model=thinker, tools=[add], output_schema=City, output_model=writer)

    result = await agent.arun("Which city?")

    assert City("Oslo", 7) == result.output
    assert [None, None] == [request.output_schema for request in thinker.requests]
    assert ["City", "City"] == [(request.output_schema or {}).get("title", "City") for request in writer.requests]
    assert () == writer.requests[0].tools
    assert '"people"' in writer.requests[0].messages[-1].text


async def test_dependencies_can_be_made_for_each_run() -> None:
    async def account(context: RunContext) -> str:
        return f"account of {context.user_id}"

    async def look(owner: Annotated[object, Inject("account")]) -> str:
        """Look."""
        return str(owner)

    model = ScriptedModel([[call("look")], "ok"])
    agent = Agent(model=model, tools=[look], instructions="You see the ${dependencies.account}.")

    await agent.arun("go", user_id="ada", dependencies={"account": Resolve(account)})

    assert "You see the account of ada." == model.requests[0].messages[0].text
    assert "account of ada" == results(model.requests[1])[0].content


async def test_a_run_goes_on_by_itself_after_a_passing_failure_when_it_may() -> None:
    model = ScriptedModel([[call("add", '{"a":1,"b":2}')], ProviderUnavailable("down"), ProviderUnavailable("down"), "three"])
    agent = Agent(model=model, tools=[add], limits=Limits(model_retries=0, run_retries=2))

    events = await events_of(agent)

    assert ["run_completed"] == [event.kind for event in events if event.is_terminal]
    assert 1 == sum(event.kind == "tool_completed" for event in events)


async def test_a_result_that_is_to_be_shown_says_so() -> None:
    model = ScriptedModel([[call("add", '{"a":1,"b":2}')], "ok"])

    events = await events_of(Agent(model=model, tools=[tool(shows_result=True)(add)]))

    assert [True] == [event.shown for event in events if isinstance(event, ToolCompleted)]


def test_an_answer_can_be_printed_while_it_arrives() -> None:
    out = StringIO()

    Agent(model=ScriptedModel(["Hello there."])).print("hi", file=out)
    with pytest.raises(BadRequest):
        Agent(model=ScriptedModel([BadRequest("no")])).print("hi", file=out)

    assert "Hello there.\n" == out.getvalue()


async def test_a_reply_that_the_provider_paused_is_continued() -> None:
    paused = ModelResponse(message=Message("assistant", "I am looking. "), stop_reason=StopReason.PAUSE)
    model = ScriptedModel([paused, "Found it."])

    result = await Agent(model=model).arun("go")

    assert ("Found it.", 2) == (result.text, len(model.requests))
    assert "I am looking. " == model.requests[1].messages[-1].text


def test_a_script_that_ends_leaves_nothing_open_behind() -> None:
    script = """
from ergaster import Agent
from ergaster.testing.loopback import LoopbackServer, Reply
with LoopbackServer(default=Reply(text="hello")) as server:
    agent = Agent(model={"use": "openai_compatible:x", "base_url": server.base_url})
    print(agent.run("hi").text)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert ("hello\n", "") == (done.stdout, done.stderr)
