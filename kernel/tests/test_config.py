"""`ergaster.toml`: what is read, and what every mistake says."""

import contextlib
import copy
import inspect
import os
import tempfile
import tomllib

import jsonschema_rs
import pytest
from attrs import fields_dict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ergaster import Agent
from ergaster.config import RESERVED, AgentConfig, PluginUse, config_schema, load_config, parse_config
from ergaster.errors import ConfigError
from ergaster.front import FeatureOptions, RunOptions
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
            "agents": {"writer": {"limits": {"tool_calls": "many", "tokns": 3}, "learning": 3, "tools": ["a", 4], "name": "x"}},
            "teams": {"news": {"members": "writer"}},
            "policy": {"wrte": "ask", "read": "alow"},
            "models": {"fast": {"api_key": "${env:ERGASTER_UNSET}"}},
            "agnets": {},
        }
    )

    assert [
        "models.fast.api_key: environment variable ERGASTER_UNSET is not set; set it, or write ${env:ERGASTER_UNSET:-default}",
        "agents.writer.limits.tool_calls: found text, expected an integer or null",
        "agents.writer.limits.tokns: unknown key; did you mean 'tokens'?",
        "agents.writer.tools[1]: found an integer, expected a plugin's name or an object with 'use'",
        "agents.writer.learning: found an integer, expected true or false, text, an object or an array of text or an object",
        "agents.writer.name: is reserved; it cannot be the name of a feature",
        "teams.news.members: found text, expected an array",
        "policy.wrte: found text, expected one of 'read', 'write', 'network', 'exec' or 'money'; did you mean 'write'?",
        "policy.read: found text, expected one of 'allow', 'ask' or 'deny'; did you mean 'allow'?",
        "models.fast.use: missing, expected a plugin's name",
        "agnets: unknown key; did you mean 'agents'?",
    ] == found


def test_limits_are_read_as_limits():
    config = parse_config({"agents": {"a": {"limits": {"tool_calls": 3, "cost": "0.50", "seconds": 2, "on_limit": "fail"}}}})

    assert Limits(tool_calls=3, cost="0.50", seconds=2.0, on_limit="fail") == config.agents["a"].limits


def test_schema_accepts_the_documented_file():
    schema = config_schema()
    jsonschema_rs.meta.validate(schema)

    assert [] == [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(tomllib.loads(EXAMPLE))]


# --- what the file may say, and what the schema says of it --------------------------------------------------------------

ACCEPTED = [
    {},
    {"agents": {}},
    {"agents": {"a": {}}},
    {"agents": {"a": {"model": "openai:x", "tools": ["b", {"use": "c", "deep": {"er": [1]}}]}}},
    {"agents": {"a": {"model": {"use": "openai:x", "temperature": 0.2}}}},
    {"agents": {"a": {"storage": "sqlite:///x.db", "limits": {"seconds": 3, "cost": "1.5", "depth": 2}}}},
    {"agents": {"a": {"limits": {"cost": 0.25, "on_limit": "answer"}, "settings": {"temperature": 1, "stop": ["x"]}}}},
    {
        "agents": {
            "a": {"learning": True, "guardrails": ["pii", {"use": "x"}], "reasoning": {"effort": "high"}, "history": "short"}
        }
    },
    {"agents": {"a": {"output_schema": {"type": "object"}, "output_model": "openai:y"}}},
    {"agents": {"prüfer": {}}},
    {"models": {"fast": "openai:x", "slow": {"use": "openai:y", "fallback": ["a:b", {"use": "c", "d": 1}], "any": None}}},
    {"knowledge": {"k": {"sources": ["a", {"url": "b"}], "vector_store": {"use": "x"}, "top": 3}}},
    {"teams": {"t": {"members": [], "strategy": {"use": "coordinate", "leader": "a"}}}},
    {"workflows": {"w": {"steps": [], "schedule": "* * * * *", "more": 1}}},
    {"policy": {"read": "allow", "write": "ask", "network": "deny", "exec": "ask", "money": "deny"}},
    {"kernel": {"trust": ["a"], "pick": {"model:x": "y"}, "disable": ["z"]}},
]

