"""Running servers: found or started, one for each plan and user, shared by all processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen

from ergaster.secrets import Secret
from ergaster_llamacpp.errors import ServerFailed
from ergaster_llamacpp.locking import FileLock
from ergaster_llamacpp.plan import Plan
from ergaster_llamacpp.progress import Progress, Report, log_progress

__all__ = ["RunningServer", "find_or_start", "running_servers"]

_LOG = logging.getLogger(__name__)
_POLL = 0.1
_ANSWER_TIMEOUT = 5.0
_TRIES_FOR_A_PORT = 3
_LAST_LINES = 8
_WITHHELD = re.compile(r"^LLAMA_|KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
"""Names of variables that stay here: settings of llama.cpp would not be part of the plan, secrets are none of its business."""
_PORT_TAKEN = "couldn't bind"


@frozen
class RunningServer:
    """A llama.cpp server of this user.

    Attributes:
        url: Its address, without a path.
        api_key: Its key, made for this one server.
        model: What it was started for.
        pid: Its process.
        keeper: The process that stops it.
        folder: Where its log is.
    """

    url: str
    api_key: Secret
    model: str
    pid: int
    keeper: int
    folder: Path
    _users: FileLock | None = field(default=None, repr=False, eq=False)

    @property
    def log(self) -> Path:
        """What the server writes."""
        return self.folder / "log.txt"

    def is_alive(self) -> bool:
        """Say whether this very server still runs and takes connections."""
        return self._is_kept() and _accepts(self.url)

    def _is_kept(self) -> bool:
        known = _read(self.folder)
        return _is_kept(self.folder) and (known is None or known.pid == self.pid)

    def last_words(self) -> str:
        """Return the end of its log."""
        return _last_words(self.folder)

    def release(self) -> None:
        """Say that this object needs the server no longer; it stops when nobody does."""
        if self._users is not None:
            self._users.release()

    def stop(self) -> None:
        """Stop it now, whoever uses it, and wait until it is gone."""
        self.release()
        if self._is_kept():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.keeper, signal.SIGTERM)
        while self._is_kept():
            time.sleep(_POLL)


def running_servers(cache: Path) -> tuple[RunningServer, ...]:
    """Return the servers that this user has running, by their folders in *cache*."""
    folders = sorted((cache / "servers").glob("*/server.json"))
    found = (_read(path.parent) for path in folders if _is_kept(path.parent))
    return tuple(server for server in found if server is not None)


def find_or_start(
    plan: Plan,
    cache: Path,
    *,
    model: str,
    start_timeout: float,
    report: Report | None = None,
    check: Callable[[], None] = lambda: None,
) -> RunningServer:
    """Return the server of *plan*, starting it when none runs; it stays as long as the object is not released.

    Args:
        plan: What to start.
        cache: The user's cache folder.
        model: What to call it.
        start_timeout: Seconds until it has to answer.
        report: Called while it loads.
        check: Called now and then; it may raise to stop waiting. The server goes on loading.

    Raises:
        ServerFailed: If it ends or does not answer in time.
    """
    folder = cache / "servers" / plan.key
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    users, lock = FileLock(folder / "users"), FileLock(folder / "lock")
    users.acquire(shared=True, waiting=check)
    lock.acquire(waiting=check)
    try:
        found = _ready_server(plan, folder, model, start_timeout, log_progress(report), check)
    except BaseException:
        users.release()
        raise
    finally:
        lock.release()
    return RunningServer(found.url, found.api_key, found.model, found.pid, found.keeper, folder, users)


def _ready_server(
    plan: Plan, folder: Path, model: str, start_timeout: float, report: Report, check: Callable[[], None]
) -> RunningServer:
    """Return the server once it answers; another program may take the port that was free a moment ago."""
    for _ in range(_TRIES_FOR_A_PORT - 1):
        try:
            return _found_or_started(plan, folder, model, start_timeout, report, check)
        except ServerFailed:
            if _PORT_TAKEN not in _last_words(folder):
                raise
    return _found_or_started(plan, folder, model, start_timeout, report, check)


def _found_or_started(
    plan: Plan, folder: Path, model: str, start_timeout: float, report: Report, check: Callable[[], None]
) -> RunningServer:
    if _is_kept(folder):
        try:
            return _wait_until_ready(folder, model, start_timeout, report, check)
        except ServerFailed:
            _LOG.info("the llama.cpp server for %s had just ended; starting another", model)
    _start(plan, folder, model)
    return _wait_until_ready(folder, model, start_timeout, report, check)


def _start(plan: Plan, folder: Path, model: str) -> None:
    port, key = _free_port(), secrets.token_urlsafe(24)
    (folder / "server.json").unlink(missing_ok=True)
    description = {
        "arguments": [*plan.arguments, "--port", str(port), "--alias", model],
        # The key goes through the environment: a command line can be read by every user of the machine.
        "environment": {**dict(plan.environment), "LLAMA_API_KEY": key},
        "url": f"http://127.0.0.1:{port}",
        "api_key": key,
        "model": model,
        "keep_alive": plan.keep_alive,
    }
    with (folder / "keeper.txt").open("wb") as output:
        done = subprocess.run(  # noqa: S603 - this interpreter and a module of ours
            [sys.executable, "-P", "-m", "ergaster_llamacpp.keeper", str(folder)],
            input=json.dumps(description).encode(),
            env=_environment(),
            cwd=folder,  # the user's folder may go away before the server does
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise _failed(model, folder, f"its keeper ended with status {done.returncode}", "keeper.txt")


def _environment() -> dict[str, str]:
    """Return this process's environment without what a server must not know, or must not be changed by."""
    return {name: value for name, value in os.environ.items() if not _WITHHELD.search(name)}


