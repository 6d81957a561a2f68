"""The agent: a definition that is cheap to build, never changes, and may be shared by any number of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any, Unpack

from ergaster.contracts.feature import Feature
from ergaster.contracts.model import Model, ModelSettings
from ergaster.contracts.storage import Storage
from ergaster.front import FeatureOptions, Front, ToolFactory, ToolSource
from ergaster.kernel import Kernel, default_kernel
from ergaster.limits import Limits
from ergaster.messages import Message
from ergaster.plan import Instructions, Plan
from ergaster.policy import Policy
from ergaster.tools import as_tools

__all__ = ["Agent"]


class Agent(Front):
    """A model with instructions, tools and features.

    Building one checks names and imports nothing; plugins are loaded at the first run or by `aopen()`. Every keyword
    that is not named here is the name of a feature: `learning=True`, `guardrails=["pii"]`.

    Args:
        name: Its name in events, sessions and teams.
        model: A reference such as `openai:gpt-5-mini`, an alias of the configuration, `auto`, options with `use`, or an object.
        description: What it is good for, for models that choose among agents.
        instructions: The system prompt: texts or functions of the run's context. `${state.key}` and the like are filled in.
        tools: Functions, toolkits, names of toolkits, other agents, or one function that makes them for each run.
        storage: Where sessions and runs are kept; without it nothing survives the process. Implies `history=True`.
        input_schema: A class or a JSON Schema that inputs must fit.
        output_schema: Likewise for answers; `result.output` is then an object of it.
        output_model: Another model, which writes the final answer, in the form of the output schema if there is one.
        limits: Hard bounds of a run.
        policy: What tools may do without asking.
        settings: Settings of every model call.
        tool_choice: `auto`, `none`, `required`, or a tool's name.
        examples: Messages put before every conversation, to show what is wanted.
        features: Feature objects, for those that are not named by a keyword.
        kernel: Where names are looked up; a default one serves all agents that have none.

    Raises:
        UnknownPlugin: If a name is not installed; the message holds the nearest names and the install line.
        InvalidRef: If a reference does not follow the grammar.
    """

    __slots__ = (
        "__weakref__", "_plan", "description", "examples", "features", "input_schema", "instructions", "kernel", "limits",
        "model", "name", "options", "output_model", "output_schema", "policy", "settings", "storage", "tool_choice", "tools",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - each is a word that a user would say; abilities are features
        self,
        *,
        model: str | Mapping[str, Any] | Model = "auto",
        name: str = "agent",
        description: str = "",
        instructions: Instructions | Sequence[Instructions] = "",
        tools: Sequence[ToolSource] | ToolFactory = (),
        storage: str | Mapping[str, Any] | Storage | None = None,
        input_schema: object = None,
        output_schema: object = None,
        output_model: str | Mapping[str, Any] | Model | None = None,
        limits: Limits | None = None,
        policy: Policy | None = None,
        settings: ModelSettings | None = None,
        tool_choice: str = "auto",
        examples: Sequence[Message] = (),
        features: Sequence[Feature] = (),
        kernel: Kernel | None = None,
        **options: Unpack[FeatureOptions],
    ) -> None:
        self.name = name
        self.description = description
        self.model = model
        self.instructions = instructions
        self.tools = tools
        self.storage = storage
        self.input_schema = input_schema
        self.output_schema = output_schema
        self.output_model = output_model
        self.limits = limits
        self.policy = policy
        self.settings = settings
        self.tool_choice = tool_choice
        self.examples = examples
        self.features = features
        self.options: Mapping[str, Any] = options
        self.kernel = kernel or default_kernel()
        self._plan: Plan | None = None
        self._check_names()

    def _check_names(self) -> None:
        """Look every name up in the index, which is a dictionary; nothing is imported."""
        known = self.kernel.knows
        if isinstance(self.model, str):
            known("model", self.model)
        if isinstance(self.output_model, str):
            known("model", self.output_model)
        if isinstance(self.storage, str):
            known("storage", self.storage)
        if not callable(self.tools):
            has_local = False
            for tool in self.tools:
                if isinstance(tool, str):
                    known("toolkit", tool)
                has_local = has_local or (isinstance(tool, FunctionType) and "<locals>" in tool.__qualname__)
            if has_local:
                self.tools = tuple(map(_read_now, self.tools))
        for feature in self.options:
            known("feature", feature)

    async def plan(self) -> Plan:
        """Return the agent put together; made once."""
        from ergaster.assembly import build_plan

        if self._plan is None:
            self._plan = await build_plan(self)
        return self._plan

    async def plan_over(self, base: Plan, changed: Iterable[str]) -> Plan:
        """Return the agent put together for one run that overrides *changed*, using again what *base* opened."""
        from ergaster.assembly import build_plan

        return await build_plan(self, base=base, changed=changed)

    def replace(self, **changes: Any) -> Agent:
        """Return a new agent with these arguments changed; any other keyword is the name of a feature."""
        arguments: dict[str, Any] = {name: getattr(self, name) for name in _ARGUMENTS}
        options = {**self.options, **{name: value for name, value in changes.items() if name not in _ARGUMENTS}}
        return Agent(**{**arguments, **{name: changes[name] for name in changes if name in _ARGUMENTS}, **options})

    def __repr__(self) -> str:
        return f"<Agent {self.name!r}>"


def _read_now(tool: ToolSource) -> ToolSource:
    """Wrap a function that was defined inside another while the names that its type hints use can still be seen."""
    if isinstance(tool, FunctionType) and "<locals>" in tool.__qualname__:
        return as_tools(tool)[0]
    return tool


_ARGUMENTS = tuple(name for name in Agent.__slots__ if name not in ("__weakref__", "_plan", "options"))