REFUSED = [
    ({"agent": {}}, "agent: unknown key; did you mean 'agents'?"),
    ({"zzz": 1}, "zzz: unknown key; known are agents, "),
    ({"base_dir": "/"}, "base_dir: unknown key; it is always the folder of the file"),
    ({"agents": []}, "agents: found an empty array, expected an object"),
    ({"agents": {"a": 3}}, "agents.a: found an integer, expected an object"),
    ({"agents": {"a b": {}}}, "agents['a b']: is no name; it has 1 to 64 characters"),
    ({"agents": {"": {}}}, "agents['']: is no name"),
    ({"agents": {"a": {"model": ""}}}, "agents.a.model: is no plugin reference"),
    ({"agents": {"a": {"model": "openai:"}}}, "agents.a.model: is no plugin reference"),
    ({"agents": {"a": {"model": {"temperature": 1}}}}, "agents.a.model.use: missing, expected a plugin's name"),
    ({"agents": {"a": {"model": {"use": "no ref"}}}}, "agents.a.model.use: is no plugin reference"),
    ({"agents": {"a": {"tools": "calculator"}}}, "agents.a.tools: found text, expected an array"),
    ({"agents": {"a": {"instructions": 3}}}, "agents.a.instructions: found an integer, expected text"),
    (
        {"agents": {"a": {"limits": {"on_limit": "stop"}}}},
        "agents.a.limits.on_limit: found text, expected one of 'answer' or 'fail'",
    ),
    ({"agents": {"a": {"limits": {"cost": "much"}}}}, "agents.a.limits.cost: found text, expected a decimal number"),
    ({"agents": {"a": {"settings": {"stop": "x"}}}}, "agents.a.settings.stop: found text, expected an array"),
    (
        {"agents": {"a": {"learning": 3}}},
        "agents.a.learning: found an integer, expected true or false, text, an object or an array of ",
    ),
    ({"agents": {"a": {"guardrails": [3]}}}, "agents.a.guardrails[0]: found an integer, expected text or an object"),
    ({"agents": {"a": {"kernel": "x"}}}, "agents.a.kernel: is reserved; it cannot be the name of a feature"),
    ({"models": {"m": {}}}, "models.m.use: missing, expected a plugin's name"),
    ({"models": {"m": {"use": "a", "fallback": "b"}}}, "models.m.fallback: found text, expected an array"),
    ({"models": {"m": 3}}, "models.m: found an integer, expected a plugin's name or an object with 'use'"),
    ({"knowledge": {"k": {"sources": [3]}}}, "knowledge.k.sources[0]: found an integer, expected text or an object"),
    ({"teams": {"t": {}}}, "teams.t.members: missing"),
    ({"teams": {"t": {"members": [3]}}}, "teams.t.members[0]: found an integer, expected text"),
    ({"teams": {"t": {"members": [], "learning": True}}}, "teams.t.learning: unknown key; known are "),
    ({"agents": {"a": {"policy": {"write": "ask"}}}}, "agents.a.policy: is reserved; it cannot be the name of a feature"),
    ({"workflows": {"w": {}}}, "workflows.w.steps: missing"),
    ({"workflows": {"w": {"steps": ["x"]}}}, "workflows.w.steps[0]: found text, expected an object"),
    ({"policy": {"read": "maybe"}}, "policy.read: found text, expected one of 'allow', 'ask' or 'deny'"),
    ({"policy": {"fly": "ask"}}, "policy.fly: found text, expected one of 'read', 'write', 'network', 'exec' or 'money'"),
    ({"kernel": {"trust": "a"}}, "kernel.trust: found text, expected an array"),
    ({"kernel": {"thrust": []}}, "kernel.thrust: unknown key; did you mean 'trust'?"),
    ({"kernel": {"pick": {"a": 1}}}, "kernel.pick.a: found an integer, expected text"),
]


@pytest.fixture(scope="module")
def validator():
    return jsonschema_rs.validator_for(config_schema())


@pytest.mark.parametrize("mapping", ACCEPTED)
def test_loader_and_schema_accept_the_same(validator, mapping):
    assert [] == [error.message for error in validator.iter_errors(mapping)]
    parse_config(mapping)


@pytest.mark.parametrize(("mapping", "problem"), REFUSED, ids=[problem.partition(":")[0] for _, problem in REFUSED])
def test_loader_and_schema_refuse_the_same(validator, mapping, problem):
    assert not validator.is_valid(mapping)
    (told,) = problems_of(mapping)
    assert told.startswith(problem)


def test_every_key_of_the_schema_has_a_description():
    def silent(schema, path):
        for name, each in schema.get("properties", {}).items():
            if not each.get("description"):
                yield f"{path}.{name}"
            yield from silent(each, f"{path}.{name}")

    schema = config_schema()
    tables = {**schema["$defs"], "": schema}

    assert [] == [key for name, table in tables.items() for key in silent(table, name)]


# --- the environment ----------------------------------------------------------------------------------------------------


