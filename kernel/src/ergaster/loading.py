"""Loading: an offer is imported and registered when its name is first used, and its failure is kept."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from attrs import field, frozen

from ergaster.catalog import Kind, Spec
from ergaster.discovery import import_target
from ergaster.errors import PluginConflict, PluginError, PluginLoadFailed
from ergaster.offers import OBSERVER, Offer, Offers
from ergaster.registration import Registration, as_hook_module
from ergaster.settings import spec_for, title
from ergaster.suggestions import shorten

__all__ = ["Loader", "PluginFailure", "load_failed", "told"]


@frozen
class PluginFailure:
    """A plugin that could not be imported or registered, or an observer that raised.

    Attributes:
        kind: Its kind; `observer` for a plugin of hooks.
        name: Its name.
        distribution: The distribution it came with; empty for what was registered in process.
        error: What was raised.
        traceback: The traceback's text.
    """

    kind: str
    name: str
    distribution: str
    error: Exception = field(eq=False)
    traceback: str = field(repr=False, eq=False)


def failure_of(offer: Offer, error: BaseException) -> PluginFailure:
    """Record what an offer's plugin raised; an attempt to exit the interpreter is an error like others."""
    text = "".join(traceback.format_exception(error))
    if not isinstance(error, Exception):
        error = PluginError(
            f"it tried to leave the interpreter: {type(error).__name__}: {error}", kind=offer.kind, name=offer.name
        )
    return PluginFailure(offer.kind, offer.name, offer.entry.distribution if offer.entry else "", error, text)


def load_failed(offer: Offer, failure: PluginFailure) -> PluginLoadFailed:
    """Return the error for somebody who named a plugin that failed."""
    origin = f"of the distribution {offer.origin!r}" if offer.entry else "registered in process"
    what = f"the observer {offer.name!r}" if offer.kind == OBSERVER else title(offer.kind, offer.name)
    error = PluginLoadFailed(
        f"{what} {origin} could not be loaded: {told(failure.error)}; see: ergaster plugins doctor",
        kind=offer.kind,
        name=offer.name,
    )
    error.__cause__ = failure.error
    return error


def told(error: Exception) -> str:
    """Return an error in one line, with its type unless it is one of ours."""
    text = shorten(str(error).strip().partition("\n")[0], 400)
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"


