"""What users write is never a template: it reaches the model letter by letter, and nothing of ours looks at it again."""

from __future__ import annotations

import json

import pytest

from ergaster import Agent, tool
from ergaster.messages import Message, ToolCall
from ergaster.testing import ScriptedModel
from ergaster_memory import MemoryStorage

TEMPLATES = [
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{%import os%}{{os.popen('id')}}",
    "{0.__class__.__mro__}",
    "{user_id.__init__.__globals__}",
    "%(password)s %s %n",
    "$user_id $HOME",
    "${state.secret}",
    "${env:HOME}",
    "${dependencies.key}${metadata.note}${user_id}",
    "{{ ''.__class__.__base__.__subclasses__() }}",
]


def texts_of(messages: tuple[Message, ...], role: str) -> list[str]:
    return [message.text for message in messages if message.role == role]


@pytest.mark.parametrize("template", TEMPLATES)
async def test_a_value_in_a_prompt_stays_text(template: str) -> None:
    model = ScriptedModel(lambda request: "ok")
    agent = Agent(
        model=model,
        storage=MemoryStorage(),
        instructions="A ${state.value} B ${metadata.value} C ${dependencies.value} D ${user_id} E ${session_id}",
    )

    await agent.arun(
        template,
        session_id=template,
        user_id=template,
        session_state={"value": template, "secret": "hidden-4711"},
        metadata={"value": template, "note": "hidden-4711"},
        dependencies={"value": template, "key": "hidden-4711"},
    )

    (request,) = model.requests
    assert texts_of(request.messages, "system") == [f"A {template} B {template} C {template} D {template} E {template}"]
    assert texts_of(request.messages, "user") == [template]
    assert "hidden-4711" not in repr(request)


@pytest.mark.parametrize("template", TEMPLATES)
async def test_a_value_in_a_tool_stays_text(template: str) -> None:
    @tool(description=template)
    async def echo(value: str) -> str:
        """Give it back."""
        return value

    model = ScriptedModel([[ToolCall("c1", "echo", json.dumps({"value": template}))], "ok"])

    result = await Agent(model=model, tools=[echo], storage=MemoryStorage()).arun("go", session_state={"secret": "hidden-4711"})

    assert [spec.description for spec in model.requests[0].tools] == [template]
    assert [part.content for part in result.messages[2].parts] == [template]  # type: ignore[union-attr]
    assert "hidden-4711" not in repr(model.requests)


@pytest.mark.parametrize("template", TEMPLATES)
async def test_what_was_said_before_stays_text(template: str) -> None:
    model = ScriptedModel(lambda request: template)
    agent = Agent(model=model, storage=MemoryStorage(), instructions="Be brief.")
    await agent.arun(template, session_id="s1")

    await agent.arun("and now?", session_id="s1")

    assert texts_of(model.requests[1].messages, "user") == [template, "and now?"]
    assert texts_of(model.requests[1].messages, "assistant") == [template]


@pytest.mark.parametrize("template", TEMPLATES)
async def test_what_one_agent_tells_another_stays_text(template: str) -> None:
    member = Agent(name="member", description=template, model=ScriptedModel(lambda request: template))
    call = ToolCall("c1", "member", json.dumps({"input": template}))
    leader = ScriptedModel([[call], "ok"])

    result = await Agent(model=leader, tools=[member]).arun("go")

    assert texts_of(member.model.requests[0].messages, "user") == [template]  # type: ignore[union-attr]
    assert [part.content for part in result.messages[2].parts] == [template]  # type: ignore[union-attr]
