"""`ergaster.toml`: read strictly, with every problem at once and its path."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from attrs import evolve, field, frozen

from ergaster.contracts.model import ModelSettings
from ergaster.contracts.toolkit import Effect
from ergaster.errors import ConfigError, InvalidInput, InvalidRef
from ergaster.interpolation import interpolate
from ergaster.limits import Limits
from ergaster.messages import Json, JsonObject
from ergaster.refs import parse_ref
from ergaster.schema.misfits import Misfit, misfit
from ergaster.schema.nodes import DERIVED, REST, SHORT, Node

__all__ = [
    "AgentConfig",
    "Config",
    "FeatureSetting",
    "KernelConfig",
    "KnowledgeConfig",
    "ModelConfig",
    "PluginUse",
    "TeamConfig",
    "WorkflowConfig",
    "config_schema",
    "load_config",
    "parse_config",
]

Ruling: TypeAlias = Literal["allow", "ask", "deny"]
FeatureSetting: TypeAlias = bool | str | Mapping[str, object] | Sequence[str | Mapping[str, object]]
"""On or off, a mode or a name, options, or a list of names."""

MAX_BYTES: Final = 4 * 1024 * 1024
RESERVED: Final = frozenset(
    {
        "agent", "dependencies", "examples", "features", "kernel", "metadata", "name", "parent",
        "policy", "run_id", "session_id", "session_state", "team", "tenant", "use", "user_id",
    }
)  # fmt: skip
"""Keys of an agent that cannot be the names of features, since they are words of `Agent` or of a run."""

NAME_PATTERN: Final = r"^[^\u0000-\u0020:/\\]{1,64}$"


def _rule(expected: str, holds: Callable[[str], object], problem: str, schema: JsonObject) -> Node:
    """Return the node of text that keeps a rule; the problem never repeats the text, which may hold a secret."""

    def load(value: Json) -> str:
        if not isinstance(value, str):
            raise misfit(value, expected)
        if not holds(value):
            raise Misfit(problem)
        return value

    return Node(load=load, schema=lambda _: {"type": "string", **schema}, expected=expected, kinds=frozenset({"string"}))


def _is_ref(text: str) -> bool:
    try:
        parse_ref(text)
    except InvalidRef:
        return False
    return True


Name: TypeAlias = Annotated[
    str,
    _rule(
        "a name",
        re.compile(NAME_PATTERN[:-1] + r"\Z").match,
        "is no name; it has 1 to 64 characters, none of them a space, ':', '/' or '\\'",
        {"pattern": NAME_PATTERN},
    ),
]
FeatureName: TypeAlias = Annotated[
    str,
    _rule(
        "the name of a feature",
        lambda name: name not in RESERVED,
        "is reserved; it cannot be the name of a feature",
        {"not": {"enum": sorted(RESERVED)}},
    ),
]
Reference: TypeAlias = Annotated[
    str,
    _rule(
        "a plugin's name",
        _is_ref,
        "is no plugin reference; write 'plugin', 'plugin:name' or a URL whose scheme is the plugin",
        {"pattern": r"^([A-Za-z][A-Za-z0-9_.+-]*(:[\s\S]+)?|[\s\S]*\$\{env:[\s\S]*)$"},
    ),
]


def _options_repr(options: Mapping[str, object]) -> str:
    """Options may hold keys and passwords."""
    return "{" + ", ".join(f"{key}: …" for key in options) + "}"


def _count_repr(items: Sequence[object]) -> str:
    return f"<{len(items)}>"


def _use_repr(use: str) -> str:
    return repr(str(parse_ref(use)))


@frozen
class PluginUse:
    """A plugin and its options: `"files"` or `{ use = "files", root = "./notes" }`.

    Attributes:
        use: The reference: a plugin's name, `plugin:name`, a URL, or an alias of the table `models`.
        options: Options of the plugin.
    """

    use: Reference = field(repr=_use_repr, metadata={SHORT: True})
    options: Mapping[str, object] = field(factory=dict, repr=_options_repr, metadata={REST: True})


@frozen(kw_only=True)
class AgentConfig:
    """An agent. Any other key is the name of a feature: `learning = true`, `guardrails = ["pii"]`.

    Attributes:
        model: The model: a reference, an alias of the table `models`, or `auto`.
        description: What it is good for, for models that choose among agents.
        instructions: The system prompt.
        tools: Toolkits.
        storage: Where sessions and runs are kept.
        limits: Hard bounds of a run.
        settings: Settings of every model call.
        tool_choice: `auto`, `none`, `required`, or a tool's name.
        input_schema: JSON Schema that inputs must fit.
        output_schema: JSON Schema that answers must fit.
        output_model: Another model, which writes the final answer.
        features: The features by name.
    """

    model: PluginUse = field(factory=lambda: PluginUse("auto"))
    description: str = ""
    instructions: str = ""
    tools: Sequence[PluginUse] = ()
    storage: PluginUse | None = None
    limits: Limits | None = None
    settings: ModelSettings | None = None
    tool_choice: str = "auto"
    input_schema: Mapping[str, object] | None = None
    output_schema: Mapping[str, object] | None = None
    output_model: PluginUse | None = None
    features: Mapping[FeatureName, FeatureSetting] = field(factory=dict, repr=_options_repr, metadata={REST: True})


@frozen(kw_only=True)
class ModelConfig:
    """An alias for a model with options. Any other key is an option of the plugin.

    Attributes:
        use: The reference of the model.
        fallback: Models to try in turn when this one is not available.
        options: Options of the plugin.
    """

    use: Reference = field(repr=_use_repr, metadata={SHORT: True})
    fallback: Sequence[PluginUse] = ()
    options: Mapping[str, object] = field(factory=dict, repr=_options_repr, metadata={REST: True})


@frozen(kw_only=True)
class KnowledgeConfig:
    """A body of knowledge. Any other key is an option of the knowledge plugin.

    Attributes:
        sources: Files, patterns and URLs to read, or tables with options.
        vector_store: Where it is kept.
        embedder: What turns text into vectors.
        reranker: What orders the results again.
        chunker: What cuts texts into pieces.
        options: Options of the knowledge plugin.
    """

    sources: Sequence[str | Mapping[str, object]] = field(default=(), repr=_count_repr)
    vector_store: PluginUse | None = None
    embedder: PluginUse | None = None
    reranker: PluginUse | None = None
    chunker: PluginUse | None = None
    options: Mapping[str, object] = field(factory=dict, repr=_options_repr, metadata={REST: True})


@frozen(kw_only=True)
class TeamConfig:
    """A team.

    Attributes:
        members: Agents and teams of this file, by name.
        strategy: How they work together; options such as `leader` in the long form.
        description: What it is good for, for models that choose among teams.
        storage: Where sessions and runs are kept.
        limits: Hard bounds of a run of the whole team.
    """

    members: Sequence[str]
    strategy: PluginUse = field(factory=lambda: PluginUse("sequential"))
    description: str = ""
    storage: PluginUse | None = None
    limits: Limits | None = None


@frozen(kw_only=True)
class WorkflowConfig:
    """A workflow; its steps, and any other key, are read by the workflow plugin.

    Attributes:
        steps: What is done, in order.
        schedule: When it runs, as five fields of cron.
        options: Options of the workflow plugin.
    """

    steps: Sequence[Mapping[str, object]] = field(repr=_count_repr)
    schedule: str | None = None
    options: Mapping[str, object] = field(factory=dict, repr=_options_repr, metadata={REST: True})


@frozen(kw_only=True)
class KernelConfig:
    """Which plugins count.

    Attributes:
        trust: Plugins that may say what names mean, and shadow names: observers or distributions, by name.
        pick: For a name that several distributions provide, the distribution to use; the key is `name` or `kind:name`.
        disable: Names of plugins or modules that are left out.
    """

    trust: Sequence[str] = ()
    pick: Mapping[str, str] = field(factory=dict)
    disable: Sequence[str] = ()


@frozen(kw_only=True)
class Config:
    """A configuration.

    Attributes:
        agents: The agents by name.
        models: Aliases for models.
        knowledge: Bodies of knowledge.
        teams: The teams by name.
        workflows: The workflows by name.
        policy: What tools may do: a ruling for each effect.
        kernel: Which plugins count.
        base_dir: The folder of the file, from which relative paths start.
    """

    agents: Mapping[Name, AgentConfig] = field(factory=dict)
    models: Mapping[Name, ModelConfig] = field(factory=dict)
    knowledge: Mapping[Name, KnowledgeConfig] = field(factory=dict)
    teams: Mapping[Name, TeamConfig] = field(factory=dict)
    workflows: Mapping[Name, WorkflowConfig] = field(factory=dict)
    policy: Mapping[Effect, Ruling] = field(factory=dict)
    kernel: KernelConfig = field(factory=KernelConfig)
    base_dir: Path = field(factory=Path.cwd, metadata={DERIVED: True})


def load_config(path: str | Path) -> Config:
    """Read a configuration file.

    Args:
        path: The file, TOML in UTF-8, at most 4 MiB.

    Raises:
        ConfigError: If it cannot be read, is no TOML (with line and column), or has problems: all of them, with paths.
    """
    path = Path(path)
    return _parse(_parse_toml(_read(path), path), path.absolute().parent, str(path))


def parse_config(mapping: Mapping[str, Any], base_dir: str | Path | None = None) -> Config:
    """Read a configuration from a mapping.

    Args:
        mapping: What the file would hold.
        base_dir: The folder from which relative paths start; the working directory by default.

    Raises:
        ConfigError: If it has problems: all of them, with paths.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"the configuration is a Python {type(mapping).__name__}; expected a table")
    return _parse(mapping, Path(base_dir) if base_dir is not None else Path.cwd(), "the configuration")


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the file, for editors."""
    from ergaster.schema.options import options_adapter

    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ergaster.toml"}
    return {**head, **options_adapter(Config).json_schema}


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            what = "is no plain file" if path.exists() else "does not exist"
            raise ConfigError(f"{path} {what}; name a file such as ergaster.toml, or write one with: ergaster new agent")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}; check its path and its permissions") from error
    except ValueError as error:
        raise ConfigError(f"{str(path)!r} is no path of a file: {error}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES // 1024 // 1024} MiB; is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8; save it as UTF-8 text") from error


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).rpartition(" (at ")
        found = re.search(r"line (\d+), column (\d+)", place)
        where = f"{path}:{found[1]}:{found[2]}" if found else f"{path}:{text.count(chr(10)) + 1}"
        raise ConfigError(f"{where}: {reason or error}; correct the TOML there") from error
    except (ValueError, RecursionError) as error:
        text = "it nests too deeply" if isinstance(error, RecursionError) else "it has a number or date that is out of range"
        raise ConfigError(f"{path}: {text}") from error


def _parse(mapping: Mapping[str, Any], base_dir: Path, name: str) -> Config:
    from ergaster.schema.options import options_adapter

    told: list[tuple[str, str]] = []
    filled = interpolate(mapping, os.environ, told)
    problems = [f"{path}: {text}" for path, text in told]
    unfilled = tuple(f"{path}: " for path, _ in told)  # these have no value, and would be a problem a second time
    if filled.pop("base_dir", None) is not None:
        problems.append("base_dir: unknown key; it is always the folder of the file")
    try:
        config: Config | None = options_adapter(Config).load(filled)
    except InvalidInput as error:
        config = None
        problems += [problem for problem in error.problems if not problem.startswith(unfilled)]
    if problems or config is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{name} has {count}:", problems=problems)
    return evolve(config, base_dir=base_dir)
