"""The other commands, run as people run them; plugins are small distributions written by the test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ergaster.messages import ToolCall
from ergaster.testing.loopback import Reply, hanging


def install(folder: Path, name: str, module: str, entry_points: str) -> str:
    """Write an installed distribution, and return the folder for PYTHONPATH."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\nSummary: A plugin of a test\n")
    (info / "entry_points.txt").write_text(entry_points)
    (folder / f"{name.replace('-', '_')}.py").write_text(module)
    return str(folder)


PROMPT = "\x1b[?2004h"
"""What the terminal is told when a line can be typed."""

GREET = """
raise_at_import = False
def greet(name: str, *, loud: bool = False) -> int:
    "Say hello.\\n\\nArgs:\\n    name: Whom to greet.\\n    loud: Shout."
    print(f"HELLO {name}" if loud else f"hello {name}")
    return 0
def make(): return greet
"""


def test_the_version_is_printed(bare):
    assert "ergaster 0.1.0\n" == bare.run("--version").stdout


def test_help_imports_no_command_and_nothing_heavy(bare):
    script = (
        "import sys; from ergaster_cli.main import main; code = main(['--help']);"
        "heavy = {'prompt_toolkit', 'ergaster_cli.run', 'cattrs', 'openai', 'sqlalchemy', 'aiohttp'};"
        "print('LOADED', sorted(heavy & set(sys.modules)), code)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=bare.env, capture_output=True, text=True, check=False)

    assert "LOADED [] 0" in done.stdout
    for command in ("run", "chat", "plugins", "new", "sessions", "config", "demo"):
        assert command in done.stdout


def test_a_mistyped_command_names_the_nearest(bare):
    done = bare.run("rnu", "x")

    assert 2 == done.returncode
    assert 'Did you mean "run"' in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_option_is_wrong_usage(bare):
    done = bare.run("run", "hi", "--nonsense")

    assert 2 == done.returncode
    assert "--nonsense" in done.stderr


def test_debug_shows_the_traceback(bare):
    done = bare.run("--debug", "run", "hi", "--file", "nowhere.toml")

    assert "Traceback" in done.stderr
    assert "Traceback" not in bare.run("run", "hi", "--file", "nowhere.toml").stderr


def test_a_plugin_brings_a_command(bare, tmp_path):
    path = install(tmp_path / "site", "greeter", GREET, "[ergaster.commands]\ngreet = greeter:make\n")

    done = bare.run("greet", "Ada", "--loud", PYTHONPATH=path)

    assert ("HELLO Ada\n", 0) == (done.stdout, done.returncode), done.stderr
    assert "greet" in bare.run("--help", PYTHONPATH=path).stdout
    assert "Whom to greet." in bare.run("greet", "--help", PYTHONPATH=path).stdout


def test_a_command_is_imported_only_when_it_is_typed(bare, tmp_path):
    path = install(tmp_path / "site", "bomb", "raise RuntimeError('boom')", "[ergaster.commands]\nbomb = bomb:make\n")

    assert 0 == bare.run("plugins", "list", PYTHONPATH=path).returncode
    assert 0 == bare.run("--help", PYTHONPATH=path).returncode
    done = bare.run("bomb", PYTHONPATH=path)
    assert 2 == done.returncode
    assert "boom" in done.stderr


def test_plugins_list_names_kind_distribution_and_version(bare):
    done = bare.run("plugins", "list", "--json")

    found = {(row["kind"], row["name"]): row for row in json.loads(done.stdout)}
    assert "ergaster-calculator" == found["toolkit", "calculator"]["distribution"]
    assert "0.1.0" == found["storage", "sqlite"]["version"]
    assert 0 == done.returncode


def test_plugins_list_takes_a_kind_and_knows_which_there_are(bare):
    assert {"storage"} == {row["kind"] for row in json.loads(bare.run("plugins", "list", "storage", "--json").stdout)}
    done = bare.run("plugins", "list", "stoage")
    assert 2 == done.returncode
    assert "vector_store" in done.stderr


def test_plugins_list_imports_no_plugin(bare, tmp_path):
    path = install(tmp_path / "site", "bomb", "raise RuntimeError('boom')", "[ergaster.toolkits]\nbomb = bomb:Kit\n")

    done = bare.run("plugins", "list", "toolkit", PYTHONPATH=path)

    assert "bomb" in done.stdout
    assert 0 == done.returncode


def test_plugins_show_documents_options_and_never_values(bare):
    done = bare.run("plugins", "show", "openai_compatible", "--json", MY_KEY="sk-secret")

    (shown,) = json.loads(done.stdout)
    options = {option["name"]: option for option in shown["options"]}
    assert {"base_url", "api_key", "timeout"} <= set(options)
    assert all(option["help"] for option in options.values()), options
    assert "sk-secret" not in done.stdout


def test_plugins_show_says_whether_a_variable_is_set_and_not_what_it_holds(bare):
    done = bare.run("plugins", "show", "openai", OPENAI_API_KEY="sk-very-secret")

    assert "environment OPENAI_API_KEY: set" in done.stdout
    assert "sk-very-secret" not in done.stdout + done.stderr


def test_doctor_names_the_broken_plugin_and_exits_with_1(bare, tmp_path):
    path = install(tmp_path / "site", "bomb", "raise RuntimeError('boom')", "[ergaster.toolkits]\nbomb = bomb:Kit\n")

    done = bare.run("plugins", "doctor", PYTHONPATH=path)
    verbose = bare.run("plugins", "doctor", "-v", PYTHONPATH=path)

    assert 1 == done.returncode
    assert "toolkit bomb from bomb: RuntimeError: boom" in done.stdout
    assert "Traceback" not in done.stdout
    assert "raise RuntimeError" in verbose.stdout


def test_doctor_names_a_plugin_that_is_made_for_another_kernel(bare, tmp_path):
    path = install(tmp_path / "site", "ancient", "def kit(): ...", "[ergaster.toolkits]\nancient = ancient:kit\n")
    metadata = tmp_path / "site" / "ancient-1.2.dist-info" / "METADATA"
    metadata.write_text(f"{metadata.read_text()}Requires-Dist: ergaster<0.1,>=0.0.1\n")

    done = bare.run("plugins", "doctor", PYTHONPATH=path)

    assert 1 == done.returncode
    assert "ancient 1.2 is made for ergaster<0.1,>=0.0.1" in done.stdout


def test_doctor_reports_code_of_the_kernel_that_a_plugin_replaced(bare, tmp_path):
    module = "import ergaster.policy\nergaster.policy.Policy.rule = lambda self, tool: 'allow'\ndef kit(): ...\n"
    path = install(tmp_path / "site", "patcher", module, "[ergaster.toolkits]\npatcher = patcher:kit\n")

    done = bare.run("plugins", "doctor", "--json", PYTHONPATH=path)

    assert 1 == done.returncode
    (notice,) = json.loads(done.stdout)["notices"]
    assert "ergaster.policy.Policy.rule was replaced by code of " in notice
    assert "patcher.py" in notice


def test_doctor_is_content_with_what_is_shipped(bare):
    done = bare.run("plugins", "doctor", "--json")

    assert {"ok": True, "failures": []} == {key: json.loads(done.stdout)[key] for key in ("ok", "failures")}
    assert 0 == done.returncode


def test_config_check_reports_every_problem_with_its_path(bare):
    (bare.folder / "ergaster.toml").write_text(
        '[agents.a]\nmodel = "opnai:x"\ntools = ["calculatr", { use = "files", rot = "." }]\nlerning = true\n'
    )

    done = bare.run("config", "check")

    assert 2 == done.returncode
    for expected in ("agents.a.model", "agents.a.tools[0]", "agents.a.tools[1]", "agents.a.lerning", "did you mean 'root'"):
        assert expected in done.stderr


def test_config_check_accepts_what_is_right(shell):
    done = shell.run("config", "check", "--json")

    assert {"ok": True, "problems": []} == {key: json.loads(done.stdout)[key] for key in ("ok", "problems")}
    assert 0 == done.returncode


def test_config_check_without_a_file_says_how_to_make_one(bare):
    done = bare.run("config", "check")

    assert 2 == done.returncode
    assert "ergaster new agent" in done.stderr


def test_config_check_says_where_the_toml_breaks(bare):
    (bare.folder / "ergaster.toml").write_text("[agents.a]\nmodel = \n")

    done = bare.run("config", "check")

    assert "ergaster.toml:2:9" in done.stderr
    assert 2 == done.returncode


def test_config_schema_is_a_json_schema(bare):
    assert "agents" in json.loads(bare.run("config", "schema").stdout)["properties"]


def test_a_wrong_configuration_stops_a_run_before_it_begins(shell, server):
    path = shell.folder / "ergaster.toml"
    path.write_text(path.read_text() + "\n[agents.assistant.limits]\ntool_cals = 3\n")

    done = shell.run("run", "assistant", "hi")

    assert 2 == done.returncode
    assert "tool_cals" in done.stderr
    assert not server.requests


def test_new_toolkit_writes_files_and_says_what_comes_next(bare):
    done = bare.run("new", "toolkit", "weather")

    assert (bare.folder / "ergaster-weather" / "pyproject.toml").is_file()
    assert "ergaster-weather/pyproject.toml" in done.stdout
    assert "pytest" in done.stderr
    assert 2 == bare.run("new", "toolkit", "weather").returncode


def test_new_plugin_refuses_a_kind_without_template(bare):
    done = bare.run("new", "plugin", "spaceship", "x")

    assert 2 == done.returncode
    assert "toolkit" in done.stderr


def test_new_agent_writes_a_configuration_that_checks(bare):
    bare.run("new", "agent", "helper")
    bare.folder = bare.folder / "helper"

    done = bare.run("config", "check")

    assert 0 == done.returncode, done.stderr


@pytest.fixture
def talked(shell, server):
    """A session of two turns, the first with a tool call."""
    server.say(Reply(calls=(ToolCall("c1", "calculate", '{"expression": "17*23"}'),)), Reply(text="It is 391."))
    server.say(Reply(text="\x1b[31mYou are welcome."))
    assert 0 == shell.run("run", "assistant", "What is 17 * 23?", "--session", "s1").returncode
    assert 0 == shell.run("run", "assistant", "Thanks", "--session", "s1").returncode
    return shell


def test_sessions_list_shows_the_stored_sessions(talked):
    (found,) = json.loads(talked.run("sessions", "list", "--json").stdout)

    assert ("s1", 2) == (found["session"], found["turns"])
    assert "s1" in talked.run("sessions", "list").stdout


def test_sessions_show_tells_what_was_said(talked):
    plain = talked.run("sessions", "show", "s1").stdout
    tools = talked.run("sessions", "show", "s1", "--tools").stdout

    assert ["user: What is 17 * 23?", "assistant: It is 391.", "user: Thanks"] == plain.splitlines()[:3]
    assert 'calls calculate(expression="17*23")' in tools
    assert "calculate gives 391" in tools


def test_sessions_export_is_json_lines(talked):
    lines = [json.loads(line) for line in talked.run("sessions", "export", "s1").stdout.splitlines()]
    with_journal = [json.loads(line) for line in talked.run("sessions", "export", "s1", "--journal").stdout.splitlines()]

    assert ["session", "turn", "turn"] == [line["type"] for line in lines]
    assert "It is 391." == lines[1]["messages"][-1]["parts"][0]["text"]
    assert {"run_started", "model_completed", "tool_completed", "run_completed"} <= {line.get("kind") for line in with_journal}


def test_an_unknown_session_is_an_error(talked):
    done = talked.run("sessions", "show", "nothing")

    assert 1 == done.returncode
    assert "ergaster sessions list" in done.stderr


def test_chat_answers_each_line_of_a_pipe_in_one_session(shell, server):
    server.say(Reply(text="Noted."), Reply(text="heron"))

    done = shell.run("chat", "assistant", input="My word is heron.\nWhich word?\n/quit\nnever asked\n")

    assert ("Noted.\nheron\n", 0) == (done.stdout, done.returncode), done.stderr
    assert 2 == len(server.requests)
    assert 3 == len([message for message in server.requests[1].body["messages"] if message["role"] != "system"])


def test_chat_remembers_without_a_storage(bare, server):
    (bare.folder / "ergaster.toml").write_text(
        f'[agents.a]\nmodel = {{ use = "openai_compatible:x", base_url = "{server.base_url}", api_key = "k" }}\n'
    )
    server.say(Reply(text="Noted."), Reply(text="heron"))

    done = bare.run("chat", input="My word is heron.\nWhich word?\n")

    assert "Noted.\nheron\n" == done.stdout, done.stderr
    assert 3 == len([message for message in server.requests[1].body["messages"] if message["role"] != "system"])


def test_chat_talks_at_a_terminal(server, terminal):
    server.say(Reply(text="Some **bold** words\n\n- one\n- two\n"), Reply(text="again"))
    screen = terminal("chat", "assistant")

    screen.wait_for(PROMPT)
    screen.type("hello\r")
    screen.wait_for("two")
    screen.wait_for(PROMPT)
    screen.type("/session\r")
    screen.wait_for("session chat-")
    screen.wait_for(PROMPT)
    screen.type("/nonsense\r")
    screen.wait_for("there is no command /nonsense")
    screen.wait_for(PROMPT)
    screen.type("\x04")

    assert 0 == screen.end()
    assert "**bold**" not in screen.output
    assert "hello" == server.requests[0].body["messages"][-1]["content"]


def test_chat_sends_several_lines_as_one_message(server, terminal):
    server.say(Reply(text="ok"))
    screen = terminal("chat", "assistant")

    screen.wait_for(PROMPT)
    screen.type("one\\\r")
    screen.type("two\r")
    screen.wait_for("ok")
    screen.wait_for(PROMPT)
    screen.type("\x04")

    assert 0 == screen.end()
    assert "one\ntwo" == server.requests[0].body["messages"][-1]["content"]


def test_ctrl_c_stops_an_answer_and_not_the_chat(server, terminal):
    server.say(hanging(), Reply(text="still here"))
    screen = terminal("chat", "assistant")

    screen.wait_for(PROMPT)
    screen.type("hello\r")
    assert server.wait_until(lambda server: len(server.requests) == 1)
    screen.type("\x03")
    screen.wait_for("--resume")
    screen.wait_for(PROMPT)
    screen.type("again\r")
    screen.wait_for("still here")
    screen.wait_for(PROMPT)
    screen.type("\x04")

    assert 0 == screen.end()
