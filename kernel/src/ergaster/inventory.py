"""Which distributions bring which plugins: what `ergaster plugins list` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

from attrs import frozen

from ergaster.discovery import Entry

__all__ = ["InstalledDistribution", "InstalledPlugin", "State", "by_distribution"]

State: TypeAlias = Literal["available", "loaded", "failed", "conflict", "disabled"]


@frozen
class InstalledPlugin:
    """One entry point.

    Attributes:
        kind: Its kind, or its entry-point group when no app has declared the kind.
        name: What users type.
        value: What is imported.
        state: How far it got in this process; `conflict` when several provide the name and none is picked.
    """

    kind: str
    name: str
    value: str
    state: State


@frozen
class InstalledDistribution:
    """A distribution with plugins.

    Attributes:
        name: Its name.
        version: Its version.
        summary: Its description in one line.
        plugins: Its plugins, sorted by kind and name.
    """

    name: str
    version: str
    summary: str
    plugins: tuple[InstalledPlugin, ...]


def by_distribution(
    entries: Iterable[Entry], describe: Callable[[Entry], InstalledPlugin]
) -> tuple[InstalledDistribution, ...]:
    """Group entry points by the distribution they come with, sorted by name; reads every distribution's metadata."""
    grouped: dict[tuple[str, str, str], list[InstalledPlugin]] = {}
    for entry in entries:
        grouped.setdefault((entry.distribution, entry.version, entry.summary), []).append(describe(entry))
    return tuple(
        InstalledDistribution(*facts, tuple(sorted(plugins, key=lambda plugin: (plugin.kind, plugin.name))))
        for facts, plugins in sorted(grouped.items())
    )
