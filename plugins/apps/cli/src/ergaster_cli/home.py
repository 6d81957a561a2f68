"""Where the command keeps what belongs to the user and to no project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["data_folder"]


def data_folder() -> Path:
    """Return the folder for the user's own data, made on first use and readable by that user alone.

    `ERGASTER_HOME` names another one; else it is where the system keeps such data.
    """
    folder = _chosen_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _chosen_folder() -> Path:
    if chosen := os.environ.get("ERGASTER_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "ergaster"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "ergaster"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "ergaster"
