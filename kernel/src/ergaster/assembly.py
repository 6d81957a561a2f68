"""Putting agents together: names and options become the objects of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import attrs
from attrs import define, field

from ergaster.agent import Agent
from ergaster.config import PluginUse
from ergaster.contracts.feature import Feature
from ergaster.contracts.model import Model, ModelSettings
from ergaster.contracts.runnable import Runnable
from ergaster.contracts.storage import Storage
from ergaster.contracts.strategy import Strategy
from ergaster.contracts.toolkit import Tool, Toolkit
from ergaster.errors import ConfigError, InvalidOption
from ergaster.kernel import Kernel
from ergaster.limits import Limits
from ergaster.loop import orchestrate
from ergaster.nesting import runnable_tool
from ergaster.plan import Instructions, Plan
from ergaster.team import NoModel, Team
from ergaster.tools import as_tools

if TYPE_CHECKING:
    from ergaster.config import AgentConfig, TeamConfig
__all__ = ["agent_from_config", "build_plan", "build_team_plan", "team_from_config"]

_TOOLKIT_OPTIONS = ("include", "exclude", "allow", "confirm", "prefix")


@define
class Toolbox:
    """The tools of an agent, by name, and the toolkits to open."""

    tools: dict[str, Tool] = field(factory=dict)
    toolkits: list[Toolkit] = field(factory=list)

    def add(self, tool: Tool, origin: str) -> None:
        """Add a tool; two of one name are an error that names both."""
        if tool.name in self.tools:
            first = self.tools[tool.name].toolkit or "a function"
            raise ConfigError(
                f"two tools are called {tool.name!r} (from {first} and {origin}); "
                'rename one, or give one toolkit a prefix: {use = …, prefix = "x_"}'
            )
        self.tools[tool.name] = tool


async def build_plan(agent: Agent, *, base: Plan | None = None, changed: Iterable[str] = ()) -> Plan:
    """Return *agent* put together.

    Args:
        agent: The agent, with the overrides of a run applied.
        base: The plan without them, whose opened parts are used again.
        changed: What the run overrides.
    """
    kernel, changes = agent.kernel, frozenset(changed)
    kernel.configure()
    factory = agent.tools if callable(agent.tools) and not isinstance(agent.tools, Tool | Toolkit) else None
    if base is not None and "tools" not in changes:
        box = Toolbox(dict(base.own_tools), list(base.toolkits))
    else:
        box = Toolbox() if factory is not None else _tools(kernel, cast("Sequence[object]", agent.tools))
    storage = _storage(kernel, agent.storage)
    model, fallback = _model_chain(kernel, agent.model)
    implied: dict[str, Any] = {} if storage is None else {"history": True}
    if fallback:
        implied["fallback"] = [_plain(use) for use in fallback]
    named = _features(kernel, {**implied, **agent.options}, known=base.named_features if base else {})
    features = [*named.values(), *agent.features]
    if base is None:
        features += [
            feature
            for given in kernel.plugins.call_observers("ergaster_agent_features", agent=agent.name)
            for feature in given or ()
        ]
    else:
        features += [
            feature for feature in base.features if feature not in features and feature not in base.named_features.values()
        ]
    own_tools = dict(box.tools)
    for feature in features:
        for tool in feature.tools():
            box.add(tool, f"the feature {feature.name or type(feature).__name__}")
    plan = Plan(
        name=agent.name,
        description=agent.description,
        model=model,
        tools=box.tools,
        own_tools=own_tools,
        toolkits=tuple(box.toolkits),
        tool_factory=None if factory is None else lambda run: _tools(kernel, factory(run)).tools,
        instructions=_instructions(agent.instructions),
        examples=tuple(agent.examples),
        features=tuple(features),
        named_features=named,
        storage=storage,
        limits=agent.limits or Limits(),
        policy=agent.policy or kernel.policy,
        settings=agent.settings or ModelSettings(),
        tool_choice=agent.tool_choice,
        input_type=agent.input_schema,
        output_type=agent.output_schema,
        output_model=None if agent.output_model is None else _model(kernel, agent.output_model),
        resolve=kernel.resolve,
        live=kernel.live,
        park=kernel.park,
    )
    if base is not None:
        plan.is_open = (
            base.is_open and not (set(plan.toolkits) - set(base.toolkits)) and not (set(features) - set(base.features))
        )
        plan.tool_cache = base.tool_cache
    return plan


def build_team_plan(team: Team) -> Plan:
    """Return a team put together: its work is the strategy's."""
    kernel, given = team.kernel, team.strategy
    kernel.configure()
    if not isinstance(given, Strategy):
        use, options = (given, {}) if isinstance(given, str) else _use(given, "strategy")
        given = cast(Strategy, kernel.create("strategy", use, options))
    return Plan(
        name=team.name,
        description=team.description,
        model=NoModel(),
        storage=_storage(kernel, team.storage),
        limits=team.limits or Limits(),
        policy=kernel.policy,
        resolve=kernel.resolve,
        live=kernel.live,
        park=kernel.park,
        work=partial(orchestrate, team, given),
    )


def _instructions(given: Instructions | Sequence[Instructions]) -> tuple[Instructions, ...]:
    if isinstance(given, str) or callable(given):
        return (given,) if given else ()
    return tuple(given)


