"""`ergaster run` as scripts and people use it."""

import json
import signal

import pytest

from ergaster.codec import read_event
from ergaster.events import RunCompleted, RunFailed, RunPaused, RunStarted, TextDelta, ToolCompleted
from ergaster.messages import ToolCall
from ergaster.testing.loopback import Reply, failing, hanging
from ergaster_cli.exits import UsageError
from ergaster_cli.run import read_command

CALCULATE = Reply(calls=(ToolCall("c1", "calculate", '{"expression": "17*23"}'),))
WRITE = Reply(calls=(ToolCall("w1", "write_file", '{"path": "a.md", "content": "the sea"}'),))


def test_the_answer_alone_goes_to_standard_output(shell, server):
    server.say(CALCULATE, Reply(text="It is 391."))

    done = shell.run("run", "assistant", "What is 17 * 23?")

    assert done.stdout == "It is 391.\n", done.stderr
    assert 'calculate(expression="17*23")' in done.stderr
    assert "391" in done.stderr
    assert 0 == done.returncode


def test_quiet_shows_no_tool_calls(shell, server):
    server.say(CALCULATE, Reply(text="It is 391."))

    done = shell.run("run", "assistant", "What is 17 * 23?", "--quiet")

    assert ("It is 391.\n", "") == (done.stdout, done.stderr)


def test_piped_text_is_added_to_the_prompt(shell, server):
    server.say(Reply(text="Short."))

    shell.run("run", "assistant", "Sum this up:", input="a long text\n")

    assert "Sum this up:\n\na long text" == server.requests[0].body["messages"][-1]["content"]


def test_a_lone_dash_reads_the_prompt_from_standard_input(shell, server):
    server.say(Reply(text="Hello."))

    done = shell.run("run", "assistant", "-", input="hi\n")

    assert "Hello.\n" == done.stdout
    assert "hi" == server.requests[0].body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("words", "piped", "expected"),
    [
        (["hello"], "", ("", "hello")),
        (["scribe", "hello"], "", ("scribe", "hello")),
        (["scribe"], "", ("", "scribe")),
        (["scribe"], "text\n", ("scribe", "text")),
        (["hello"], "text\n", ("", "hello\n\ntext")),
    ],
)
def test_the_first_word_is_an_agent_when_something_else_is_the_prompt(words, piped, expected):
    assert expected == read_command(words, ["assistant", "scribe"], piped=piped)


def test_several_words_that_name_no_agent_are_refused():
    with pytest.raises(UsageError, match="assistant"):
        read_command(["tell", "me"], ["assistant"], piped="")


def test_no_prompt_is_wrong_usage(shell):
    done = shell.run("run")

    assert 2 == done.returncode
    assert "there is no prompt" in done.stderr


def test_json_prints_one_event_per_line(shell, server):
    server.say(CALCULATE, Reply(text="It is 391."))

    events, done = shell.events("assistant", "What is 17 * 23?")

    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunCompleted)
    assert ["391"] == [event.result.content for event in events if isinstance(event, ToolCompleted)]
    assert "It is 391." == "".join(event.text for event in events if isinstance(event, TextDelta))
    assert 0 == done.returncode


def test_json_keeps_hostile_text_on_one_line(shell, server):
    server.say(Reply(text="data: x\r\n\r\nevent: y\u2028\x1b[2J"))

    events, done = shell.events("assistant", "go")

    assert "data: x\r\n\r\nevent: y\u2028\x1b[2J" == events[-1].text
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout


def test_a_failed_run_exits_with_1_and_a_message(shell, server):
    server.say(failing(401, message="bad key"))

    done = shell.run("run", "assistant", "hi")

    assert ("", 1) == (done.stdout, done.returncode)
    assert "AuthenticationFailed" in done.stderr
    assert "Traceback" not in done.stderr
    assert 1 == done.stderr.count("bad key")


def test_a_failed_run_ends_the_json_stream_with_its_failure(shell, server):
    server.say(failing(401, message="bad key"))

    events, done = shell.events("assistant", "hi")

    assert isinstance(events[-1], RunFailed)
    assert 1 == done.returncode


def test_a_call_that_needs_consent_pauses_where_nobody_can_answer(shell, server):
    server.say(WRITE)

    done = shell.run("run", "scribe", "write")

    assert ("", 3) == (done.stdout, done.returncode)
    assert "ergaster run --resume" in done.stderr
    assert not (shell.folder / "notes" / "a.md").exists()


