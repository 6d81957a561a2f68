"""The plugin manager: names become Specs, lazily, and a broken plugin hurts only who named it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

import pluggy

from ergaster.catalog import KINDS, Kind, Spec
from ergaster.discovery import Entry, import_target, installed
from ergaster.errors import ErgasterError, PluginConflict, PluginError, PluginLoadFailed
from ergaster.failures import PluginFailure, failure_of, load_failed, told
from ergaster.inventory import InstalledDistribution, InstalledPlugin, State, by_distribution
from ergaster.offers import OBSERVER, Offer, Offers
from ergaster.refs import Ref, parse_ref
from ergaster.registration import Registration, as_hook_module
from ergaster.settings import settings_from, spec_for, title

__all__ = ["InstalledDistribution", "InstalledPlugin", "PluginFailure", "PluginManager"]


_FAILED = "ergaster_plugin_failed"


class PluginManager:
    """Finds plugins by name and loads each when it is first used.

    Nothing is imported by making a manager, by `names` or by `check`. All methods may be called from any thread.
    """

    def __init__(
        self,
        *,
        trust: Collection[str] = (),
        pick: Mapping[str, str] = MappingProxyType({}),
        disable: Collection[str] = (),
    ) -> None:
        """Make a manager of what is installed.

        Args:
            trust: Plugins that may answer `ergaster_resolve_ref` and shadow names: the name of an observer's entry
                point, of a distribution, or the one given to `register`.
            pick: For a name that several distributions provide, the one to use; the key is `name` or `kind:name`.
            disable: Names of plugins or modules to leave out, beside those in the variable `ERGASTER_DISABLE`.
        """
        self._kinds = dict(KINDS)
        self._offers = Offers(self._kinds, trust=trust, pick=pick, disable=disable)
        self._has_trust = bool(trust)
        self._lock = threading.RLock()
        self._specs: dict[tuple[str, str, str], Spec[Any]] = {}
        self._failures: list[PluginFailure] = []
        self._failed: dict[object, PluginFailure] = {}
        self._has_observers = False
        self._registration = Registration(self._kinds, self)

    # --- names -------------------------------------------------------------------------------------------------------

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """The kinds of plugins, those that apps added included."""
        return MappingProxyType(self._kinds)

    @property
    def hook(self) -> pluggy.HookRelay:
        """The hooks, for apps that call their own; observers are called with `call_observers`."""
        return self._registration.hook

    @property
    def failures(self) -> tuple[PluginFailure, ...]:
        """What went wrong so far, in order."""
        return tuple(self._failures)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names that plugins of a kind have, sorted."""
        return self._offers.names(kind)

    def has(self, kind: str, name: str) -> bool:
        """Whether exactly one plugin of that name is to be had, or the configuration picks one; imports nothing."""
        return self._offers.has(kind, name)

    def check(self, kind: str, name: str) -> None:
        """Do nothing when a plugin of that name is installed; imports nothing.

        Raises:
            UnknownPlugin: If there is none; the message has the nearest names and, for an extra of ours, the install line.
            PluginConflict: If several distributions provide it and the configuration picks none.
        """
        self._offers.choose(kind, name)

    def spec(self, kind: str, name: str) -> Spec[Any]:
        """Return what a plugin provides under a name; the first use imports it.

        Raises:
            UnknownPlugin, PluginConflict: As `check`.
            PluginLoadFailed: If it could not be imported or registered; naming it again raises this again.
        """
        offer = self._offers.choose(kind, name)
        spec = self._specs.get((kind, name, offer.source))
        if spec is not None:
            return spec
        self._load(offer)
        spec = self._specs.get((kind, name, offer.source))
        if spec is None:
            raise load_failed(offer, self._why_missing(offer))
        return spec

    def create(self, kind: str, ref: str | Ref, options: Mapping[str, object] = MappingProxyType({})) -> Any:
        """Make the object that a reference names.

        Args:
            kind: The kind of plugin.
            ref: `plugin`, `plugin:rest` or a URL.
            options: The plugin's options by name, as a person writes them.

        Raises:
            InvalidRef: If *ref* does not follow the grammar, or the plugin cannot use what stands behind the colon.
            UnknownPlugin, PluginConflict, PluginLoadFailed: As `spec`.
            InvalidOption: If an option is unknown, missing or of a wrong type.
        """
        resolved = self.resolve_ref(kind, ref)
        spec = self.spec(kind, resolved.plugin)
        settings = settings_from(spec, options, kind=kind)
        try:
            return spec.factory(resolved, settings)
        except ErgasterError:
            raise
        except Exception as error:  # boundary: a factory is the plugin's code
            raise PluginLoadFailed(
                f"{title(kind, spec.name)} could not be made: {told(error)}", kind=kind, name=spec.name
            ) from error

    def resolve_ref(self, kind: str, ref: str | Ref) -> Ref:
        """Parse a reference and let the trusted plugins say what it means; the first answer counts.

        Without trusted plugins this imports nothing. A trusted plugin that fails is an error: going on without it
        could send data past a gateway.

        Raises:
            InvalidRef: If *ref* does not follow the grammar.
            PluginLoadFailed: If a trusted plugin cannot be loaded or raises.
        """
        parsed = ref if isinstance(ref, Ref) else parse_ref(ref)
        if not self._has_trust:
            return parsed
        self._load_trusted_observers()
        text = parsed.rest if parsed.is_url or not parsed.rest else f"{parsed.plugin}:{parsed.rest}"
        for impl in self._registration.implementations("ergaster_resolve_ref"):
            if not self._offers.is_trusted(self._offer_of(impl.plugin_name)):
                continue
            try:
                given = {"kind": kind, "ref": text or parsed.plugin}
                answer: Any = impl.function(*(given[name] for name in impl.argnames))
                if answer is not None:
                    return parse_ref(answer)
            except Exception as error:  # boundary: an observer is the plugin's code
                self._observer_failed(impl.plugin_name, "ergaster_resolve_ref", error)
                raise PluginLoadFailed(
                    f"the trusted plugin {impl.plugin_name!r} failed to resolve the {kind.replace('_', ' ')} {str(parsed)!r}: "
                    f"{told(error)}; see: ergaster plugins doctor",
                    kind=kind,
                    name=parsed.plugin,
                ) from error
        return parsed

    # --- registering -------------------------------------------------------------------------------------------------

    def register(self, plugin: object, name: str | None = None) -> str:
        """Register a module or object with hook implementations, as if it were installed; for tests and notebooks.

        The same object again changes nothing; another object under the same *name* takes its place.

        Args:
            plugin: What has the hooks.
            name: What to call it in errors, `trust` and `pick`; by default the module's name, or one made up.

        Returns:
            The name.

        Raises:
            PluginLoadFailed: If its hooks raise or return something wrong; it is not registered then.
        """
        module_name = getattr(plugin, "__name__", None)
        source = name or (module_name if isinstance(module_name, str) else f"{type(plugin).__qualname__}-{id(plugin):x}")
        if self._offers.is_disabled(source):
            return source
        with self._lock:
            registered = self._registration.name_of(plugin)
            if registered is not None:
                return registered
            self.unregister(source)
            try:
                self._install(source, plugin, self._offers.declared(source) or None)
            except (Exception, SystemExit) as error:  # boundary: hooks are the plugin's code
                offer = Offer(OBSERVER, source, source)
                failure = self._fail(source, offer, error)
            else:
                return source
        raise load_failed(offer, failure)

    def register_spec(self, kind: str, spec: Spec[Any]) -> None:
        """Provide one plugin in process, as if it were installed; registering the name again replaces it.

        Raises:
            PluginError: If there is no such kind.
        """
        if kind not in self._kinds:
            raise PluginError(
                f"there is no kind of plugin called {kind!r}; the kinds are: {', '.join(sorted(self._kinds))}", kind=kind
            )
        self.register(as_hook_module(self._kinds[kind], spec), name=f"{kind}:{spec.name}")

    def unregister(self, name: str) -> None:
        """Take out what was registered in process under *name*; objects that it made live on, its hooks are called no more."""
        with self._lock:
            if self._offers.declared(name):
                return
            self._registration.remove(name)
            self._offers.withdraw(name)
            self._failed.pop(name, None)
            for key in [key for key in self._specs if key[2] == name]:
                del self._specs[key]

    def add_hookspecs(self, namespace: ModuleType | type) -> None:
        """Add the hooks of an app."""
        with self._lock:
            self._registration.add_hookspecs(namespace)

    def add_kind(self, kind: Kind) -> None:
        """Add a kind of plugin for an app; adding the same again changes nothing.

        Raises:
            PluginConflict: If the name, group or hook belongs to another kind.
        """
        with self._lock:
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
                offer = self._offer_of(source)
                try:
                    self._install(source, plugin, self._offers.declared(source) or None)
                except (Exception, SystemExit) as error:  # boundary: hooks are the plugin's code
                    self._fail(source, offer, error)

    # --- observers ---------------------------------------------------------------------------------------------------

    def observers(self) -> None:
        """Load the plugins of the group `ergaster.hooks`, once; those that fail are recorded and hurt nobody."""
        with self._lock:
            if self._has_observers:
                return
            self._has_observers = True
        earlier, known = self.failures, {impl.plugin_name for impl in self._registration.implementations(_FAILED)}
        for name in self.names(OBSERVER):
            self._load_observer(name)
        for failure in earlier:
            self._report(failure, but=known)

    def call_observers(self, hook: str, **arguments: object) -> list[Any]:
        """Call a hook's implementations one by one and return what they returned, without the `None`s.

        The order is pluggy's, the last registered first. One that raises is recorded and does not stop the others.
        """
        return self._call_observers(hook, arguments)

    def _call_observers(self, hook: str, arguments: Mapping[str, object], but: Collection[str] = ()) -> list[Any]:
        results = []
        for impl in self._registration.implementations(hook):
            if impl.plugin_name in but:
                continue
            chosen = [arguments[name] for name in impl.argnames]
            try:
                result: Any = impl.function(*chosen)
            except Exception as error:  # boundary: an observer is the plugin's code
                self._observer_failed(impl.plugin_name, hook, error)
            else:
                results += [] if result is None else [result]
        return results

    def _load_observer(self, name: str) -> None:
        try:
            offer = self._offers.choose(OBSERVER, name)
        except PluginConflict as conflict:
            self._fail((OBSERVER, name), Offer(OBSERVER, name, name), conflict)
        else:
            self._load(offer)

    def _load_trusted_observers(self) -> None:
        for offer in self._offers.every():
            if offer.kind == OBSERVER and offer.entry and self._offers.is_trusted(offer):
                chosen = self._offers.choose(OBSERVER, offer.name)
                self._load(chosen)
                if chosen.source in self._failed:
                    raise load_failed(chosen, self._failed[chosen.source])

    def _observer_failed(self, source: str, hook: str, error: Exception) -> None:
        self._fail((source, hook), self._offer_of(source), error, report=hook != _FAILED)

    # --- loading -----------------------------------------------------------------------------------------------------

    def load_all(self) -> tuple[PluginFailure, ...]:
        """Import and register everything that is installed, for a check-up; return all failures."""
        self.observers()
        for offer in self._offers.every():
            if offer.kind != OBSERVER:
                try:
                    self.spec(offer.kind, offer.name)
                except PluginConflict as conflict:
                    self._fail((offer.kind, offer.name), Offer(offer.kind, offer.name, ""), conflict)
                except PluginLoadFailed:
                    pass  # recorded
        return self.failures

    def distributions(self) -> tuple[InstalledDistribution, ...]:
        """Return the distributions that have plugins, with the state of each; imports none of them."""
        return by_distribution(installed().entries, self._describe)

    def _describe(self, entry: Entry) -> InstalledPlugin:
        kind = self._offers.kind_of(entry.group)
        offer = next((offer for offer in self._offers.offered(kind, entry.name) if offer.entry == entry), None)
        return InstalledPlugin(kind, entry.name, entry.value, self._state(offer))

    def _state(self, offer: Offer | None) -> State:
        if offer is None:
            return "disabled"
        if offer.source in self._failed or offer in self._failed:
            return "failed"
        try:
            is_chosen = self._offers.choose(offer.kind, offer.name) == offer
        except PluginConflict:
            is_chosen = False
        if not is_chosen:
            return "conflict"
        return "loaded" if self._registration.has(offer.source) else "available"

    def _load(self, offer: Offer) -> None:
        """Import and register an offer's plugin, outside the lock: an import may take long, and may come back here."""
        if offer.source in self._failed or self._registration.has(offer.source) or offer.entry is None:
            return
        try:
            target = import_target(offer.entry.module, offer.entry.attribute, skip_name=offer.name)
            plugin, declared = self._as_plugin(offer, target)
            with self._lock:
                self._install(offer.source, plugin, declared)
        except (Exception, SystemExit) as error:  # boundary: importing and registering run the plugin's code
            self._fail(offer.source, offer, error)

    def _as_plugin(self, offer: Offer, target: object) -> tuple[object, frozenset[tuple[str, str]]]:
        if isinstance(target, ModuleType) and offer.entry and not offer.entry.attribute:
            return target, self._offers.declared(offer.source)
        if offer.kind == OBSERVER:
            return target() if isinstance(target, type) else target, frozenset({(OBSERVER, offer.name)})
        spec = spec_for(offer.kind, offer.name, target)
        return as_hook_module(self._kinds[offer.kind], spec), frozenset({(offer.kind, offer.name)})

    def _install(self, source: str, plugin: object, declared: Collection[tuple[str, str]] | None) -> None:
        """Register under the lock; what the plugin provides counts only when all its hooks returned."""
        with self._lock:
            if self._registration.has(source):
                return
            before = dict(self._kinds)
            try:
                specs = self._registration.install(source, plugin, declared)
            except BaseException:
                for name in set(self._kinds) - set(before):
                    self._offers.remove_kind(self._kinds.pop(name))
                raise
            for kind, spec in specs:
                self._specs[kind, spec.name, source] = spec
            if declared is None:
                self._offers.add(Offer(kind, spec.name, source) for kind, spec in specs)

    # --- failures ----------------------------------------------------------------------------------------------------

    def _fail(self, key: object, offer: Offer, error: BaseException, *, report: bool = True) -> PluginFailure:
        """Record a failure once for each *key* and tell the observers."""
        with self._lock:
            known = self._failed.get(key)
            if known is not None:
                return known
            failure = self._failed[key] = failure_of(offer, error)
            self._failures.append(failure)
        if report:
            self._report(failure)
        return failure

    def _report(self, failure: PluginFailure, but: Collection[str] = ()) -> None:
        self._call_observers(_FAILED, {"kind": failure.kind, "name": failure.name, "error": failure.error}, but)

    def _why_missing(self, offer: Offer) -> PluginFailure:
        """Return why a plugin that was named has no Spec: its module failed, or does not provide it."""
        if offer.source in self._failed:
            return self._failed[offer.source]
        hook = self._kinds[offer.kind].hook
        unknown = self._registration.unknown_hooks(offer.source)
        text = f"{offer.source!r} returned no Spec called {offer.name!r} from {hook}{unknown}"
        return self._fail(offer, offer, PluginError(text, kind=offer.kind, name=offer.name))

    def _offer_of(self, source: str) -> Offer:
        """Return an offer that *source* makes, its observer first: whom to name for what a hook did."""
        offers: Iterable[Offer] = (offer for offer in self._offers.every() if offer.source == source)
        ordered = sorted(offers, key=lambda offer: offer.kind != OBSERVER)
        return ordered[0] if ordered else Offer(OBSERVER, source, source)
