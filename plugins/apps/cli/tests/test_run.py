"""`ergaster run` as scripts and people use it."""

from ergaster.messages import ToolCall
from ergaster.testing.loopback import Reply


def test_the_answer_alone_goes_to_standard_output(shell, server):
    server.say(Reply(calls=(ToolCall("c1", "calculate", '{"expression": "17*23"}'),)), Reply(text="It is 391."))

    done = shell.run("run", "assistant", "What is 17 * 23?")

    assert done.stdout == "It is 391.\n", done.stderr
    assert "calculate" in done.stderr
    assert "391" in done.stderr
    assert 0 == done.returncode
