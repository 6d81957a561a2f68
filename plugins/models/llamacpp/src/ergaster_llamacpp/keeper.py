"""The process that owns a server: `python -m ergaster_llamacpp.keeper FOLDER`, with the plan on standard input.

It outlives the process that asked for the server, so that the next one finds it, and it stops the server when nobody
has used it for a while. Users hold a shared lock on the file `users` and the keeper an exclusive one on `alive`; the
operating system frees a lock when its holder ends, however it ends. The module imports the standard library only, to
stay small beside the server.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

__all__ = ["main"]

_TICK = 0.25
_SECONDS_TO_STOP = 5.0
_PR_SET_PDEATHSIG = 1


def main(folder: Path) -> int:
    """Run the server that standard input describes until it is not needed, and return its exit status.

    The process that was started returns at once; the work goes on in a child of its own session, which holds the lock
    on `alive`. `server.json` says where the server is while it runs.
    """
    plan = json.load(sys.stdin)
    alive = (folder / "alive").open("ab")
    fcntl.flock(alive, fcntl.LOCK_EX)
    if os.fork():
        return 0
    os.setsid()
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = _start(plan, folder)
    facts = {"url": plan["url"], "api_key": plan["api_key"], "pid": server.pid, "keeper": os.getpid(), "model": plan["model"]}
    try:
        _write_private(folder / "server.json", json.dumps(facts))
        _watch(folder, server, float(plan["keep_alive"]), lambda: stopping)
    finally:
        _end(server)
        (folder / "server.json").unlink(missing_ok=True)
    return server.returncode


def _start(plan: dict[str, object], folder: Path) -> subprocess.Popen[bytes]:
    arguments, environment = plan["arguments"], plan["environment"]
    assert isinstance(arguments, list)  # noqa: S101 - tells the type checker what the JSON holds
    assert isinstance(environment, dict)  # noqa: S101 - likewise
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the command is ours, without a shell
            arguments,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
        )


def _die_with_parent() -> None:
    """Have the system end this process when its parent is killed; Linux only, nothing elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(folder: Path, server: subprocess.Popen[bytes], keep_alive: float, is_stopping: Callable[[], bool]) -> None:
    """Return when the server has ended, was asked to stop, or was not used for *keep_alive* seconds."""
    idle_since: float | None = None
    while not _has_ended(server) and not is_stopping():
        now = time.monotonic()
        if not _is_free(folder / "users"):
            idle_since = None
        elif idle_since is None:
            idle_since = now
        if idle_since is not None and now - idle_since >= keep_alive:
            with _locked(folder / "lock") as is_locked:
                # With this lock in hand nobody can be on the way to the server.
                if is_locked and _is_free(folder / "users"):
                    (folder / "server.json").unlink(missing_ok=True)
                    _end(server)
                    return


def _has_ended(server: subprocess.Popen[bytes]) -> bool:
    """Wait a moment for the end of the server."""
    try:
        server.wait(_TICK)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Try to hold an exclusive lock for the length of a block."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _is_free(path: Path) -> bool:
    with _locked(path) as is_locked:
        return is_locked


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
