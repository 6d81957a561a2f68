"""Whether every name in a configuration is installed: looked up in the index, so nothing is imported."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import fields_dict

from ergaster.config import AgentConfig, Config, PluginUse, TeamConfig
from ergaster.errors import PluginError, UnknownPlugin
from ergaster.plugins import PluginManager
from ergaster.refs import parse_ref
from ergaster.schema.misfits import at
from ergaster.suggestions import did_you_mean

__all__ = ["check_names"]

_KNOWLEDGE_KINDS = ("vector_store", "embedder", "reranker", "chunker")


def check_names(config: Config, plugins: PluginManager) -> tuple[str, ...]:
    """Return one sentence, beginning with its path, for each name in *config* that stands for nothing.

    These are the plugins of models, tools, storages, strategies and knowledge, the features of agents, the
    members of teams, and aliases that lead back to themselves.
    """
    checker = _Checker(config, plugins)
    for name, agent in config.agents.items():
        checker.agent(at("agents", name), agent)
    for name, alias in config.models.items():
        path = at("models", name)
        checker.alias(path, name)
        checker.model(at(path, "use"), alias.use)
        for index, use in enumerate(alias.fallback):
            checker.model(at(at(path, "fallback"), index), use.use)
    for name, knowledge in config.knowledge.items():
        for kind in _KNOWLEDGE_KINDS:
            checker.use(kind, at(at("knowledge", name), kind), getattr(knowledge, kind))
    for name, team in config.teams.items():
        checker.team(at("teams", name), team)
    return tuple(checker.problems)


class _Checker:
    def __init__(self, config: Config, plugins: PluginManager) -> None:
        self.problems: list[str] = []
        self._config = config
        self._plugins = plugins

    def agent(self, path: str, agent: AgentConfig) -> None:
        self.model(at(path, "model"), agent.model.use)
        if agent.output_model is not None:
            self.model(at(path, "output_model"), agent.output_model.use)
        for index, tool in enumerate(agent.tools):
            self.use("toolkit", at(at(path, "tools"), index), tool)
        self.use("storage", at(path, "storage"), agent.storage)
        self._features(path, agent.features)

    def team(self, path: str, team: TeamConfig) -> None:
        known = {*self._config.agents, *self._config.teams}
        for index, member in enumerate(team.members):
            if member not in known:
                where = at(at(path, "members"), index)
                self.problems.append(
                    f"{where}: no agent or team of this file is called {member!r}{did_you_mean(member, known)}"
                )
        self.use("strategy", at(path, "strategy"), team.strategy)
        self.use("storage", at(path, "storage"), team.storage)

    def alias(self, path: str, name: str) -> None:
        """An alias may stand for another, but not for itself."""
        seen, at_last = [name], self._config.models[name].use
        while at_last in self._config.models and at_last not in seen:
            seen.append(at_last)
            at_last = self._config.models[at_last].use
        if at_last == name:
            self.problems.append(f"{at(path, 'use')}: leads back to itself: {' > '.join([*seen, name])}")

    def model(self, path: str, ref: str) -> None:
        if ref != "auto" and ref not in self._config.models:
            self._ref("model", path, ref)

    def use(self, kind: str, path: str, use: PluginUse | None) -> None:
        if use is not None:
            self._ref(kind, path, use.use)

    def _ref(self, kind: str, path: str, ref: str) -> None:
        try:
            self._plugins.check(kind, self._plugins.resolve_ref(kind, ref).plugin)
        except PluginError as error:
            guess = did_you_mean(parse_ref(ref).plugin, self._config.models) if kind == "model" else ""
            self.problems.append(f"{path}: {error}{guess}")

    def _features(self, path: str, features: Mapping[str, object]) -> None:
        known = {*fields_dict(AgentConfig), *self._plugins.names("feature")} - {"features"}
        for name in features:
            try:
                self._plugins.check("feature", name)
            except PluginError as error:
                guess = did_you_mean(name, known) if isinstance(error, UnknownPlugin) else ""
                self.problems.append(f"{at(path, name)}: {f'unknown key{guess}' if guess else error}")
