"""Who offers which name: the entry points of all kinds, what was registered in process, and whom the configuration picks."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NoReturn

from attrs import frozen

from ergaster.catalog import Kind
from ergaster.discovery import HOOKS_GROUP, Entry, installed, kernel_extras, normalise, plugin_extras
from ergaster.errors import PluginConflict, UnknownPlugin
from ergaster.suggestions import did_you_mean, nearest, shorten

__all__ = ["DISABLE_VARIABLE", "OBSERVER", "Offer", "Offers", "no_such_kind"]

OBSERVER: Final = "observer"
"""The kind under which the plugins of the group `ergaster.hooks` are kept; they provide no names."""

DISABLE_VARIABLE: Final = "ERGASTER_DISABLE"


@frozen
class Offer:
    """One plugin that is to be had under one name.

    Attributes:
        kind: Its kind.
        name: What users type.
        source: What registers it: the module's name, one object's entry point, or a name given in process.
        entry: Its entry point; None for what was registered in process.
    """

    kind: str
    name: str
    source: str
    entry: Entry | None = None

    @property
    def origin(self) -> str:
        """The distribution, or the name given in process. Reads metadata: for errors and listings."""
        return self.entry.distribution if self.entry else self.source


def _offer(kind: str, entry: Entry) -> Offer:
    source = f"{entry.group}:{entry.name}={entry.value}" if entry.attribute else entry.module
    return Offer(kind, entry.name, source, entry)


class Offers:
    """The table of offers. The index of what is installed is read when it is first asked for a name."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        *,
        trust: Collection[str] = (),
        pick: Mapping[str, str] | None = None,
        disable: Collection[str] = (),
    ) -> None:
        self._kinds = {kind.group: kind.name for kind in kinds.values()} | {HOOKS_GROUP: OBSERVER}
        self._trust = frozenset(normalise(name) for name in trust)
        self._pick = dict(pick or {})
        by_variable = os.environ.get(DISABLE_VARIABLE, "").split(",")
        self._disable = frozenset(name.strip() for name in (*disable, *by_variable) if name.strip())
        self._all: dict[tuple[str, str], tuple[Offer, ...]] = {}
        self._chosen: dict[tuple[str, str], Offer] = {}
        self._declared: dict[str, set[tuple[str, str]]] = {}
        self._disabled: set[tuple[str, str]] = set()
        self._is_indexed = False
        self._lock = threading.RLock()

    def choose(self, kind: str, name: str) -> Offer:
        """Return the offer behind a name: one dictionary lookup unless several offer it or the configuration picks.

        Raises:
            UnknownPlugin: With the nearest names and, when there is one, the install line.
            PluginConflict: When several offer it and the configuration picks none of them.
        """
        if not self._is_indexed:
            self._read_index()
        chosen = self._chosen.get((kind, name))
        return chosen if chosen is not None else self._settle(kind, name)

    def has(self, kind: str, name: str) -> bool:
        """Whether `choose` would succeed."""
        try:
            self.choose(kind, name)
        except (UnknownPlugin, PluginConflict):
            return False
        return True

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of one kind, sorted."""
        self._read_index()
        return tuple(sorted(name for of_kind, name in self._all if of_kind == kind))

    def every(self) -> tuple[Offer, ...]:
        """Return every offer that is not disabled."""
        self._read_index()
        return tuple(offer for offers in list(self._all.values()) for offer in offers)

    def declared(self, source: str) -> frozenset[tuple[str, str]]:
        """Return the kinds and names under which entry points name *source*."""
        self._read_index()
        return frozenset(self._declared.get(source, ()))

    def is_disabled(self, name: str, module: str = "") -> bool:
        """Whether the configuration or the environment leaves out a plugin of that name or module."""
        packages = (module[: len(item)] for item in self._disable if module == item or module.startswith(f"{item}."))
        return name in self._disable or any(packages)

    def is_trusted(self, offer: Offer) -> bool:
        """Whether the configuration trusts the plugin: by its observer's name, its distribution, or its name in process.

        The name of an observer that two distributions claim trusts neither.
        """
        if not self._trust:
            return False
        names = {
            name for kind, name in self._declared.get(offer.source, ()) if kind == OBSERVER and normalise(name) in self._trust
        }
        return any(self._owns(offer, name) for name in names) or normalise(offer.origin) in self._trust

    def trusted_observers(self) -> tuple[Offer, ...]:
        """Return the installed observers that the configuration trusts.

        Raises:
            PluginConflict: If several distributions claim the name of one.
        """
        self._read_index()
        observers = sorted(key for key in self._all if key[0] == OBSERVER)
        names = [name for _, name in observers if self._is_named_by_trust(name)]
        return tuple(self.choose(OBSERVER, name) for name in names)

    def _is_named_by_trust(self, observer: str) -> bool:
        offers = self._all[OBSERVER, observer]
        return normalise(observer) in self._trust or any(normalise(offer.origin) in self._trust for offer in offers)

    def _owns(self, offer: Offer, observer: str) -> bool:
        sources = {other.source for other in self._all.get((OBSERVER, observer), ())}
        picked = self._picked(OBSERVER, observer)
        return sources == {offer.source} if picked is None else normalise(offer.origin) == normalise(picked)

    def add(self, offers: Iterable[Offer]) -> None:
        """Add offers; an offer that is there already stays as it is."""
        with self._lock:
            for offer in offers:
                key = (offer.kind, offer.name)
                if self.is_disabled(offer.name, offer.entry.module if offer.entry else ""):
                    self._disabled.add(key)
                elif offer not in self._all.get(key, ()):
                    self._all[key] = (*self._all.get(key, ()), offer)
                    self._choose_if_clear(key)
                if offer.entry:
                    self._declared.setdefault(offer.source, set()).add(key)

    def withdraw(self, source: str) -> None:
        """Take back what *source* offered in process."""
        with self._lock:
            for key, offers in list(self._all.items()):
                left = tuple(offer for offer in offers if offer.entry or offer.source != source)
                if left != offers:
                    self._all[key] = left
                    self._choose_if_clear(key)
                if not left:
                    del self._all[key]

    def add_kind(self, kind: Kind) -> None:
        """Know one more entry-point group."""
        with self._lock:
            self._kinds[kind.group] = kind.name
            if self._is_indexed:
                self.add(_offer(kind.name, entry) for entry in installed().in_group(kind.group))

    def remove_kind(self, kind: Kind) -> None:
        """Forget a kind whose app failed to register, and its offers."""
        with self._lock:
            self._kinds.pop(kind.group, None)
            for key in [key for key in self._all if key[0] == kind.name]:
                del self._all[key]
                self._chosen.pop(key, None)

    def kind_of(self, group: str) -> str:
        """Return the kind of an entry-point group; the group itself when no app has declared it."""
        return self._kinds.get(group, group)

    def offered(self, kind: str, name: str) -> tuple[Offer, ...]:
        """Return all offers of one name."""
        self._read_index()
        return self._all.get((kind, name), ())

    def _read_index(self) -> None:
        with self._lock:
            if self._is_indexed:
                return
            self.add(_offer(self._kinds[entry.group], entry) for entry in installed().entries if entry.group in self._kinds)
            self._is_indexed = True

    def _choose_if_clear(self, key: tuple[str, str]) -> None:
        offers = self._all[key]
        if len(offers) == 1 and self._picked(*key) is None:
            self._chosen[key] = offers[0]
        else:
            self._chosen.pop(key, None)

    def _picked(self, kind: str, name: str) -> str | None:
        return self._pick.get(f"{kind}:{name}", self._pick.get(name))

    def _settle(self, kind: str, name: str) -> Offer:
        offers = self._all.get((kind, name), ())
        if not offers:
            self._refuse(kind, name)
        picked = self._picked(kind, name)
        if picked is not None:
            found = [offer for offer in offers if normalise(offer.origin) == normalise(picked)]
        else:
            found = [offer for offer in offers if self.is_trusted(offer)]
        if len(found) != 1:
            raise self._conflict(offers, picked)
        self._chosen[kind, name] = found[0]
        return found[0]

    def _conflict(self, offers: tuple[Offer, ...], picked: str | None) -> PluginConflict:
        kind, name = offers[0].kind, offers[0].name
        what = f"the {kind.replace('_', ' ')} {name!r}"
        origins = sorted(offer.origin for offer in offers)
        listed = " and ".join(repr(origin) for origin in origins)
        if picked is not None:
            text = f"the configuration picks {picked!r} for {what}, which is provided by {listed}; correct [kernel] pick"
        else:
            text = f'{what} is provided by {listed}; choose one in ergaster.toml: [kernel] pick = {{ {name} = "{origins[0]}" }}'
        return PluginConflict(text, kind=kind, name=name)

    def _refuse(self, kind: str, name: str) -> NoReturn:
        if (kind, name) in self._disabled:
            what = f"the {kind.replace('_', ' ')} {name!r}"
            text = f"{what} is disabled by {DISABLE_VARIABLE} or [kernel] disable; take it out there to use it"
        elif kind not in self._kinds.values():
            text = no_such_kind(kind, set(self._kinds.values()) - {OBSERVER})
        else:
            text = f"no installed plugin provides the {kind.replace('_', ' ')} {shorten(name)!r}; {self._next_step(kind, name)}"
        raise UnknownPlugin(text, kind=kind, name=name)

    def _next_step(self, kind: str, name: str) -> str:
        """Say what to type instead, or how to install it; a name that is no extra of ours gets no install line."""
        others = sorted(of_kind.replace("_", " ") for of_kind, other in self._all if other == name)
        here = self.names(kind)
        steps = []
        if others:
            steps.append(f"{name!r} is installed as: {', '.join(others)}")
        elif normalise(name) in plugin_extras():
            steps.append(f"try: pip install 'ergaster[{normalise(name)}]'")
        elif not nearest(name, here):
            steps.extend(_near_extra(name))
        if near := nearest(name, here):
            steps.append(f"nearest installed: {', '.join(near)}")
        elif not self._all and not installed().entries:
            steps.append(_nothing_installed())
        elif not steps:
            steps.append(_listed(here) if here else f"no {kind.replace('_', ' ')} is installed")
        return "; ".join(step for step in steps if step)


def no_such_kind(kind: str, kinds: Collection[str]) -> str:
    """Say that there is no such kind of plugin, and which there are."""
    guess = did_you_mean(kind, kinds)
    listed = f"{'? The' if guess else '; the'} kinds are: {', '.join(sorted(kinds))}"
    return f"there is no kind of plugin called {shorten(kind)!r}{guess.removesuffix('?')}{listed}"


def _listed(names: tuple[str, ...], limit: int = 10) -> str:
    more = f" and {len(names) - limit} more; see: ergaster plugins list" if len(names) > limit else ""
    return f"installed are: {', '.join(names[:limit])}{more}"


def _near_extra(name: str) -> list[str]:
    found = nearest(name, plugin_extras(), limit=1)
    return [f"did you mean {found[0]!r}? try: pip install 'ergaster[{found[0]}]'"] if found else []


def _nothing_installed() -> str:
    if "standard" not in kernel_extras():
        return "no plugin is installed at all"
    return "no plugin is installed at all; most people start with: pip install 'ergaster[standard]'"
