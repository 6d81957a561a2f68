"""`ergaster new`: make a plugin or an agent from the templates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ergaster_cli.exits import Exit
from ergaster_cli.screen import Screen

__all__ = ["agent", "plugin", "toolkit"]


def plugin(kind: str, name: str, /, *, folder: Path | None = None) -> int:
    """Make a plugin that installs, works and passes its kind's contract tests.

    Args:
        kind: What it provides: model, toolkit, storage, feature and so on.
        name: The name that users type, such as `weather`.
        folder: Where to put it; `./ergaster-NAME` when not given.
    """
    from ergaster_cli.scaffold import create_plugin

    files = create_plugin(kind, name, folder)
    return _tell(files, f"next: cd {files[0].parent}, pip install -e . and run pytest")


def toolkit(name: str, /, *, folder: Path | None = None) -> int:
    """Make a toolkit: tools that belong together.

    Args:
        name: The name that users type, such as `weather`.
        folder: Where to put it; `./ergaster-NAME` when not given.
    """
    return plugin("toolkit", name, folder=folder)


def agent(name: str, /, *, folder: Path | None = None) -> int:
    """Make a folder with the ergaster.toml of an agent.

    Args:
        name: The agent's name.
        folder: Where to put it; `./NAME` when not given.
    """
    from ergaster_cli.scaffold import create_agent

    files = create_agent(name, folder)
    return _tell(files, f'next: cd {files[0].parent} and ergaster run "What can you help me with?"')


def _tell(files: Sequence[Path], advice: str) -> int:
    screen = Screen()
    for path in files:
        screen.line(str(path))
    screen.note(advice)
    return Exit.OK
