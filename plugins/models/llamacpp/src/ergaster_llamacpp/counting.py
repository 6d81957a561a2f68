"""How many requests a server worked on, from what the server itself wrote down."""

from __future__ import annotations

from pathlib import Path

from ergaster.errors import Unsupported
from ergaster_llamacpp.server import running_servers
from ergaster_llamacpp.settings import cache_folder

__all__ = ["request_count"]

_STARTED = b"processing task"
"""The line that llama.cpp writes when a slot takes up a completion."""


def request_count(url: str, *, cache_dir: str | Path | None = None) -> int:
    """Return how many completions the server at *url* has begun since it was started.

    It counts lines of the server's own log, so that it is a witness beside the journal: a call that was cut is counted,
    a request that the server refused is not.

    Args:
        url: The server's address, as in `LlamaCppModel.server_url`.
        cache_dir: The cache folder under which it was started; by default the user's.

    Raises:
        Unsupported: If no server that was started here has that address.
    """
    for server in running_servers(cache_folder(None if cache_dir is None else str(cache_dir))):
        if server.url == url.rstrip("/").removesuffix("/v1"):
            with server.log.open("rb") as log:
                return sum(_STARTED in line for line in log)
    raise Unsupported(f"no llama.cpp server that Ergaster started runs at {url}; of another's requests nothing is known")
