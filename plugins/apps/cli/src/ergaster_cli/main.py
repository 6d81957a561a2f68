"""The `ergaster` command's entry: reads the command line, calls the command, turns errors into messages and exit codes.

Commands are named here and imported when they are typed, so that `ergaster --help` stays quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ergaster_cli.exits import CommandFailed, Exit
from ergaster_cli.screen import STDIN, prepare_streams
from ergaster_cli.visible import escape

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["build_app", "main"]

_GROUPS = {
    "plugins": "Look at what is installed.",
    "sessions": "Look at stored conversations.",
    "config": "Check ergaster.toml.",
    "new": "Make a plugin or an agent.",
}
_COMMANDS = {
    "run": ("ergaster_cli.run:run", "Run an agent on a prompt and print its answer."),
    "chat": ("ergaster_cli.chat:chat", "Talk with an agent."),
    "demo": ("ergaster_cli.demo.command:demo", "Watch an agent work, survive a kill, and prove it."),
    "plugins list": ("ergaster_cli.plugins:list_plugins", "List the installed plugins."),
    "plugins show": ("ergaster_cli.plugins:show_plugin", "Show a plugin's options and environment."),
    "plugins doctor": ("ergaster_cli.plugins:doctor", "Import every plugin and report what is wrong."),
    "sessions list": ("ergaster_cli.sessions:list_sessions", "List stored sessions, newest first."),
    "sessions show": ("ergaster_cli.sessions:show_session", "Show what was said in a session."),
    "sessions export": ("ergaster_cli.sessions:export_session", "Print a session as JSON lines."),
    "config check": ("ergaster_cli.configuration:check", "Check ergaster.toml and the plugins it names."),
    "config schema": ("ergaster_cli.configuration:schema", "Print the JSON Schema of ergaster.toml."),
    "new plugin": ("ergaster_cli.new:plugin", "Make a plugin of any kind."),
    "new toolkit": ("ergaster_cli.new:toolkit", "Make a toolkit plugin."),
    "new agent": ("ergaster_cli.new:agent", "Make a folder with an agent's ergaster.toml."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        arguments: What was typed behind `ergaster`; the process's own arguments when not given.
    """
    prepare_streams()
    typed = list(sys.argv[1:] if arguments is None else arguments)
    shows_traceback = _take_debug(typed)
    try:
        code = _call(typed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return Exit.FAILED
    except Exception as error:  # boundary: the end of the command; every failure becomes a message and an exit code
        if shows_traceback:
            raise
        return _report(error)
    return code


def _take_debug(typed: list[str]) -> bool:
    """Remove `--debug` from the options and say whether it was there."""
    options = typed[: typed.index("--")] if "--" in typed else typed
    if "--debug" not in options:
        return False
    typed.remove("--debug")
    return True


def _forget_output() -> None:
    """Nobody reads standard output any more: let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(typed: list[str]) -> int:
    app = build_app()
    known = {name.partition(" ")[0] for name in _COMMANDS}
    word = typed[0] if typed else "--help"
    if word not in known:
        from ergaster_cli.commands import add_commands

        add_commands(app, word)
    result = app([STDIN if each == "-" else each for each in typed])
    return result if isinstance(result, int) else Exit.OK


def build_app() -> App:
    """Return the command line's parser; no command is imported yet."""
    from cyclopts import App

    def make(name: str, summary: str) -> App:
        return App(
            name=name,
            help=summary,
            version=_version,
            version_flags=["--version"] if name == "ergaster" else [],
            result_action="return_value",
            suppress_keyboard_interrupt=False,
            exit_on_error=False,
            print_error=False,
            help_on_error=False,
        )

    app = make("ergaster", "Agents that learn, built from plugins.")
    app.help_epilogue = "Put --debug anywhere before -- to see the traceback of an error."
    groups = {name: make(name, summary) for name, summary in _GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for name, (path, summary) in _COMMANDS.items():
        parent, _, last = name.rpartition(" ")
        groups.get(parent, app).command(path, name=last, help=summary)
    return app


def _version() -> str:
    from importlib.metadata import version

    return f"ergaster {version('ergaster')}"


def _report(error: Exception) -> int:
    """Say what went wrong, on standard error, and return the exit code."""
    from ergaster.errors import ConfigError, ErgasterError, InvalidRef, PluginError, SchemaError, Unsupported

    if type(error).__module__.startswith("cyclopts"):
        return _say(f"{error}\nSee: ergaster --help", Exit.USAGE)
    if isinstance(error, CommandFailed):
        return _say(str(error), error.code)
    if isinstance(error, ConfigError | InvalidRef | PluginError | SchemaError | Unsupported):
        return _say(str(error), Exit.USAGE)
    if isinstance(error, ErgasterError):
        return _say(str(error), Exit.FAILED)
    return _say(f"{type(error).__name__}: {error}\nThis is unexpected; --debug shows where it happened.", Exit.FAILED)


def _say(message: str, code: Exit) -> int:
    sys.stderr.write(f"error: {escape(message)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
