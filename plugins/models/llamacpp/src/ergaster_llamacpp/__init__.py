"""Embedded local models for Ergaster, in a llama.cpp server.

`llamacpp` names the default model of the catalogue, `llamacpp:NAME` another one, `llamacpp:/path/to/file.gguf` any file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ergaster_llamacpp.catalogue import CATALOGUE, DEFAULT_MODEL, CatalogueModel, PackageParts
    from ergaster_llamacpp.counting import request_count
    from ergaster_llamacpp.download import fetch
    from ergaster_llamacpp.errors import BinaryNotFound, DownloadFailed, ServerFailed
    from ergaster_llamacpp.model import LlamaCppModel, llamacpp
    from ergaster_llamacpp.progress import Progress
    from ergaster_llamacpp.server import RunningServer, running_servers
    from ergaster_llamacpp.settings import LlamaCppSettings, cache_folder

__all__ = [
    "CATALOGUE",
    "DEFAULT_MODEL",
    "BinaryNotFound",
    "CatalogueModel",
    "DownloadFailed",
    "LlamaCppModel",
    "LlamaCppSettings",
    "PackageParts",
    "Progress",
    "RunningServer",
    "ServerFailed",
    "cache_folder",
    "fetch",
    "llamacpp",
    "request_count",
    "running_servers",
]

_HOME = {
    "CATALOGUE": "catalogue",
    "DEFAULT_MODEL": "catalogue",
    "BinaryNotFound": "errors",
    "CatalogueModel": "catalogue",
    "DownloadFailed": "errors",
    "LlamaCppModel": "model",
    "LlamaCppSettings": "settings",
    "PackageParts": "catalogue",
    "Progress": "progress",
    "RunningServer": "server",
    "ServerFailed": "errors",
    "cache_folder": "settings",
    "fetch": "download",
    "llamacpp": "model",
    "request_count": "counting",
    "running_servers": "server",
}


def __getattr__(name: str) -> object:
    # The keeper runs from this package for as long as its server and needs none of it.
    from importlib import import_module

    if name in _HOME:
        return getattr(import_module(f"ergaster_llamacpp.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
