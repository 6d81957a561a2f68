"""The real command in real processes, with a model server that says what the test scripts."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from attrs import define, field

from ergaster.codec import read_event
from ergaster.events import Event
from ergaster.testing.loopback import LoopbackServer

COMMAND = (sys.executable, "-m", "ergaster_cli")
PATIENCE = 60.0
"""Seconds after which a test gives up on a process."""

CONFIG = """
[agents.assistant]
model = {{ use = "openai_compatible:loopback", base_url = "{url}", api_key = "test" }}
tools = ["calculator"]
storage = "sqlite:///agents.db"

[agents.scribe]
model = {{ use = "openai_compatible:loopback", base_url = "{url}", api_key = "test" }}
tools = [{{ use = "files", root = "./notes" }}]
storage = "sqlite:///agents.db"

[policy]
write = "ask"
"""


@define
class Shell:
    """A folder, an environment, and the command in it."""

    folder: Path
    env: dict[str, str]

    def run(self, *arguments: str, input: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        given = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
            **given,
        )

    def events(self, *arguments: str) -> tuple[list[Event], subprocess.CompletedProcess[str]]:
        """Run `ergaster run --json` and return its events."""
        done = self.run("run", "--json", *arguments)
        return [read_event(line) for line in done.stdout.splitlines()], done

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def terminal(self, *arguments: str, **env: str) -> Terminal:
        """Start the command at a terminal."""
        return Terminal.start(
            [*COMMAND, *arguments], self.folder, {**self.env, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **env}
        )


_TAKE_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes standard input the controlling terminal, so that Ctrl-C is a signal, and becomes the command."""


@define
class Terminal:
    """A process with a terminal of its own."""

    process: subprocess.Popen[bytes]
    master: int
    output: str = field(default="")
    position: int = 0

    @classmethod
    def start(cls, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Terminal:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *command],
            cwd=folder,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        return cls(process, master)

    def wait_for(self, text: str) -> str:
        """Read until *text* has appeared behind what was waited for before, and return everything up to it."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.output.find(text, self.position)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} did not appear in {self.output[self.position :]!r}")
        self.position = found + len(text)
        return self.output[: self.position]

    def type(self, text: str) -> None:
        """Type."""
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.output += data.decode("utf-8", errors="replace")
        return bool(data)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    """A folder without a configuration."""
    folder = tmp_path / "work"
    folder.mkdir()
    kept = ("PATH", "SYSTEMROOT", "LANG", "PYTHONPATH")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    home = tmp_path / "home"
    home.mkdir()
    return Shell(folder, {**env, "HOME": str(home), "ERGASTER_HOME": str(home / "data"), "PYTHONUTF8": "1"})


@pytest.fixture
def shell(bare: Shell, server: LoopbackServer) -> Shell:
    """A folder with two agents on the scripted server."""
    (bare.folder / "ergaster.toml").write_text(CONFIG.format(url=server.base_url))
    (bare.folder / "notes").mkdir()
    return bare


@pytest.fixture
def shell_terminal() -> Iterator[Callable[..., Terminal]]:
    """Start a shell's command at a terminal; what is left at the end is ended."""
    opened: list[Terminal] = []

    def open_terminal(shell: Shell, *arguments: str, **env: str) -> Terminal:
        opened.append(shell.terminal(*arguments, **env))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


@pytest.fixture
def terminal(shell: Shell, shell_terminal: Callable[..., Terminal]) -> Callable[..., Terminal]:
    """The same in the folder with two agents."""
    return partial(shell_terminal, shell)
