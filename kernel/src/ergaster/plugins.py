"""The plugin manager: names become Specs, lazily, and a broken plugin hurts only who named it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Literal, TypeAlias

import pluggy
from attrs import frozen

from ergaster.catalog import KINDS, Kind, Spec
from ergaster.discovery import Entry, installed
from ergaster.errors import ErgasterError, PluginConflict, PluginError, PluginLoadFailed
from ergaster.loading import Loader, PluginFailure, load_failed, told
from ergaster.observers import Observers
from ergaster.offers import OBSERVER, Offer, Offers, no_such_kind
from ergaster.refs import Ref, parse_ref
from ergaster.registration import Registration, as_hook_module
from ergaster.settings import settings_from, title

__all__ = ["InstalledDistribution", "InstalledPlugin", "PluginFailure", "PluginManager"]

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
        self._registration = Registration(self._kinds, self)
        self._loader = Loader(self._kinds, self._offers, self._registration)
        self._observers = Observers(self._loader, self._offers, self._registration)

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
        return self._loader.failures

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
        return self._loader.spec(self._offers.choose(kind, name))

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
        return self._observers.resolve(kind, parsed) if self._has_trust else parsed

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
        with self._loader.lock:
            registered = self._registration.name_of(plugin)
            if registered is not None:
                return registered
            self._loader.withdraw(source)
            try:
                self._loader.install(source, plugin, self._offers.declared(source) or None)
            except (Exception, SystemExit) as error:  # boundary: hooks are the plugin's code
                offer = Offer(OBSERVER, source, source)
                failure = self._loader.fail(source, offer, error)
            else:
                return source
        raise load_failed(offer, failure)

    def register_spec(self, kind: str, spec: Spec[Any]) -> None:
        """Provide one plugin in process, as if it were installed; registering the name again replaces it.

        Raises:
            PluginError: If there is no such kind.
        """
        if kind not in self._kinds:
            raise PluginError(no_such_kind(kind, self._kinds), kind=kind)
        self.register(as_hook_module(self._kinds[kind], spec), name=f"{kind}:{spec.name}")

    def unregister(self, name: str) -> None:
        """Take out what was registered in process under *name*; objects that it made live on, its hooks are called no more."""
        self._loader.withdraw(name)

    def add_hookspecs(self, namespace: ModuleType | type) -> None:
        """Add the hooks of an app."""
        with self._loader.lock:
            self._registration.add_hookspecs(namespace)

    def add_kind(self, kind: Kind) -> None:
        """Add a kind of plugin for an app; adding the same again changes nothing.

        Raises:
            PluginConflict: If the name, group or hook belongs to another kind.
        """
        self._loader.add_kind(kind)

    # --- observers and everything at once ----------------------------------------------------------------------------

    def observers(self) -> None:
        """Load the plugins of the group `ergaster.hooks`, once; those that fail are recorded and hurt nobody."""
        self._observers.load()

    def call_observers(self, hook: str, **arguments: object) -> list[Any]:
        """Call a hook's implementations one by one and return what they returned, without the `None`s.

        The order is pluggy's, the last registered first. One that raises is recorded and does not stop the others.
        """
        return self._observers.call(hook, arguments)

    def load_all(self) -> tuple[PluginFailure, ...]:
        """Import and register everything that is installed, for a check-up; return all failures."""
        self.observers()
        for kind, name in sorted({(offer.kind, offer.name) for offer in self._offers.every() if offer.kind != OBSERVER}):
            try:
                self.spec(kind, name)
            except PluginConflict as conflict:
                self._loader.fail((kind, name), Offer(kind, name, ""), conflict)
            except PluginLoadFailed:
                pass  # recorded
        return self.failures

    def distributions(self) -> tuple[InstalledDistribution, ...]:
        """Return the distributions that have plugins, with the state of each; imports none of them."""
        grouped: dict[tuple[str, str, str], list[InstalledPlugin]] = {}
        for entry in installed().entries:
            grouped.setdefault((entry.distribution, entry.version, entry.summary), []).append(self._describe(entry))
        return tuple(
            InstalledDistribution(*facts, tuple(sorted(plugins, key=lambda plugin: (plugin.kind, plugin.name))))
            for facts, plugins in sorted(grouped.items())
        )

    def _describe(self, entry: Entry) -> InstalledPlugin:
        kind = self._offers.kind_of(entry.group)
        offer = next((offer for offer in self._offers.offered(kind, entry.name) if offer.entry == entry), None)
        return InstalledPlugin(kind, entry.name, entry.value, self._state(offer))

    def _state(self, offer: Offer | None) -> State:
        if offer is None:
            return "disabled"
        if self._loader.failure(offer) is not None:
            return "failed"
        if not self.has(offer.kind, offer.name) or self._offers.choose(offer.kind, offer.name) != offer:
            return "conflict"
        return "loaded" if self._registration.has(offer.source) else "available"
