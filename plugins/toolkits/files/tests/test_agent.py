"""The file tools in an agent, and by name from a configuration."""

from pathlib import Path

import pytest

from ergaster import Agent, Kernel
from ergaster.messages import ToolCall, ToolResult
from ergaster.testing import ScriptedModel
from ergaster_files import Files


def results_of(messages) -> list[ToolResult]:
    return [part for message in messages for part in message.parts if isinstance(part, ToolResult)]


async def test_agent_writes_and_reads_in_its_folder_without_asking(tmp_path: Path):
    model = ScriptedModel(
        [
            [ToolCall("1", "write_file", '{"path": "a.txt", "content": "51"}')],
            [ToolCall("2", "read_file", '{"path": "a.txt"}'), ToolCall("3", "read_file", '{"path": "../secret"}')],
            "It says 51.",
        ]
    )

    result = await Agent(model=model, tools=[Files(str(tmp_path))]).arun("Note 51.")

    written, read, refused = results_of(result.messages)
    assert result.text == "It says 51."
    assert (written.content, read.content) == ("wrote a.txt", "51")
    assert refused.is_error
    assert (tmp_path / "a.txt").read_text() == "51"


@pytest.mark.parametrize(("allow", "expected"), [('["read"]', 4), ('["read", "write"]', 7)])
async def test_configuration_names_the_folder_beside_it_and_what_is_allowed(tmp_path: Path, allow: str, expected: int):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("buy milk")
    path = tmp_path / "ergaster.toml"
    path.write_text(f'[agents.reader]\nmodel = "auto"\ntools = [{{ use = "files", root = "./notes", allow = {allow} }}]\n')
    model = ScriptedModel([[ToolCall("1", "read_file", '{"path": "todo.txt"}')], "Milk."])

    result = await Kernel.from_file(path).agent("reader").arun("What is on the list?", model=model)

    assert [part.content for part in results_of(result.messages)] == ["buy milk"]
    assert len(model.requests[0].tools) == expected
