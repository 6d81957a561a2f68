"""`ergaster.toml`: what is read, and what every mistake says."""

import jsonschema_rs
import pytest

from ergaster.config import PluginUse, config_schema, load_config, parse_config
from ergaster.errors import ConfigError
from ergaster.limits import Limits
from ergaster.secrets import Secret

EXAMPLE = """
# ergaster.toml
[agents.assistant]
model = "openai:gpt-5-mini"            # or { use = "openai:gpt-5-mini", base_url = "…", temperature = 0.2 }
instructions = "You are a helpful research assistant."
tools = ["calculator", { use = "files", root = "./notes", allow = ["read"] }]
storage = "sqlite:///agents.db"
learning = "always"
knowledge = "handbook"

[knowledge.handbook]
sources = ["./docs/**/*.md", "https://example.org/manual.pdf"]
vector_store = "sqlite:///kb.db"
embedder = "minilm"

[models.fast]
use = "openai_compatible:llama-4"
base_url = "https://…"
api_key = "${env:MY_KEY}"
fallback = ["groq:llama-4-scout"]

[teams.newsroom]
members = ["researcher", "writer"]
strategy = "sequential"            # or { use = "coordinate", leader = "fast" }

[workflows.daily]
schedule = "0 7 * * 1-5"
steps = [ { id = "find", run = "agent:researcher", input = "News on ${input.topic}" },
          { id = "approve", wait = "human", timeout = "3d" },
          { id = "write", run = "team:newsroom", when = "approve.output == 'yes'", retry = 2 } ]

[policy]
write = "ask"
[kernel]
trust = []
"""


def write(folder, text):
    path = folder / "ergaster.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(mapping):
    with pytest.raises(ConfigError) as caught:
        parse_config(mapping)
    return list(caught.value.problems)


def test_the_documented_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-1")

    config = load_config(write(tmp_path, EXAMPLE))

    agent = config.agents["assistant"]
    assert PluginUse("openai:gpt-5-mini") == agent.model
    assert (PluginUse("calculator"), PluginUse("files", {"root": "./notes", "allow": ["read"]})) == agent.tools
    assert {"learning": "always", "knowledge": "handbook"} == agent.features
    assert Secret("sk-1") == config.models["fast"].options["api_key"]
    assert "News on ${input.topic}" == config.workflows["daily"].steps[0]["input"]
    assert {"write": "ask"} == config.policy
    assert tmp_path == config.base_dir


def test_every_problem_is_told_at_once_with_its_path():
    found = problems_of(
        {
            "agents": {"writer": {"limits": {"tool_calls": "9", "tokns": 3}, "learning": 3, "tools": ["a", 4], "name": "x"}},
            "teams": {"news": {"members": "writer"}},
            "policy": {"wrte": "ask", "read": "alow"},
            "models": {"fast": {"api_key": "${env:ERGASTER_UNSET}"}},
            "agnets": {},
        }
    )

    assert [
        "models.fast.api_key: environment variable ERGASTER_UNSET is not set; set it, or write ${env:ERGASTER_UNSET:-default}",
        "agents.writer.name: is reserved; it cannot be the name of a feature",
        "agents.writer.tools[1]: expected a plugin's name or a table with 'use', got a whole number",
        "agents.writer.limits.tool_calls: expected a whole number, got a string",
        "agents.writer.limits.tokns: unknown key; did you mean 'tokens'?",
        "agents.writer.learning: expected true or false or a string or a table or a list, got a whole number",
        "models.fast.use: is missing",
        "teams.news.members: expected a list, got a string",
        "policy.wrte: expected one of 'read', 'write', 'network', 'exec', 'money'; did you mean 'write'?",
        "policy.read: expected one of 'allow', 'ask', 'deny'; did you mean 'allow'?",
        "agnets: unknown key; did you mean 'agents'?",
    ] == found


def test_limits_are_read_as_limits():
    config = parse_config({"agents": {"a": {"limits": {"tool_calls": 3, "cost": "0.50", "seconds": 2, "on_limit": "fail"}}}})

    assert Limits(tool_calls=3, cost="0.50", seconds=2.0, on_limit="fail") == config.agents["a"].limits


def test_schema_accepts_the_documented_file():
    import tomllib

    schema = config_schema()
    jsonschema_rs.meta.validate(schema)

    assert [] == [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(tomllib.loads(EXAMPLE))]
