"""The processes of the demo: each one is the `ergaster` command, started as a person would start it."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import define, field

from ergaster.codec import read_event
from ergaster.events import Event

__all__ = ["Child"]


@define
class Child:
    """An `ergaster run --json …` at work.

    Attributes:
        process: The process; it is in a session of its own, so that Ctrl-C reaches the demo alone.
        run_id: The run, once the first event is here.
    """

    process: subprocess.Popen[str]
    run_id: str = ""
    _events: queue.SimpleQueue[Event | None] = field(factory=queue.SimpleQueue, init=False)
    _errors: list[str] = field(factory=list, init=False)
    _readers: list[threading.Thread] = field(factory=list, init=False)

    @classmethod
    def start(cls, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Child:
        """Start `ergaster run --json` in *folder*."""
        command = [sys.executable, "-m", "ergaster_cli", "run", "--json", *arguments]
        process = subprocess.Popen(  # noqa: S603 - our own command, without a shell
            command,
            cwd=folder,
            env={**os.environ, "PYTHONUTF8": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        child = cls(process)
        for target in (child._read_events, child._read_errors):
            reader = threading.Thread(target=target, daemon=True)
            reader.start()
            child._readers.append(reader)
        return child

    @property
    def errors(self) -> str:
        """What it wrote to standard error so far."""
        return "".join(self._errors)

    @property
    def is_alive(self) -> bool:
        """It has not ended."""
        return self.process.poll() is None

    def events(self) -> Iterator[Event]:
        """Yield its events until its standard output ends."""
        while (event := self._events.get()) is not None:
            self.run_id = self.run_id or event.run_id
            yield event

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        code = self.process.wait()
        for reader in self._readers:
            reader.join()
        return code

    def kill(self) -> None:
        """End it at once, from outside: it can neither notice nor clean up."""
        self.process.kill()
        self.process.wait()

    def _read_events(self) -> None:
        for line in self.process.stdout or ():
            if line.startswith("{") and line.endswith("}\n"):
                self._events.put(read_event(line))
        self._events.put(None)

    def _read_errors(self) -> None:
        self._errors.extend(self.process.stderr or ())
