"""What is installed: an index of entry points, built once for each process without importing a plugin."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

__all__ = [
    "HOOKS_GROUP",
    "PATIENCE",
    "Entry",
    "Index",
    "import_target",
    "installed",
    "kernel_extras",
    "normalise",
    "plugin_extras",
]

HOOKS_GROUP: Final = "ergaster.hooks"
PATIENCE: Final = 5.0
"""Seconds after which a plugin that is still being imported is named in a warning."""

_PREFIX: Final = "ergaster."
_AGGREGATES: Final = ("all", "standard")
_logger = logging.getLogger(__name__)


@frozen
class Entry:
    """One entry point of one distribution.

    Attributes:
        group: The entry-point group, `ergaster.models`.
        name: What users type.
        value: `module`, or `module:object`.
    """

    group: str
    name: str
    value: str
    _point: EntryPoint = field(repr=False, eq=False)

    @property
    def module(self) -> str:
        """The module that is imported when the name is first used."""
        return self.value.partition("[")[0].partition(":")[0].strip()

    @property
    def attribute(self) -> str:
        """The object in the module; empty when the module itself is the plugin."""
        return self.value.partition("[")[0].partition(":")[2].strip()

    @property
    def distribution(self) -> str:
        """The distribution's name. Reads its metadata, ten times the cost of the whole entry: for errors and listings."""
        return self._metadata("Name")

    @property
    def version(self) -> str:
        """The distribution's version; the same cost."""
        return self._metadata("Version")

    @property
    def summary(self) -> str:
        """The distribution's one-line description; the same cost."""
        return self._metadata("Summary")

    def _metadata(self, key: str) -> str:
        try:
            return str(self._point.dist.metadata[key]) if self._point.dist else "unknown"
        except Exception:  # boundary: somebody's damaged metadata must not hide the error that asks for it
            return "unknown"


@frozen
class Index:
    """Every entry point of Ergaster's groups.

    Attributes:
        entries: In the order of the import path.
        damaged: What kept a distribution from being read, by the distribution's folder.
    """

    entries: tuple[Entry, ...]
    damaged: Mapping[str, Exception] = field(factory=dict)

    def in_group(self, group: str) -> Iterator[Entry]:
        """Return the entries of one group."""
        return (entry for entry in self.entries if entry.group == group)


@cache
def installed() -> Index:
    """Return the index of this process; the first call reads the entry points of all distributions on the import path."""
    from importlib_metadata import entry_points

    damaged: dict[str, Exception] = {}
    try:
        points: Sequence[EntryPoint] = tuple(entry_points())
    except Exception:  # boundary: one distribution's damaged file would hide all the others
        points = _entry_points_one_by_one(damaged)
    ours = (point for point in points if point.group.startswith(_PREFIX))
    return Index(tuple(Entry(point.group, point.name, point.value, point) for point in ours), damaged)


def _entry_points_one_by_one(damaged: dict[str, Exception]) -> Sequence[EntryPoint]:
    from importlib_metadata import distributions

    found: list[EntryPoint] = []
    seen: set[str] = set()
    for distribution in distributions():
        folder = str(getattr(distribution, "_path", distribution))
        try:
            name = normalise(str(distribution.metadata["Name"]))
            if name not in seen:
                found.extend(distribution.entry_points)
            seen.add(name)
        except Exception as error:  # boundary: see above
            damaged[folder] = error
    return found


@cache
def kernel_extras() -> frozenset[str]:
    """Return the extras of the kernel's own distribution, each the alias of one plugin distribution, normalised."""
    from importlib_metadata import PackageNotFoundError, metadata

    try:
        extras = metadata("ergaster").get_all("Provides-Extra") or ()
    except PackageNotFoundError:
        return frozenset()
    return frozenset(normalise(extra) for extra in extras)


def plugin_extras() -> frozenset[str]:
    """Return the extras that name one plugin, not a selection of them."""
    return kernel_extras().difference(_AGGREGATES)


def normalise(name: str) -> str:
    """Return a distribution's or extra's name as packaging tools compare it: lower case, dashes."""
    return name.lower().replace("_", "-").replace(".", "-")


def import_target(module: str, attribute: str = "", *, skip_name: str = "", patience: float = PATIENCE) -> object:
    """Import a module and return it, or the object in it; warn when that takes long.

    Args:
        module: Its dotted name.
        attribute: The object's dotted name inside; the module itself when empty.
        skip_name: What to write into `ERGASTER_DISABLE` to leave this plugin out; the module's name when empty.
        patience: Seconds before the warning.

    Raises:
        Exception: Whatever the module raises.
    """
    with _watch(module, skip_name or module, patience):
        target: object = importlib.import_module(module)
        for part in attribute.split(".") if attribute else ():
            target = getattr(target, part)
    return target


@contextmanager
def _watch(module: str, skip_name: str, patience: float) -> Iterator[None]:
    """A hanging import cannot be stopped, but it can be named."""
    message = "importing the plugin module %r has taken more than %g s; set ERGASTER_DISABLE=%s to leave it out"
    timer = threading.Timer(patience, _logger.warning, (message, module, patience, skip_name))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