def _wait_until_ready(folder: Path, model: str, timeout: float, report: Report, check: Callable[[], None]) -> RunningServer:
    begin = time.monotonic()
    while True:
        check()
        # Asked before reading, so that a server which appears in between is not taken for a dead one.
        is_kept = _is_kept(folder)
        server = _read(folder)
        if server is not None and is_kept and _answers(server):
            return server
        if not is_kept:
            raise _failed(model, folder, "it ended while it was starting")
        waited = time.monotonic() - begin
        if waited > timeout:
            if server is not None:
                server.stop()
            raise _failed(model, folder, f"it did not answer within start_timeout={timeout:g} seconds")
        report(Progress(f"loading {model}", int(waited), 0, "seconds"))
        time.sleep(_POLL)


def _answers(server: RunningServer) -> bool:
    """Say whether the server has its weights loaded and accepts its key."""
    request = urllib.request.Request(  # noqa: S310 - an address on this machine that we chose
        f"{server.url}/v1/models", headers={"Authorization": f"Bearer {server.api_key.reveal()}"}
    )
    try:
        # A proxy in the environment must not see a request to this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_ANSWER_TIMEOUT) as reply:
            return bool(reply.status == http.client.OK)
    except (OSError, http.client.HTTPException):
        return False


def _accepts(url: str) -> bool:
    host, _, port = url.rpartition("/")[2].partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_TIMEOUT).close()
    except OSError:
        return False
    return True


def _is_kept(folder: Path) -> bool:
    """Say whether a keeper runs for *folder*: it holds the lock as long as it lives."""
    probe = FileLock(folder / "alive")
    if probe.try_acquire():
        probe.release()
        return False
    return True


def _read(folder: Path) -> RunningServer | None:
    try:
        facts = json.loads((folder / "server.json").read_text())
        return RunningServer(facts["url"], Secret(facts["api_key"]), facts["model"], facts["pid"], facts["keeper"], folder)
    except (OSError, ValueError, KeyError):
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _failed(model: str, folder: Path, what: str, log: str = "log.txt") -> ServerFailed:
    return ServerFailed(
        f"the llama.cpp server for {model} is not usable: {what}. Its log ({folder / log}) ends with:\n"
        f"{_last_words(folder, log) or '(nothing)'}",
        provider="llamacpp",
        model=model,
    )


def _last_words(folder: Path, log: str = "log.txt") -> str:
    try:
        with (folder / log).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join([line for line in lines if line.strip()][-_LAST_LINES:])
