"""The kernel object: where names become objects."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ergaster.catalog import KINDS
from ergaster.contracts.model import Model
from ergaster.contracts.storage import Storage
from ergaster.errors import AuthenticationFailed, ConfigError, UnknownPlugin, Unsupported
from ergaster.plugins import PluginManager
from ergaster.policy import Policy
from ergaster.refs import base_dir, parse_ref

if TYPE_CHECKING:
    from ergaster.agent import Agent
    from ergaster.config import Config, PluginUse
    from ergaster.run import Run
    from ergaster.state import RunState
    from ergaster.team import Team

__all__ = ["Kernel", "default_kernel"]

_PARKED = 1000


class Kernel:
    """Plugins, configuration and the objects made from them.

    Objects of a name and its options are made once and shared. A module-level default kernel serves agents that are
    built without one.
    """

    def __init__(self, config: Config | None = None, *, plugins: PluginManager | None = None) -> None:
        self.config = config
        if plugins is None:
            settings = config.kernel if config is not None else None
            plugins = (
                PluginManager()
                if settings is None
                else PluginManager(trust=settings.trust, pick=settings.pick, disable=settings.disable)
            )
        self.plugins = plugins
        self.live: dict[str, Run] = {}
        self.parked: dict[str, tuple[RunState, str]] = {}
        self.policy = (
            Policy() if config is None else Policy(**{str(effect): ruling for effect, ruling in config.policy.items()})
        )
        self._objects: dict[tuple[str, str, Hashable], object] = {}
        self._lock = threading.RLock()
        self._agents: dict[str, Agent] = {}
        self._teams: dict[str, Team] = {}
        self._is_configured = False
        self.auto_choice = ""

    @classmethod
    def from_file(cls, path: str | Path = "ergaster.toml") -> Kernel:
        """Read a configuration file.

        Raises:
            ConfigError: With every problem of the file at once.
        """
        from ergaster.config import load_config

        return cls(load_config(Path(path)))

    def agent(self, name: str) -> Agent:
        """Return the agent of that name in the configuration.

        Raises:
            ConfigError: If there is none; the message names those that there are.
        """
        from ergaster.assembly import agent_from_config

        if name not in self._agents:
            agents = self.config.agents if self.config is not None else {}
            if name not in agents:
                raise ConfigError(f"the configuration has no agent {name!r}; it has: {', '.join(agents) or 'none'}")
            self._agents[name] = agent_from_config(self, name, agents[name])
        return self._agents[name]

    def team(self, name: str) -> Team:
        """Return the team of that name in the configuration.

        Raises:
            ConfigError: If there is none.
        """
        from ergaster.assembly import team_from_config

        if name not in self._teams:
            teams = self.config.teams if self.config is not None else {}
            if name not in teams:
                raise ConfigError(f"the configuration has no team {name!r}; it has: {', '.join(teams) or 'none'}")
            self._teams[name] = team_from_config(self, name, teams[name])
        return self._teams[name]

    def knows(self, kind: str, ref: str) -> None:
        """Check that a reference's plugin is installed; nothing is imported.

        Raises:
            UnknownPlugin: If it is not; the message holds the nearest names and the install line.
            InvalidRef: If it does not follow the grammar.
        """
        if kind == "model" and (ref == "auto" or (self.config is not None and ref in self.config.models)):
            return
        if not self.plugins.has(kind, ref.partition(":")[0]):
            self.plugins.check(kind, self.plugins.resolve_ref(kind, parse_ref(ref)).plugin)

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add a plugin that is not installed: a module or object with hooks; it behaves as an installed one."""
        self.plugins.register(plugin, name)

    def resolve(self, kind: str, ref: str, options: Mapping[str, object] | None = None) -> object:
        """Return the object that a name stands for; equal names and options give the same object.

        A model may also be named by an alias or `auto`, as for `model`.

        Raises:
            UnknownPlugin: If nothing installed has the name.
            InvalidOption: If an option is unknown or does not fit.
        """
        if kind == "model" and (ref == "auto" or (self.config is not None and ref in self.config.models)):
            return self.model(ref, options)
        options = dict(options or {})
        key = (kind, ref, _frozen(options))
        with self._lock:
            if key not in self._objects:
                self._objects[key] = self.create(kind, ref, options)
            return self._objects[key]

    def create(self, kind: str, ref: str, options: Mapping[str, object] | None = None) -> object:
        """Make a new object that is not shared: toolkits and features belong to one agent."""
        if kind not in KINDS and kind not in self.plugins.kinds:
            raise UnknownPlugin(f"there is no kind of plugin {kind!r}; the kinds are: {', '.join(KINDS)}", kind=kind, name=ref)
        token = base_dir.set(self.config.base_dir if self.config is not None else None)
        try:
            return self.plugins.create(kind, ref, dict(options or {}))
        finally:
            base_dir.reset(token)

    def model(self, ref: str, options: Mapping[str, object] | None = None) -> Model:
        """Return a model by reference, by an alias of the configuration, or by `auto`.

        Raises:
            AuthenticationFailed: For `auto`, when no provider has a key and none works without.
            ConfigError: If an alias leads back to itself.
            Unsupported: If an alias names fallbacks, which only an agent can ask in turn.
        """
        model, fallback = self.model_chain(ref, options)
        if fallback:
            raise Unsupported(
                f"the model alias {ref!r} names fallbacks, and here one model is needed; use it as an agent's model, "
                "or name an alias without fallbacks"
            )
        return model

    def model_chain(self, ref: str, options: Mapping[str, object] | None = None) -> tuple[Model, tuple[PluginUse, ...]]:
        """Return a model as `model` does, and the models that its aliases name as fallbacks, in order.

        Raises:
            AuthenticationFailed: For `auto`, when no provider has a key and none works without.
            ConfigError: If an alias leads back to itself.
        """
        aliases = self.config.models if self.config is not None else {}
        seen: list[str] = []
        fallback: tuple[PluginUse, ...] = ()
        while ref in aliases:
            if ref in seen:
                raise ConfigError(f"the model alias {ref!r} leads back to itself: {' -> '.join([*seen, ref])}")
            seen.append(ref)
            fallback = (*aliases[ref].fallback, *fallback)
            ref, options = aliases[ref].use, {**aliases[ref].options, **(options or {})}
        if ref == "auto":
            ref = self._choose_model()
        return cast(Model, self.resolve("model", ref, options)), fallback

    def storage(self, ref: str, options: Mapping[str, object] | None = None) -> Storage:
        """Return a storage by reference, such as `sqlite:///agents.db`."""
        return cast(Storage, self.resolve("storage", ref, options))

    def _choose_model(self) -> str:
        """Return the reference that `auto` stands for now, and remember why in `auto_choice`."""
        import os

        local: tuple[str, str] | None = None
        for name in self.plugins.names("model"):
            try:
                spec = self.plugins.spec("model", name)
            except Exception:  # noqa: S112 - boundary: a broken provider is no candidate; `plugins doctor` shows it
                continue
            if not spec.auto:
                continue
            held = [variable for variable in spec.env if os.environ.get(variable)]
            if held:
                self.auto_choice = f"{spec.auto}, because {held[0]} is set"
                return spec.auto
            if not spec.env and local is None:
                local = (spec.auto, f"{spec.auto}, because no provider's key is in the environment")
        if local is None:
            raise AuthenticationFailed(
                'model = "auto" found no provider with a key in the environment and no local model; '
                "set a provider's key, or install a local one: pip install 'ergaster[standard]'"
            )
        self.auto_choice = local[1]
        return local[0]

    def configure(self) -> None:
        """Load the observers and let them prepare; called before the first run."""
        if not self._is_configured:
            self._is_configured = True
            self.plugins.observers()
            self.plugins.call_observers("ergaster_configure", kernel=self)

    def park(self, state: RunState, tenant: str) -> None:
        """Keep a paused run that has no storage, so that this process can resume it."""
        self.parked[state.run_id] = (state, tenant)
        while len(self.parked) > _PARKED:
            del self.parked[next(iter(self.parked))]

    async def aclose(self) -> None:
        """Close every object that was made; a later use makes new ones."""
        self.plugins.call_observers("ergaster_shutdown", kernel=self)
        for agent in self._agents.values():
            await agent.aclose()
        with self._lock:
            objects, self._objects = list(self._objects.values()), {}
        for made in reversed(objects):
            close = getattr(made, "close", None)
            if close is not None:
                await close()

    async def __aenter__(self) -> Kernel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _frozen(value: object) -> Hashable:
    """Return a value that is equal only to that of equal options; a secret counts by what it holds."""
    if isinstance(value, Mapping):
        return frozenset((key, _frozen(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    try:
        hash(value)
    except TypeError:
        return _Identity(value)
    return (type(value), value)


class _Identity:
    """Stands for a value that cannot be compared, and keeps it alive."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


_default: Kernel | None = None


def default_kernel() -> Kernel:
    """Return the kernel of agents that are built without one."""
    global _default  # noqa: PLW0603 - one default for the process is the point
    if _default is None:
        _default = Kernel()
    return _default