def _model_chain(kernel: Kernel, given: str | Mapping[str, Any] | Model) -> tuple[Model, tuple[PluginUse, ...]]:
    if isinstance(given, Model):
        return given, ()
    use, options = (given, {}) if isinstance(given, str) else _use(given, "model")
    return kernel.model_chain(use, options)


def _model(kernel: Kernel, given: str | Mapping[str, Any] | Model) -> Model:
    if isinstance(given, Model):
        return given
    use, options = (given, {}) if isinstance(given, str) else _use(given, "model")
    return kernel.model(use, options)


def _storage(kernel: Kernel, given: str | Mapping[str, Any] | Storage | None) -> Storage | None:
    if given is None or isinstance(given, Storage):
        return given
    if isinstance(given, str):
        return kernel.storage(given)
    use, options = _use(given, "storage")
    return kernel.storage(use, options)


def _use(given: Mapping[str, Any], kind: str) -> tuple[str, dict[str, Any]]:
    options = dict(given)
    use = options.pop("use", None)
    if not isinstance(use, str):
        raise ConfigError(f'a {kind} with options is written {{use = "name", …}}; "use" is missing in {sorted(given)}')
    return use, options


def _tools(kernel: Kernel, sources: Sequence[object]) -> Toolbox:
    box = Toolbox()
    for source in sources:
        if isinstance(source, str):
            _add_toolkit(box, _toolkit(kernel, source, {}), source, {})
        elif isinstance(source, Mapping) and "use" in source:
            use, options = _use(source, "toolkit")
            special = {name: options.pop(name) for name in _TOOLKIT_OPTIONS if name in options}
            _add_toolkit(box, _toolkit(kernel, use, options), use, special)
        elif isinstance(source, Toolkit):
            _add_toolkit(box, source, type(source).__name__, {})
        elif isinstance(source, Runnable) and not isinstance(source, Tool):
            box.add(runnable_tool(source), f"the agent {source.name}")
        else:
            for tool in as_tools(source):
                box.add(tool, tool.toolkit or "a function")
    return box


def _toolkit(kernel: Kernel, ref: str, options: Mapping[str, Any]) -> Toolkit:
    return cast(Toolkit, kernel.create("toolkit", ref, options))


def _add_toolkit(box: Toolbox, toolkit: Toolkit, name: str, special: Mapping[str, Any]) -> None:
    tools = {tool.name: tool for tool in toolkit.tools()}
    include, exclude = special.get("include"), special.get("exclude", ())
    confirm = special.get("confirm", ())
    wanted = {*(include or ()), *exclude, *(confirm if isinstance(confirm, Sequence) and not isinstance(confirm, str) else ())}
    if unknown := wanted - tools.keys():
        raise InvalidOption(
            f"the toolkit {name!r} has no tool {', '.join(map(repr, sorted(unknown)))}; it has: {', '.join(tools)}",
            kind="toolkit",
            name=name,
        )
    allowed = special.get("allow")
    for tool in tools.values():
        if (include is not None and tool.name not in include) or tool.name in exclude:
            continue
        if allowed is not None and not tool.effects <= set(allowed):
            continue
        asks = confirm is True or (confirm is not False and tool.name in confirm)
        box.add(tool.replace(name=f"{special.get('prefix', '')}{tool.name}", toolkit=name, confirm=tool.confirm or asks), name)
    box.toolkits.append(toolkit)


def _features(kernel: Kernel, settings: Mapping[str, Any], *, known: Mapping[str, Feature]) -> dict[str, Feature]:
    found: dict[str, Feature] = {}
    for name, setting in settings.items():
        if setting is False or setting is None:
            continue
        key = f"{name}={setting!r}"
        feature = known[key] if key in known else _feature(kernel, name, setting)
        feature.name = feature.name or name
        found[key] = feature
    return found


def _feature(kernel: Kernel, name: str, setting: object) -> Feature:
    if isinstance(setting, Feature):
        return setting
    if setting is True:
        options: Mapping[str, object] = {}
    elif isinstance(setting, Mapping):
        options = setting
    else:
        spec = kernel.plugins.spec("feature", name)
        fields = attrs.fields(spec.settings) if spec.settings is not None else ()
        if not fields:
            raise InvalidOption(f"the feature {name!r} takes only True or False", kind="feature", name=name)
        options = {fields[0].name: setting}
    return cast(Feature, kernel.create("feature", name, options))


def agent_from_config(kernel: Kernel, name: str, config: AgentConfig) -> Agent:
    """Return the agent that a configuration describes."""
    given: dict[str, Any] = {
        each.name: getattr(config, each.name) for each in attrs.fields(type(config)) if each.name != "features"
    }
    given = {key: _plain(value) for key, value in given.items() if value is not None}
    features: dict[str, Any] = dict(config.features)
    return Agent(**{"name": name, **given}, kernel=kernel, **features)


def _plain(value: object) -> object:
    """Return a plugin's use in a configuration as Python writes it: a name, or a mapping with `use`."""
    if isinstance(value, PluginUse):
        return {"use": value.use, **value.options} if value.options else value.use
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def team_from_config(kernel: Kernel, name: str, config: TeamConfig) -> Team:
    """Return the team that a configuration describes; members are agents or teams of the same file."""
    agents = kernel.config.agents if kernel.config is not None else {}
    members = [kernel.agent(member) if member in agents else kernel.team(member) for member in config.members]
    given: dict[str, Any] = {key: _plain(getattr(config, key)) for key in ("strategy", "description", "storage", "limits")}
    return Team(members, name=name, kernel=kernel, **given)
