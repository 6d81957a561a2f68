"""Commands of other plugins: `ergaster NAME …` is what the entry point NAME of the group `ergaster.commands` provides.

The entry point names a function without required parameters that returns the command: a function, whose parameters
become the arguments and options, or a `cyclopts.App` with commands of its own. The command returns its exit code, or
None for 0.

Example:
    [project.entry-points."ergaster.commands"]
    greet = "ergaster_greet:make_command"

    def make_command(): return greet
    def greet(name: str) -> None: print(f"Hello, {name}!")
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ergaster.catalog import Kind
from ergaster.hookspecs import HookManager, hookimpl
from ergaster.plugins import PluginManager

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["COMMANDS", "CommandKind", "add_commands", "make_manager"]

COMMANDS = Kind("command", "ergaster.commands", "ergaster_commands")
"""The kind of plugin that this app owns."""


class CommandKind:
    """Adds the kind `command` to a plugin manager."""

    @hookimpl
    def ergaster_add_hookspecs(self, manager: HookManager) -> None:
        """Add the kind."""
        manager.add_kind(COMMANDS)


def make_manager(
    *, trust: Collection[str] = (), pick: Mapping[str, str] = MappingProxyType({}), disable: Collection[str] = ()
) -> PluginManager:
    """Return a plugin manager that knows the kinds of this app, too."""
    manager = PluginManager(trust=trust, pick=pick, disable=disable)
    manager.register(CommandKind(), "ergaster-cli")
    return manager


def add_commands(app: App, word: str) -> None:
    """Add the commands of plugins: the one that was typed, or, for the help, the names of all.

    Args:
        app: The command line.
        word: The first word typed; an option asks for the help.
    """
    manager = make_manager()
    if word in manager.names(COMMANDS.name):
        app.command(manager.create(COMMANDS.name, word), name=word)
    elif word in ("--help", "-h"):
        for name in manager.names(COMMANDS.name):
            app.command(_only_named, name=name, help="A command of an installed plugin.")


def _only_named() -> None:
    """Stands in the help for a command that is imported when it is typed."""
