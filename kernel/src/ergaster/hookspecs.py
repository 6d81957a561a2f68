"""The hooks: how plugins are registered, and what they may observe or replace.

Hooks assemble, contracts run. Every hook is synchronous, cheap, and called while things are put together; behaviour
lives in the objects that the contracts describe.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import pluggy

from ergaster.catalog import KINDS, Kind, Spec

if TYPE_CHECKING:
    from ergaster.contracts.feature import Feature

__all__ = ["PROJECT", "HookManager", "LifecycleSpecs", "RegistrationSpecs", "hookimpl", "hookspec", "registration_spec"]

PROJECT = "ergaster"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class HookManager(Protocol):
    """What an app is given to add its own extensions."""

    def add_hookspecs(self, namespace: ModuleType | type) -> None:
        """Add the hook specifications of a module or class."""

    def add_kind(self, kind: Kind) -> None:
        """Add a kind of plugin, with its entry-point group and its registration hook."""


class LifecycleSpecs:
    """Hooks of observers, which live in the entry-point group `ergaster.hooks`."""

    @hookspec
    def ergaster_configure(self, kernel: object) -> None:
        """Prepare something once for a kernel.

        When: once for each kernel, before its first run. Returns: nothing.

        Example:
            @hookimpl
            def ergaster_configure(kernel): logging.getLogger("ergaster").setLevel("INFO")
        """

    @hookspec(firstresult=True)
    def ergaster_resolve_ref(self, kind: str, ref: str) -> str | None:
        """Say what a name means: aliases, gateways, test doubles.

        When: before a name is looked up; only plugins that the configuration trusts are asked. Returns: another
        reference, which is looked up in its place, or `None` for no opinion.

        Example:
            @hookimpl
            def ergaster_resolve_ref(kind, ref): return "openai:gpt-5-mini" if ref == "fast" else None
        """

    @hookspec
    def ergaster_agent_features(self, agent: str) -> Sequence[Feature] | None:
        """Give features to every agent of the kernel.

        When: once for each agent, when it is assembled. Returns: features, or `None` for none.

        Example:
            @hookimpl
            def ergaster_agent_features(agent): return [AuditTrail()]
        """

    @hookspec
    def ergaster_plugin_failed(self, kind: str, name: str, error: Exception) -> None:
        """Hear of a plugin that could not be loaded.

        When: once for each failure. Returns: nothing.

        Example:
            @hookimpl
            def ergaster_plugin_failed(kind, name, error): alerts.send(f"{name}: {error}")
        """

    @hookspec
    def ergaster_shutdown(self, kernel: object) -> None:
        """Clean up.

        When: once, when a kernel closes. Returns: nothing.

        Example:
            @hookimpl
            def ergaster_shutdown(kernel): flush()
        """

    @hookspec(historic=True)
    def ergaster_add_hookspecs(self, manager: HookManager) -> None:
        """Add the hooks and the kinds of an app, for its own extensions.

        When: when the module is registered. Returns: nothing; call `manager.add_hookspecs(...)` or
        `manager.add_kind(...)`.

        Example:
            @hookimpl
            def ergaster_add_hookspecs(manager): manager.add_kind(Kind("command", "ergaster.commands", "ergaster_commands"))
        """


def registration_spec(kind: str, hook: str) -> object:
    """Make the specification of the hook by which modules provide plugins of one kind."""

    def contribute() -> Sequence[Spec[object]]:
        return ()

    contribute.__name__ = contribute.__qualname__ = hook
    contribute.__doc__ = f"""Provide plugins of the kind `{kind}`.

        When: once, when the module is registered, which is when one of its names is first used. Returns: one `Spec`
        for each entry point that names the module; a Spec whose name is not its entry point's is a failure.

        Example:
            @hookimpl
            def {hook}(): return [Spec("example", factory, settings=Settings)]
        """
    return hookspec(historic=True)(staticmethod(contribute))


RegistrationSpecs = type(
    "RegistrationSpecs",
    (),
    {
        "__doc__": "One historic hook for each kind of the catalogue; the manager calls each once, and pluggy replays it.",
        **{kind.hook: registration_spec(kind.name, kind.hook) for kind in KINDS.values()},
    },
)
