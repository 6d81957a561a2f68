"""Check a configuration without running it: its form, the plugins it names, and their options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ergaster.errors import ConfigError, ErgasterError, PluginConflict, UnknownPlugin
from ergaster.refs import parse_ref
from ergaster_cli.commands import make_manager

if TYPE_CHECKING:
    from ergaster.config import AgentConfig, Config, PluginUse
    from ergaster.plugins import PluginManager

__all__ = ["check_config"]

_OF_THE_AGENT = frozenset({"include", "exclude", "allow", "confirm", "prefix"})
"""Options that every toolkit of an agent takes; the agent carries them out, not the plugin."""


def check_config(path: Path) -> list[str]:
    """Return every problem, each beginning with its path; none when all is well.

    Plugins that are named are imported, to know their options; nothing is made, connected or run.
    """
    from ergaster.config import load_config
    from ergaster_cli.names import check_names

    try:
        config = load_config(path)
    except ConfigError as error:
        return list(error.problems) or [str(error)]
    settings = config.kernel
    manager = make_manager(trust=settings.trust, pick=settings.pick, disable=settings.disable)
    problems = [*check_names(config, manager)]
    for where, kind, ref, options in _uses(config):
        try:
            _check_use(manager, kind, ref, options)
        except (UnknownPlugin, PluginConflict):
            continue  # told by name already
        except ErgasterError as error:
            problems.append(f"{where}: {error}")
    return problems


def _check_use(manager: PluginManager, kind: str, ref: str, options: Mapping[str, object]) -> None:
    from ergaster.settings import settings_from

    name = parse_ref(ref).plugin
    settings_from(manager.spec(kind, name), options, kind=kind)


def _uses(config: Config) -> Iterator[tuple[str, str, str, Mapping[str, object]]]:
    """Yield where a plugin is named, its kind, its reference and its options."""
    for name, agent in config.agents.items():
        yield from _agent_uses(f"agents.{name}", agent, config)
    for name, team in config.teams.items():
        yield f"teams.{name}.strategy", "strategy", team.strategy.use, team.strategy.options
        if team.storage is not None:
            yield f"teams.{name}.storage", "storage", team.storage.use, team.storage.options
    for name, model in config.models.items():
        yield f"models.{name}", "model", model.use, model.options
        for number, other in enumerate(model.fallback):
            yield from _model_use(f"models.{name}.fallback[{number}]", other, config)


def _agent_uses(where: str, agent: AgentConfig, config: Config) -> Iterator[tuple[str, str, str, Mapping[str, object]]]:
    yield from _model_use(f"{where}.model", agent.model, config)
    for number, tool in enumerate(agent.tools):
        options = {key: value for key, value in tool.options.items() if key not in _OF_THE_AGENT}
        yield f"{where}.tools[{number}]", "toolkit", tool.use, options
    if agent.storage is not None:
        yield f"{where}.storage", "storage", agent.storage.use, agent.storage.options
    for name, setting in agent.features.items():
        yield f"{where}.{name}", "feature", name, setting if isinstance(setting, Mapping) else {}


def _model_use(where: str, model: PluginUse, config: Config) -> Iterator[tuple[str, str, str, Mapping[str, object]]]:
    if model.use != "auto" and model.use not in config.models:
        yield where, "model", model.use, model.options