def test_a_paused_run_is_resumed_by_another_process(shell, server):
    server.say(WRITE, Reply(text="Done."))
    events, _ = shell.events("scribe", "write")
    assert isinstance(events[-1], RunPaused)

    done = shell.run("run", "--resume", events[-1].run_id, "--yes")

    assert ("Done.\n", 0) == (done.stdout, done.returncode), done.stderr
    assert "the sea" == (shell.folder / "notes" / "a.md").read_text()
    assert 2 == len(server.requests)


def test_no_refuses_and_the_model_hears_of_it(shell, server):
    server.say(WRITE, Reply(text="Then not."))

    done = shell.run("run", "scribe", "write", "--no")

    assert ("Then not.\n", 0) == (done.stdout, done.returncode)
    assert not (shell.folder / "notes" / "a.md").exists()


def test_yes_lets_it_write(shell, server):
    server.say(WRITE, Reply(text="Done."))

    done = shell.run("run", "scribe", "write", "--yes")

    assert ("Done.\n", 0) == (done.stdout, done.returncode)
    assert "the sea" == (shell.folder / "notes" / "a.md").read_text()


def test_yes_and_no_exclude_each_other(shell):
    assert 2 == shell.run("run", "assistant", "x", "--yes", "--no").returncode


def test_an_unknown_run_cannot_be_resumed(shell):
    done = shell.run("run", "--resume", "nothing")

    assert 1 == done.returncode
    assert "no run 'nothing'" in done.stderr


def test_the_terminal_shows_the_exact_arguments_and_takes_yes(shell, server, terminal):
    server.say(Reply(calls=(ToolCall("w1", "write_file", '{"path": "a.md", "content": "rm \\u202e -rf \\u001b[8m"}'),)))
    server.say(Reply(text="Done."))
    screen = terminal("run", "scribe", "write", NO_COLOR="1")

    shown = screen.wait_for("[y]es")
    screen.type("y\n")
    code = screen.end()

    assert '"content": "rm \\u202e -rf \\u001b[8m"' in shown
    assert "\u202e" not in shown
    assert "\x1b[8m" not in shown
    assert 0 == code
    assert "rm \u202e -rf \x1b[8m" == (shell.folder / "notes" / "a.md").read_text()


def test_the_terminal_takes_no_with_a_reason(shell, server, terminal):
    server.say(WRITE, Reply(text="I will not."))
    screen = terminal("run", "scribe", "write")

    screen.wait_for("[y]es")
    screen.type("n too wet\n")
    code = screen.end()

    assert 0 == code
    assert "too wet" in json.dumps(server.requests[1].body)
    assert not (shell.folder / "notes" / "a.md").exists()


def test_the_end_of_the_input_leaves_the_run_paused(shell, server, terminal):
    server.say(WRITE)
    screen = terminal("run", "scribe", "write")

    screen.wait_for("[y]es")
    screen.type("\x04")

    assert 3 == screen.end()
    assert "--resume" in screen.output


def test_ctrl_c_leaves_a_run_that_can_be_resumed(shell, server, terminal):
    server.say(CALCULATE, hanging())
    screen = terminal("run", "assistant", "What is 17 * 23?")
    screen.wait_for("391")
    assert server.wait_until(lambda server: len(server.requests) == 2)

    screen.type("\x03")
    code = screen.end()
    run_id = screen.output.rpartition("--resume ")[2].split()[0]
    server.say(Reply(text="It is 391."))
    done = shell.run("run", "--resume", run_id)

    assert signal.SIGINT + 128 == code
    assert ("It is 391.\n", 0) == (done.stdout, done.returncode), done.stderr
    assert 3 == len(server.requests)
    assert "Traceback" not in screen.output


def test_a_run_of_a_live_process_is_not_taken_over_unless_forced(shell, server):
    server.say(CALCULATE, hanging())
    process = shell.popen("run", "assistant", "go", "--json")
    assert server.wait_until(lambda server: len(server.requests) == 2)
    run_id = read_event(process.stdout.readline()).run_id

    refused = shell.run("run", "--resume", run_id)
    server.say(Reply(text="Mine now."))
    forced = shell.run("run", "--resume", run_id, "--force")
    process.stdout.read()
    errors = process.stderr.read()
    process.wait()

    assert 1 == refused.returncode
    assert "--force" in refused.stderr
    assert ("Mine now.\n", 0) == (forced.stdout, forced.returncode)
    assert 1 == process.returncode, errors
    process.stdout.close()
    process.stderr.close()