def tool_option(value, name="option"):
    return {"agents": {"a": {"tools": [{"use": "t", name: value}]}}}


def read_option(value, name="option"):
    return parse_config(tool_option(value, name)).agents["a"].tools[0].options[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${env:ERGASTER_SET}", "value"),
        ("a ${env:ERGASTER_SET} b ${env:ERGASTER_SET}", "a value b value"),
        ("${env:ERGASTER_UNSET:-default}", "default"),
        ("${env:ERGASTER_UNSET:-}", ""),
        ("${env:ERGASTER_EMPTY:-default}", "default"),
        ("${env:ERGASTER_EMPTY}", ""),
        ("${env:ERGASTER_SET:-default}", "value"),
        ("$${env:ERGASTER_SET}", "${env:ERGASTER_SET}"),
        ("${env:ERGASTER_NESTED}", "${env:ERGASTER_SET}"),
        ("${state.name} and ${input}", "${state.name} and ${input}"),
        ("$ { } ${", "$ { } ${"),
    ],
)
def test_variables_are_filled_in_once(monkeypatch, text, expected):
    monkeypatch.setenv("ERGASTER_SET", "value")
    monkeypatch.setenv("ERGASTER_EMPTY", "")
    monkeypatch.setenv("ERGASTER_NESTED", "${env:ERGASTER_SET}")

    assert expected == read_option(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "${env:ERGASTER_UNSET}",
            "environment variable ERGASTER_UNSET is not set; set it, or write ${env:ERGASTER_UNSET:-default}",
        ),
        ("${file:/etc/passwd}", "unknown ${file:…}; only ${env:VARIABLE} is filled in ($${…} is left as it is)"),
        ("${env:}", "${env:…} needs the name of a variable: ${env:NAME} or ${env:NAME:-default}"),
        ("${env:A B}", "${env:…} needs the name of a variable: ${env:NAME} or ${env:NAME:-default}"),
        ("${env:HOME", "${env: has no closing brace"),
        ("${MY_KEY}", "unknown ${MY_KEY}; an environment variable is written ${env:MY_KEY}"),
    ],
)
def test_what_cannot_be_filled_in_is_a_problem(text, problem):
    assert [f"agents.a.tools[0].option: {problem}"] == problems_of(tool_option(text))


def test_every_word_of_an_agent_and_of_a_run_is_a_key_or_reserved():
    words = {*inspect.signature(Agent.__init__).parameters, *RunOptions.__annotations__} - {"self", "options"}

    assert set() == words - set(FeatureOptions.__annotations__) - set(fields_dict(AgentConfig)) - RESERVED


@pytest.mark.parametrize("name", ["api_key", "token", "db_password", "CLIENT_SECRET"])
def test_secret_from_the_environment_is_shown_nowhere(monkeypatch, name):
    monkeypatch.setenv("ERGASTER_SET", "sk-hush")

    config = parse_config(tool_option("${env:ERGASTER_SET}", name))

    assert Secret("sk-hush") == config.agents["a"].tools[0].options[name]
    assert "sk-hush" not in repr(config)


def test_options_are_not_shown():
    tables = {
        "agents": {"a": {"model": {"use": "m", "api_key": "sk-hush"}, "learning": {"key": "sk-hush"}}},
        "models": {"m": {"use": "x", "api_key": "sk-hush"}},
        "knowledge": {"k": {"key": "sk-hush"}},
        "teams": {"t": {"members": [], "strategy": {"use": "s", "key": "sk-hush"}}},
        "workflows": {"w": {"steps": [{"key": "sk-hush"}], "key": "sk-hush"}},
    }

    assert "sk-hush" not in repr(parse_config(tables))


def test_no_value_of_the_environment_stands_in_a_problem(monkeypatch):
    monkeypatch.setenv("ERGASTER_SET", "sk-hush")
    hush = "${env:ERGASTER_SET}"

    found = problems_of(
        {
            "agents": {"a": {"model": f"{hush} {hush}", "limits": {"tool_calls": hush, "on_limit": hush}, "tools": hush}},
            "policy": {"read": hush},
            "teams": {"t": {"members": hush}},
            "kernel": {"trust": hush},
        }
    )

    assert 7 == len(found)
    assert "sk-hush" not in "\n".join(found)


def test_password_in_a_url_is_not_shown():
    config = parse_config({"agents": {"a": {"storage": "postgresql://ada:hush@host/db"}}})

    assert "hush" not in repr(config)
    assert "postgresql://ada:hush@host/db" == config.agents["a"].storage.use


