"""`ergaster config`: check ergaster.toml, print its schema."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ergaster_cli.checking import check_config
from ergaster_cli.exits import Exit
from ergaster_cli.project import find_config
from ergaster_cli.screen import Screen
from ergaster_cli.tables import print_json

__all__ = ["check", "schema"]


def check(file: str = "", /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Check ergaster.toml: its form, the names of the plugins in it, and their options. Nothing is connected or run.

    Exit code 0 when all is well, 2 when not; all problems are printed, not the first.

    Args:
        file: The configuration; the nearest ergaster.toml, upwards from here, when not given.
        json: Print the result as JSON.
    """
    screen = Screen()
    path = find_config(file)
    problems = check_config(path)
    if json:
        print_json(screen, {"file": str(path), "ok": not problems, "problems": problems})
    elif problems:
        screen.warn(f"{path}: {len(problems)} {'problem' if len(problems) == 1 else 'problems'}", "bold")
        for problem in problems:
            screen.warn(f"  - {problem}")
    else:
        screen.line(f"{path}: ok")
    return Exit.USAGE if problems else Exit.OK


def schema() -> int:
    """Print the JSON Schema of ergaster.toml, for editors."""
    from ergaster.config import config_schema

    print_json(Screen(), config_schema())
    return Exit.OK