def test_ctrl_c_at_a_question_leaves_the_run_paused(shell, server, terminal):
    server.say(WRITE, Reply(text="Done."))
    screen = terminal("run", "scribe", "write")
    screen.wait_for("[y]es")

    screen.type("\x03")

    assert 130 == screen.end()
    run_id = screen.output.rpartition("--resume ")[2].split()[0]
    assert 0 == shell.run("run", "--resume", run_id, "--yes").returncode


def test_the_terminal_shows_control_characters_as_escapes(shell, server, terminal):
    server.say(Reply(text="a\x1b]0;owned\x07b\x9b2Jc\u202ed"))
    screen = terminal("run", "assistant", "go", NO_COLOR="1")

    assert 0 == screen.end()
    assert "a\\x1b]0;owned\\x07b\\x9b2Jc\\u202ed" in screen.output
    assert "\x1b" not in screen.output


def test_a_hostile_tool_result_is_one_escaped_line(shell, server, terminal):
    (shell.folder / "notes" / "bad.md").write_text("\x1b[31mfirst\nsecond\u202e")
    server.say(Reply(calls=(ToolCall("r1", "read_file", '{"path": "bad.md"}'),)), Reply(text="Read."))
    screen = terminal("run", "scribe", "go", NO_COLOR="1")

    assert 0 == screen.end()
    assert "\\x1b[31mfirst\\nsecond\\u202e" in screen.output


def test_text_streams_to_a_terminal_before_the_run_ends(shell, server, terminal):
    server.say(CALCULATE, Reply(text="It is 391."), hanging())
    server.say()
    screen = terminal("run", "assistant", "What is 17 * 23?")

    assert "It is 391." in screen.wait_for("It is 391.")
    assert 0 == screen.end()
    assert 1 == screen.output.count("It is 391.")


def test_what_a_code_page_cannot_show_is_no_error(shell, server):
    server.say(CALCULATE, Reply(text="voilà 漢字"))

    done = shell.run("run", "assistant", "go", PYTHONUTF8="0", PYTHONIOENCODING="ascii:strict")

    assert "voil\\xe0 \\u6f22\\u5b57\n" == done.stdout
    assert 0 == done.returncode


def test_a_key_is_in_no_output(shell, server):
    server.say(failing(401, message="wrong key"))
    path = shell.folder / "ergaster.toml"
    path.write_text(path.read_text().replace('"test"', '"sk-very-secret-123"'))

    done = shell.run("--debug", "run", "assistant", "hi")

    assert "sk-very-secret-123" not in done.stdout + done.stderr


def test_another_model_for_one_run(shell, server):
    other = server.base_url
    path = shell.folder / "ergaster.toml"
    path.write_text(
        path.read_text() + f'\n[models.other]\nuse = "openai_compatible:second"\nbase_url = "{other}"\napi_key = "k"\n'
    )

    shell.run("run", "assistant", "hi", "--model", "other")

    assert "second" == server.requests[0].body["model"]


def test_a_session_goes_on_in_another_process(shell, server):
    server.say(Reply(text="Noted."), Reply(text="heron"))
    shell.run("run", "assistant", "My word is heron.", "--session", "s1")

    shell.run("run", "assistant", "Which word?", "--session", "s1")

    assert ["user", "assistant", "user"] == [
        message["role"] for message in server.requests[1].body["messages"] if message["role"] != "system"
    ]


def test_the_configuration_is_found_upwards(shell, server):
    deep = shell.folder / "a" / "b"
    deep.mkdir(parents=True)
    server.say(Reply(text="Found."))
    shell.folder = deep

    assert "Found.\n" == shell.run("run", "assistant", "hi").stdout


def test_a_named_configuration_is_part_of_the_line_to_resume(shell, server):
    server.say(WRITE)

    done = shell.run("run", "--file", "ergaster.toml", "scribe", "write")

    assert "ergaster run --file ergaster.toml --resume" in done.stderr


def test_a_reader_that_leaves_early_gets_no_traceback(shell, server):
    server.say(Reply(text="x" * 200_000))
    process = shell.popen("run", "assistant", "go", "--json")
    process.stdout.close()

    errors = process.stderr.read()
    process.wait()
    process.stderr.close()

    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


def test_every_json_line_is_complete_when_the_process_is_killed(shell, server):
    server.say(CALCULATE, hanging())
    process = shell.popen("run", "assistant", "go", "--json")
    assert server.wait_until(lambda server: len(server.requests) == 2)
    process.kill()

    lines = process.stdout.read().splitlines(keepends=True)
    process.stderr.close()
    process.stdout.close()
    process.wait()

    assert [read_event(line) for line in lines if line.endswith("\n")]