class Loader:
    """What has been loaded so far: modules, their Specs, and the failures. All methods may be called from any thread."""

    def __init__(self, kinds: dict[str, Kind], offers: Offers, registration: Registration) -> None:
        self.lock = threading.RLock()
        self.failures: tuple[PluginFailure, ...] = ()
        self.on_failure: Callable[[PluginFailure], object] | None = None
        self._kinds = kinds
        self._offers = offers
        self._registration = registration
        self._specs: dict[tuple[str, str, str], Spec[Any]] = {}
        self._failed: dict[object, PluginFailure] = {}

    def spec(self, offer: Offer) -> Spec[Any]:
        """Return the Spec of an offer; the first use imports its module.

        Raises:
            PluginLoadFailed: If it could not be imported or registered, or does not provide what it offers.
        """
        key = (offer.kind, offer.name, offer.source)
        spec = self._specs.get(key)
        if spec is not None:
            return spec
        self.load(offer)
        spec = self._specs.get(key)
        if spec is None:
            raise load_failed(offer, self._why_missing(offer))
        return spec

    def load(self, offer: Offer) -> None:
        """Import and register an offer's plugin, or record why not.

        The import happens outside the lock: it may take long, and may come back here.
        """
        if offer.entry is None or offer.source in self._failed or self._registration.has(offer.source):
            return
        try:
            target = import_target(offer.entry.module, offer.entry.attribute, skip_name=offer.name)
            plugin, declared = self._as_plugin(offer, target)
            self.install(offer.source, plugin, declared)
        except (Exception, SystemExit) as error:  # boundary: importing and registering run the plugin's code
            self.fail(offer.source, offer, error)

    def install(self, source: str, plugin: object, declared: Collection[tuple[str, str]] | None) -> None:
        """Register a plugin; what it provides, kinds and Specs, counts only when all its hooks returned.

        Args:
            source: The name to register it under; when that is taken, nothing happens.
            plugin: A module or object with hook implementations.
            declared: The kinds and names it may provide; None, in process, allows all.

        Raises:
            Exception: Whatever its hooks raise, and `PluginError` for what it may not do.
        """
        with self.lock:
            if self._registration.has(source):
                return
            before = set(self._kinds)
            try:
                specs = self._registration.install(source, plugin, declared)
            except BaseException:
                for name in set(self._kinds) - before:
                    self._offers.remove_kind(self._kinds.pop(name))
                raise
            for kind, spec in specs:
                self._specs[kind, spec.name, source] = spec
            if declared is None:
                self._offers.add(Offer(kind, spec.name, source) for kind, spec in specs)

    def withdraw(self, source: str) -> None:
        """Take out what was registered in process as *source*; what is installed stays."""
        with self.lock:
            if self._offers.declared(source):
                return
            self._registration.remove(source)
            self._offers.withdraw(source)
            self._failed.pop(source, None)
            for key in [key for key in self._specs if key[2] == source]:
                del self._specs[key]

    def add_kind(self, kind: Kind) -> None:
        """Add a kind of plugin; modules that implement its hook already are registered anew.

        Raises:
            PluginConflict: If the name, group or hook belongs to another kind.
        """
        with self.lock:
            if self._kinds.get(kind.name) == kind:
                return
            for other in self._kinds.values():
                if kind.name == other.name or kind.group == other.group or kind.hook == other.hook:
                    raise PluginConflict(
                        f"the kind {kind.name!r} has a name, group or hook of the kind {other.name!r}", kind=kind.name
                    )
            self._kinds[kind.name] = kind
            self._offers.add_kind(kind)
            for source, plugin in self._registration.add_kind(kind):
                try:
                    self.install(source, plugin, self._offers.declared(source) or None)
                except (Exception, SystemExit) as error:  # boundary: hooks are the plugin's code
                    self.fail(source, self.offer_of(source), error)

    def fail(self, key: object, offer: Offer, error: BaseException, *, is_told: bool = True) -> PluginFailure:
        """Record a failure once for each *key*, and tell whoever listens."""
        with self.lock:
            known = self._failed.get(key)
            if known is not None:
                return known
            failure = self._failed[key] = failure_of(offer, error)
            self.failures = (*self.failures, failure)
        if is_told and self.on_failure is not None:
            self.on_failure(failure)
        return failure

    def failure(self, offer: Offer) -> PluginFailure | None:
        """Return why an offer is of no use, if that is known."""
        return self._failed.get(offer.source) or self._failed.get(offer)

    def offer_of(self, source: str) -> Offer:
        """Return an offer that *source* makes, its observer first: whom to name for what a hook did."""
        offers = (offer for offer in self._offers.every() if offer.source == source)
        ordered = sorted(offers, key=lambda offer: offer.kind != OBSERVER)
        return ordered[0] if ordered else Offer(OBSERVER, source, source)

    def _as_plugin(self, offer: Offer, target: object) -> tuple[object, frozenset[tuple[str, str]]]:
        if isinstance(target, ModuleType) and offer.entry and not offer.entry.attribute:
            return target, self._offers.declared(offer.source)
        if offer.kind == OBSERVER:
            return target() if isinstance(target, type) else target, frozenset({(OBSERVER, offer.name)})
        spec = spec_for(offer.kind, offer.name, target)
        return as_hook_module(self._kinds[offer.kind], spec), frozenset({(offer.kind, offer.name)})

    def _why_missing(self, offer: Offer) -> PluginFailure:
        """Return why a plugin that was named has no Spec: its module failed, or does not provide it."""
        known = self.failure(offer)
        if known is not None:
            return known
        unknown = self._registration.unknown_hooks(offer.source)
        hook = self._kinds[offer.kind].hook
        text = f"{offer.source!r} returned no Spec called {offer.name!r} from {hook}{unknown}"
        return self.fail(offer, offer, PluginError(text, kind=offer.kind, name=offer.name))
