"""The configuration that a command works with: the nearest ergaster.toml, or a default agent where there is none."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from ergaster import Agent, Kernel, wait
from ergaster.contracts.storage import Record, Storage
from ergaster.sessions import RUNS
from ergaster_cli.commands import make_manager
from ergaster_cli.exits import CommandFailed, UsageError
from ergaster_cli.home import data_folder

__all__ = ["CONFIG_NAME", "Project", "find_config", "open_project", "owner_has_gone"]

CONFIG_NAME = "ergaster.toml"
_DEFAULT_AGENT = "assistant"


def find_config(file: str = "") -> Path:
    """Return the configuration: *file*, or the nearest ergaster.toml from the working directory upwards.

    Raises:
        UsageError: If there is none.
    """
    found = _nearest_config() if not file else Path(file)
    if found is None:
        raise UsageError(f"there is no {CONFIG_NAME} here or above; make one with: ergaster new agent NAME")
    if found.is_dir():
        found = found / CONFIG_NAME
    if not found.is_file():
        raise UsageError(f"there is no file {found}")
    return found


def _nearest_config() -> Path | None:
    here = Path.cwd()
    return next((folder / CONFIG_NAME for folder in (here, *here.parents) if (folder / CONFIG_NAME).is_file()), None)


@contextmanager
def open_project(file: str = "") -> Iterator[Project]:
    """Open the configuration for the length of a block; without one, a default agent stands in.

    Args:
        file: As typed with `--file`; empty for the nearest ergaster.toml, or none.

    Raises:
        UsageError: If *file* does not exist.
        ConfigError: If the configuration is wrong.
    """
    path = find_config(file) if file else _nearest_config()
    project = Project(_make_kernel(path), path, is_named=bool(file))
    try:
        yield project
    finally:
        project.close()


def _make_kernel(path: Path | None) -> Kernel:
    if path is None:
        return Kernel(plugins=make_manager())
    from ergaster.config import load_config

    config = load_config(path)
    settings = config.kernel
    return Kernel(config, plugins=make_manager(trust=settings.trust, pick=settings.pick, disable=settings.disable))


@define
class Project:
    """A configuration at work.

    Attributes:
        kernel: Where its names become objects.
        path: Its file; None when there is none.
        is_named: The file was typed, not found.
    """

    kernel: Kernel
    path: Path | None
    is_named: bool = field(default=False, kw_only=True)
    _agents: dict[tuple[str, str], Agent] = field(factory=dict, init=False)

    @property
    def agent_names(self) -> tuple[str, ...]:
        """The agents of the configuration; none without one."""
        return tuple(self.kernel.config.agents) if self.kernel.config is not None else ()

    def pick_agent(self, name: str = "") -> str:
        """Return the agent to use: *name*, the only one, or the one called `assistant`.

        Raises:
            UsageError: If *name* is unknown, or it is not clear which is meant.
        """
        names = self.agent_names
        if self.path is None:
            if name not in ("", _DEFAULT_AGENT):
                raise UsageError(
                    f"there is no {CONFIG_NAME} that could have an agent {name!r}; make one with: ergaster new agent {name}"
                )
            return _DEFAULT_AGENT
        if name in names:
            return name
        if name:
            raise UsageError(f"{self.path} has no agent {name!r}; it has: {', '.join(names) or 'none'}")
        if len(names) == 1:
            return names[0]
        if _DEFAULT_AGENT in names:
            return _DEFAULT_AGENT
        if not names:
            raise UsageError(f"{self.path} has no agents; write a table [agents.{_DEFAULT_AGENT}]")
        raise UsageError(f"{self.path} has several agents; say which: {', '.join(names)}")

    def agent(self, name: str, *, model: str = "") -> Agent:
        """Return an agent by the name that `pick_agent` gave, with another *model* when one is named."""
        if (name, model) not in self._agents:
            agent = self.kernel.agent(name) if self.path is not None else _default_agent(self.kernel)
            self._agents[name, model] = agent.replace(model=model) if model else agent
        return self._agents[name, model]

    def find_run(self, run_id: str) -> Record:
        """Return the record of a run.

        Raises:
            CommandFailed: If no storage of the configuration has the run.
        """
        for storage in self.storages().values():
            record = wait(storage.get(RUNS, "default", run_id))
            if record is not None:
                return record
        where = self.path or "the user's own storage"
        raise CommandFailed(f"there is no run {run_id!r} in the storages of {where}; name another configuration with --file")

    def storages(self, ref: str = "") -> dict[str, Storage]:
        """Return the storages of the agents by reference, or the one that *ref* names.

        Raises:
            CommandFailed: If no agent has one.
        """
        if ref:
            return {ref: self.kernel.storage(ref)}
        found: dict[str, Storage] = {}
        for name in self.agent_names or (_DEFAULT_AGENT,):
            if use := _use_of(self.agent(name).storage):
                found[use[0]] = self.kernel.storage(*use)
        if not found:
            raise CommandFailed(
                f'no agent of {self.path or "the defaults"} has a storage; write storage = "sqlite:///agents.db"'
            )
        return found

    def model_choice(self) -> str:
        """Return which model `auto` stands for and why; empty when nobody said `auto`, or before the first run."""
        return f"model: {self.kernel.auto_choice}" if self.kernel.auto_choice else ""

    def resume_command(self, name: str) -> str:
        """Return what to type to continue a run of the agent, up to the run's id; empty when it has no storage."""
        if self.agent(name).storage is None:
            return ""
        file = f" --file {shlex.quote(str(self.path))}" if self.is_named else ""
        return f"ergaster run{file} --resume"

    def close(self) -> None:
        """Close what was opened."""

        async def close() -> None:
            for agent in self._agents.values():
                await agent.aclose()
            await self.kernel.aclose()

        wait(close())


def owner_has_gone(record: Record) -> bool:
    """Say whether the process that owned a run was one of this machine and has ended.

    Its lease may outlive it by seconds; taking the run over then waits for nobody. Fencing makes even an error safe.
    """
    host, _, number = str(record.value.get("owner") or "").rpartition(":")
    if sys.platform == "win32" or host != socket.gethostname() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _use_of(given: object) -> tuple[str, dict[str, Any]] | None:
    """Return the reference and the options of a storage as an agent names it."""
    if given is None or isinstance(given, Storage):
        return None
    if isinstance(given, Mapping):
        return str(given["use"]), {key: value for key, value in given.items() if key != "use"}
    if isinstance(given, str):
        return given, {}
    return str(getattr(given, "use", "")), dict(getattr(given, "options", {}))


def _default_agent(kernel: Kernel) -> Agent:
    """Return the agent that serves where there is no configuration: what is installed decides what it can do."""
    installed = kernel.plugins.names
    return Agent(
        name=_DEFAULT_AGENT,
        instructions="You are a helpful assistant. Answer briefly.",
        tools=["calculator"] if "calculator" in installed("toolkit") else [],
        storage=f"sqlite:///{data_folder() / 'runs.db'}" if "sqlite" in installed("storage") else None,
        kernel=kernel,
    )
