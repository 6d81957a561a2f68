"""The team: runnables that work together by a strategy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from ergaster.contracts.model import Delta, Model, ModelRequest, ModelResponse
from ergaster.contracts.runnable import Runnable
from ergaster.contracts.storage import Storage
from ergaster.contracts.strategy import Strategy
from ergaster.errors import ConfigError, Unsupported
from ergaster.front import Front
from ergaster.kernel import Kernel, default_kernel
from ergaster.limits import Limits
from ergaster.plan import Plan

__all__ = ["Team"]


class Team(Front):
    """Members and a strategy; what the members do is the strategy's to decide.

    Args:
        members: Agents, teams or other runnables, with names of their own.
        strategy: A strategy's name, its name with options (`{"use": …}`), or the strategy itself.
        name: The team's name.
        description: What it is good for, for a model that chooses.
        storage: Where the team's runs and sessions are kept.
        limits: Hard bounds of a run of the whole team.
        kernel: Where names are looked up.

    Raises:
        ConfigError: If two members have one name, or there is none.
        UnknownPlugin: If the strategy is not installed.
    """

    __slots__ = ("__weakref__", "_plan", "description", "kernel", "limits", "members", "name", "storage", "strategy")

    def __init__(
        self,
        members: Sequence[Runnable],
        *,
        strategy: str | Mapping[str, Any] | Strategy = "sequential",
        name: str = "team",
        description: str = "",
        storage: str | Mapping[str, Any] | Storage | None = None,
        limits: Limits | None = None,
        kernel: Kernel | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.storage = storage
        self.limits = limits
        self.kernel = kernel or default_kernel()
        self.strategy = strategy
        self._plan: Plan | None = None
        self.members: Mapping[str, Runnable] = {member.name: member for member in members}
        if not members or len(self.members) != len(members):
            names = ", ".join(repr(member.name) for member in members) or "none"
            raise ConfigError(f"a team needs members with names of their own; these were given: {names}")
        for kind, ref in (("strategy", strategy), ("storage", storage)):
            if isinstance(ref, str):
                self.kernel.knows(kind, ref)

    async def plan(self) -> Plan:
        """Return the team put together; made once."""
        from ergaster.assembly import build_team_plan

        if self._plan is None:
            self._plan = build_team_plan(self)
        return self._plan

    def replace(self, **changes: Any) -> Team:
        """Return a new team with these arguments changed.

        Raises:
            ConfigError: If a team has no such argument.
        """
        arguments = {each: getattr(self, each) for each in ("strategy", "name", "description", "storage", "limits", "kernel")}
        if unknown := changes.keys() - arguments.keys() - {"members"}:
            raise ConfigError(f"a team has no {', '.join(sorted(unknown))}; set it on the members")
        members = changes.pop("members", tuple(self.members.values()))
        return Team(members, **cast("dict[str, Any]", {**arguments, **changes}))

    def __repr__(self) -> str:
        return f"<Team {self.name!r} of {', '.join(self.members)}>"


class NoModel(Model):
    """Stands where a team has no model of its own."""

    provider = ""
    name = "none"

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """Refuse."""
        raise Unsupported("a team has no model of its own; its members have")

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Refuse."""
        raise Unsupported("a team has no model of its own; its members have")
