"""Observers: plugins whose hooks hear of events, called one by one so that none can stop the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from ergaster.errors import PluginConflict, PluginLoadFailed
from ergaster.loading import Loader, PluginFailure, load_failed, told
from ergaster.offers import OBSERVER, Offer, Offers
from ergaster.refs import Ref, parse_ref
from ergaster.registration import Registration
from ergaster.settings import title

__all__ = ["Observers"]

_FAILED: Final = "ergaster_plugin_failed"
_RESOLVE: Final = "ergaster_resolve_ref"


class Observers:
    """The plugins of the group `ergaster.hooks`, and those registered in process."""

    def __init__(self, loader: Loader, offers: Offers, registration: Registration) -> None:
        self._loader = loader
        self._offers = offers
        self._registration = registration
        self._is_loaded = False
        loader.on_failure = self._report

    def load(self) -> None:
        """Load those that are installed, once; a failure is recorded and hurts nobody. They hear of earlier failures."""
        with self._loader.lock:
            if self._is_loaded:
                return
            self._is_loaded = True
        earlier, known = self._loader.failures, {impl.plugin_name for impl in self._registration.implementations(_FAILED)}
        for name in self._offers.names(OBSERVER):
            try:
                offer = self._offers.choose(OBSERVER, name)
            except PluginConflict as conflict:
                self._loader.fail((OBSERVER, name), Offer(OBSERVER, name, name), conflict)
            else:
                self._loader.load(offer)
        for failure in earlier:
            self._report(failure, but=known)

    def call(self, hook: str, arguments: Mapping[str, object], but: Collection[str] = ()) -> list[Any]:
        """Call a hook's implementations one by one, except those of the plugins in *but*; return what is not None."""
        results = []
        for impl in self._registration.implementations(hook):
            if impl.plugin_name in but:
                continue
            chosen = [arguments[name] for name in impl.argnames]
            try:
                result: Any = impl.function(*chosen)
            except Exception as error:  # boundary: an observer is the plugin's code
                self._failed(impl.plugin_name, hook, error)
            else:
                results += [] if result is None else [result]
        return results

    def resolve(self, kind: str, ref: Ref) -> Ref:
        """Return what the first trusted plugin with an opinion makes of a reference; the reference itself without one.

        Raises:
            PluginConflict: If several distributions claim the name of a trusted plugin.
            PluginLoadFailed: If a trusted plugin cannot be loaded, raises, or answers with no reference.
        """
        self._load_trusted()
        text = ref.rest if ref.is_url else f"{ref.plugin}:{ref.rest}" if ref.rest else ref.plugin
        arguments = {"kind": kind, "ref": text}
        for impl in self._registration.implementations(_RESOLVE):
            if not self._offers.is_trusted(self._loader.offer_of(impl.plugin_name)):
                continue
            try:
                answer: Any = impl.function(*(arguments[name] for name in impl.argnames))
                if answer is not None:
                    return parse_ref(answer)
            except Exception as error:  # boundary: an observer is the plugin's code
                self._failed(impl.plugin_name, _RESOLVE, error)
                raise PluginLoadFailed(
                    f"the trusted plugin {impl.plugin_name!r} failed to say what {title(kind, str(ref))} is: {told(error)}; "
                    "see: ergaster plugins doctor",
                    kind=kind,
                    name=ref.plugin,
                ) from error
        return ref

    def _load_trusted(self) -> None:
        for offer in self._offers.trusted_observers():
            self._loader.load(offer)
            failure = self._loader.failure(offer)
            if failure is not None:
                raise load_failed(offer, failure)

    def _failed(self, source: str, hook: str, error: Exception) -> None:
        self._loader.fail((source, hook), self._loader.offer_of(source), error, is_told=hook != _FAILED)

    def _report(self, failure: PluginFailure, but: Collection[str] = ()) -> None:
        self.call(_FAILED, {"kind": failure.kind, "name": failure.name, "error": failure.error}, but)