# --- the file itself ----------------------------------------------------------------------------------------------------


def error_of(path):
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[agents.a]\nmodel = \n", "FILE:2:9: Invalid value; correct the TOML there"),
        (b"a = 1\n[agents\n", "FILE:2:8: Expected ']' at the end of a table declaration; correct the TOML there"),
        (b"[agents.a]\n[agents.a]\n", "FILE:2:10: Cannot declare ('agents', 'a') twice; correct the TOML there"),
        (b"a = 1\nb = 'x", 'FILE:2: Expected "\'"; correct the TOML there'),
        (b"a = 1\nb = '\xff'", "FILE:2: is not UTF-8; save it as UTF-8 text"),
        (b"a = " + b"9" * 5000, "FILE: it has a number or date that is out of range"),
        (b"a = " + b"[" * 5000, "FILE: it nests too deeply"),
        (b"#" * (4 * 1024 * 1024 + 1), "FILE is larger than 4 MiB; is it the right file?"),
    ],
    ids=["value", "table", "twice", "end", "latin", "number", "deep", "large"],
)
def test_file_that_is_no_toml_is_told_where(tmp_path, content, message):
    path = tmp_path / "ergaster.toml"
    path.write_bytes(content)

    assert message == error_of(path)


def test_missing_file_and_folder_are_told_with_the_next_step(tmp_path):
    step = "; name a file such as ergaster.toml, or write one with: ergaster new agent"

    assert f"FILE does not exist{step}" == error_of(tmp_path / "ergaster.toml")
    assert f"FILE is no plain file{step}" == error_of(tmp_path)


def test_file_that_may_not_be_read_is_told(tmp_path):
    path = write(tmp_path, "")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")

    assert "FILE cannot be read: Permission denied; check its path and its permissions" == error_of(path)


def test_path_that_no_system_knows_is_told():
    with pytest.raises(ConfigError, match=r"null byte|does not exist"):
        load_config("a\0b.toml")


def test_byte_order_mark_is_no_problem(tmp_path):
    path = tmp_path / "ergaster.toml"
    path.write_bytes(b"\xef\xbb\xbf[agents.a]\n")

    assert ["a"] == list(load_config(path).agents)


def test_deep_nesting_is_refused():
    deep = value = {}
    for _ in range(100_000):
        value["x"] = value = {}

    (told,) = problems_of(tool_option(deep))
    assert told.endswith("is nested deeper than 64 levels")
    assert len(told) < 200


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_mapping_is_refused(value):
    with pytest.raises(ConfigError, match=r"the configuration is .*; expected a table"):
        parse_config(value)


# --- any mutation ---------------------------------------------------------------------------------------------------------

EXAMPLE_DATA = tomllib.loads(EXAMPLE.replace("${env:MY_KEY}", "k"))
KEYS = ["use", "model", "tools", "limits", "members", "steps", "trust", "pick", "agents", "name", "base_dir", "a b", "", "\0"]
shared = (
    st.booleans() | st.integers() | st.text().filter(lambda text: "${" not in text) | st.sampled_from(["a:b", "sql://x", "ask"])
)


def nested(leaves):
    """Return a strategy of values with tables and lists."""
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=6,
    )


tame = nested(shared | st.sampled_from([0.5, -1.5]))
wild = nested(
    shared | st.none() | st.floats() | st.text() | st.sampled_from(["${env:PATH}", "${x:y}", "${env:A-B}", "${HOME}"])
)


def places(value, path=()):
    """Return the path of every value in nested tables and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@st.composite
def mutations(draw, values):
    """Replace, remove or add one or two values of a good configuration."""
    data = copy.deepcopy(EXAMPLE_DATA)
    for _ in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from([place for place in places(data) if place]))
        table = data
        for key in path:
            table = table[key]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "remove":
            del table[last]
        elif action == "add" and isinstance(table, dict):
            table[draw(st.sampled_from(KEYS) | st.text(max_size=5))] = draw(values)
        else:
            table[last] = draw(values)
    return data


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(mutations(wild))
def test_any_mutation_loads_or_is_told_with_a_path(data):
    told = ()
    try:
        parse_config(data)
    except ConfigError as error:
        told = error.problems or ("none",)

    assert all(": " in problem for problem in told)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=mutations(tame))
def test_loader_and_schema_agree_on_any_mutation(validator, data):
    try:
        parse_config(data)
        loads = True
    except ConfigError:
        loads = False

    assert validator.is_valid(data) == loads


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_loads_or_is_a_config_error(content):
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(ConfigError):
            load_config(file.name)
