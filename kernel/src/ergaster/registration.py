"""How a module or object joins: pluggy replays the historic hooks to it, and what it returns is checked as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import attrs
import pluggy

from ergaster.catalog import Kind, Spec
from ergaster.discovery import HOOKS_GROUP
from ergaster.errors import PluginError
from ergaster.hookspecs import PROJECT, LifecycleSpecs, RegistrationSpecs, hookimpl, registration_spec
from ergaster.offers import OBSERVER
from ergaster.suggestions import did_you_mean

__all__ = ["Registration", "as_hook_module"]

Declared = Collection[tuple[str, str]]
_LIFECYCLE = frozenset(name for name in vars(LifecycleSpecs) if name.startswith("ergaster_")) - {"ergaster_add_hookspecs"}


def as_hook_module(kind: Kind, spec: Spec[Any]) -> ModuleType:
    """Return a module whose hook provides *spec*, so that both forms of an entry point arrive in the same way."""
    module = ModuleType(f"ergaster {kind.name} {spec.name}")  # pluggy registers a module ten times faster than an object

    def provide() -> Sequence[Spec[Any]]:
        return (spec,)

    setattr(module, kind.hook, hookimpl(provide))
    return module


class Registration:
    """The hooks and who implements them. Callers hold one lock around every method that changes it."""

    def __init__(self, kinds: Mapping[str, Kind], manager: object) -> None:
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(LifecycleSpecs)
        self._pluggy.add_hookspecs(RegistrationSpecs)
        self._staged: list[tuple[Kind, object]] = []
        for kind in kinds.values():
            self._call_historic(kind)
        self._pluggy.hook.ergaster_add_hookspecs.call_historic(kwargs={"manager": manager})

    @property
    def hook(self) -> pluggy.HookRelay:
        """The relay through which all implementations of a hook are called at once."""
        return self._pluggy.hook

    def add_hookspecs(self, namespace: ModuleType | type) -> None:
        """Add the specifications of a module or class."""
        self._pluggy.add_hookspecs(namespace)

    def add_kind(self, kind: Kind) -> tuple[tuple[str, object], ...]:
        """Add a registration hook; return the name and plugin of those that implement it already, now taken out."""
        caller = getattr(self._pluggy.hook, kind.hook, None)
        waiting = tuple((impl.plugin_name, impl.plugin) for impl in (caller.get_hookimpls() if caller else ()))
        for _, plugin in waiting:
            self._pluggy.unregister(plugin)
        if caller is None or not caller.has_spec():
            specs = type("KindSpecs", (), {kind.hook: registration_spec(kind.name, kind.hook)})
            self._pluggy.add_hookspecs(specs)
        self._call_historic(kind)
        return waiting

    def install(self, source: str, plugin: object, declared: Declared | None) -> tuple[tuple[str, Spec[Any]], ...]:
        """Register *plugin* and return its kinds and Specs; it stays registered only when everything about it is right.

        Args:
            source: The name it is registered under.
            plugin: A module or object with hook implementations.
            declared: The kinds and names that it may provide; None allows all.

        Raises:
            PluginError: If it provides what it did not declare, or something that is no Spec.
            Exception: Whatever its hooks raise.
        """
        outer, self._staged = self._staged, []
        try:
            self._pluggy.register(plugin, name=source)
            self._check_hooks(source, plugin, declared)
            return tuple(self._specs(declared))
        except BaseException:
            self.remove(source)
            raise
        finally:
            self._staged = outer

    def remove(self, source: str) -> object | None:
        """Unregister and return what was registered as *source*; nothing happens when there is none."""
        if self._pluggy.get_plugin(source) is None:
            return None
        return self._pluggy.unregister(name=source)

    def has(self, source: str) -> bool:
        """Whether *source* is registered."""
        return self._pluggy.get_plugin(source) is not None

    def name_of(self, plugin: object) -> str | None:
        """Return the name under which an object is registered."""
        return next((name for name, registered in self._pluggy.list_name_plugin() if registered is plugin), None)

    def implementations(self, hook: str) -> tuple[pluggy.HookImpl, ...]:
        """Return the implementations of a hook, in the order in which pluggy calls them."""
        caller = getattr(self._pluggy.hook, hook, None)
        return tuple(reversed(caller.get_hookimpls())) if caller is not None else ()

    def unknown_hooks(self, source: str) -> str:
        """Say which hooks of *source* nobody knows, with the nearest that exist; the usual reason for a missing Spec."""
        plugin = self._pluggy.get_plugin(source)
        callers = self._pluggy.get_hookcallers(plugin) if plugin is not None else None
        known = [name for name, caller in vars(self._pluggy.hook).items() if caller.has_spec()]
        names = [caller.name for caller in callers or () if not caller.has_spec()]
        return "".join(f"; it implements the unknown hook {name!r}{did_you_mean(name, known)}" for name in names)

    def _call_historic(self, kind: Kind) -> None:
        caller = getattr(self._pluggy.hook, kind.hook)
        receive: Callable[[object], None] = partial(self._receive, kind)
        caller.call_historic(result_callback=receive)

    def _receive(self, kind: Kind, result: object) -> None:
        self._staged.append((kind, result))

    def _check_hooks(self, source: str, plugin: object, declared: Declared | None) -> None:
        observes = declared is None or any(kind == OBSERVER for kind, _ in declared)
        callers = self._pluggy.get_hookcallers(plugin) or []
        if not callers:
            raise PluginError(
                f"{source!r} implements no hook; mark its functions with `@hookimpl`, or name an object: 'module:object'"
            )
        for caller in callers:
            impl = next(impl for impl in caller.get_hookimpls() if impl.plugin is plugin)
            if caller.name in _LIFECYCLE and not observes:
                raise PluginError(f"it implements {caller.name}, but no entry point of the group {HOOKS_GROUP!r} names it")
            if impl.wrapper or impl.hookwrapper:
                raise PluginError(f"it wraps the hook {caller.name}; wrappers are not supported, implement the hook itself")

    def _specs(self, declared: Declared | None) -> list[tuple[str, Spec[Any]]]:
        found: dict[tuple[str, str], Spec[Any]] = {}
        for kind, result in self._staged:
            if not isinstance(result, Sequence) or not all(isinstance(item, Spec) for item in result):
                raise PluginError(f"its hook {kind.hook} returned {type(result).__name__}, expected a list of Spec")
            for spec in result:
                if (kind.name, spec.name) in found:
                    raise PluginError(f"its hook {kind.hook} returned two Specs called {spec.name!r}")
                if spec.settings is not None and not (isinstance(spec.settings, type) and attrs.has(spec.settings)):
                    raise PluginError(f"the settings of the Spec {spec.name!r} are no attrs class")
                _check_declared(kind, spec.name, declared)
                found[kind.name, spec.name] = spec
        return [(kind, spec) for (kind, _), spec in found.items()]


def _check_declared(kind: Kind, name: str, declared: Declared | None) -> None:
    if declared is None or (kind.name, name) in declared:
        return
    names = sorted(other for of_kind, other in declared if of_kind == kind.name)
    if names:
        called = f"the entry point of the group {kind.group!r} is called" if len(names) == 1 else "the entry points are called"
        raise PluginError(f"its Spec is called {name!r}, but {called} {', '.join(map(repr, names))}; both must have one name")
    raise PluginError(
        f"it provides the {kind.name.replace('_', ' ')} {name!r}, but no entry point of the group {kind.group!r} names it"
    )
