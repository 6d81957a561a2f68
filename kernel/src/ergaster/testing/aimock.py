"""An independent mock of model vendors' protocols, the npm package `@copilotkit/aimock`, for tests.

Nobody here wrote it, so it catches what a server of ours and a client of ours would misunderstand alike. It is
installed once, with npm, into the user's cache.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ergaster.messages import JsonObject
from ergaster.testing.services import require_service

__all__ = ["aimock_server", "require_aimock"]

PACKAGE = "@copilotkit/aimock"
VERSION = "1.43.0"
_SECONDS = 120.0


def require_aimock() -> Path:
    """Return the program's script, installing it the first time; skip (or fail) where that cannot be done.

    See `require_service()` for when it skips and when it fails.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    require_service("aimock", node is not None and npm is not None, "install Node.js with npm")
    cache = Path(os.environ.get("ERGASTER_CACHE") or Path.home() / ".cache" / "ergaster") / "npm" / f"aimock-{VERSION}"
    script = cache / "node_modules" / PACKAGE / "dist" / "aimock-cli.js"
    if not script.is_file():
        problem = _install(str(npm), cache)
        require_service("aimock", script.is_file(), f"npm could not install {PACKAGE}@{VERSION}: {problem}")
    return script


def _install(npm: str, cache: Path) -> str:
    """Install the package beside *cache* and move it there, so that two tests at once do not disturb each other."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
        command = [npm, "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", f"{PACKAGE}@{VERSION}"]
        try:
            done = subprocess.run(  # noqa: S603 - our own command line, without a shell
                command, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return "it took too long"
        if done.returncode == 0 and not cache.exists():
            shutil.copytree(folder, f"{folder}-done")
            try:
                Path(f"{folder}-done").rename(cache)
            except OSError:  # another one was quicker
                shutil.rmtree(f"{folder}-done", ignore_errors=True)
        return done.stderr.strip()[-500:]


@contextmanager
def aimock_server(fixtures: Sequence[JsonObject]) -> Iterator[str]:
    """Run the server on a free port of the loopback interface for the length of a block, and give its address.

    Args:
        fixtures: What to answer to what, as the package's documentation describes them.
    """
    script = require_aimock()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "fixtures.json").write_text(json.dumps({"fixtures": list(fixtures)}))
        config = {"host": "127.0.0.1", "port": 0, "llm": {"fixtures": f"{folder}/fixtures.json", "logLevel": "silent"}}
        (Path(folder) / "config.json").write_text(json.dumps(config))
        process = subprocess.Popen(  # noqa: S603 - our own command line, without a shell
            [str(shutil.which("node")), str(script), "--config", f"{folder}/config.json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield _address(process)
        finally:
            process.terminate()
            process.wait(10.0)


def _address(process: subprocess.Popen[str]) -> str:
    """Return the address that the server prints, and keep its output from filling the pipe."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True, name="aimock").start()
    said = ""
    while (line := lines.get(timeout=_SECONDS)) is not None:
        said += line
        if "listening on http://" in line:
            return line.split("listening on ", 1)[1].strip()
    raise RuntimeError(f"aimock did not start: {said}")
