"""What went wrong with a file, said so that a model knows what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from glob import escape

from ergaster.errors import ToolError, UnsafePath, Unsupported
from ergaster_support_paths import Root, parse_path, show_path

__all__ = ["explained"]

_ADVICE = {
    errno.EISDIR: "is a folder; use list_files to look into it",
    errno.ENOTDIR: "leads through a file as if it were a folder; use list_files to see what is there",
    errno.ENOTEMPTY: "is a folder that is not empty; delete its files first",
    errno.EFBIG: "is too large for these tools",
    errno.EACCES: "may not be used: the system denies permission",
    errno.EPERM: "may not be used: the system denies permission",
    errno.EROFS: "cannot be changed: the folder is read-only",
    errno.ENOSPC: "cannot be written: the disk is full; nothing was changed",
    errno.EDQUOT: "cannot be written: the disk quota is used up; nothing was changed",
    errno.ENAMETOOLONG: "has a name that is too long; use a shorter one",
}


@contextmanager
def explained(root: Root, path: str) -> Iterator[None]:
    """Turn refusals and errors of the system into a `ToolError` that names the path and the next step."""
    try:
        yield
    except FileNotFoundError as error:
        raise ToolError(f"there is no {show_path(path)}; {_nearest(root, path)}") from error
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, f"cannot be used: {error.strerror}")
        detail = f" ({error.strerror})" if error.errno == errno.EFBIG else ""
        raise ToolError(f"{show_path(path)} {advice}{detail}") from error
    except (UnsafePath, Unsupported) as error:
        raise ToolError(str(error)) from error


def _nearest(root: Root, path: str) -> str:
    """Name files that may be meant: of the same name elsewhere, or of a similar name in that folder."""
    *folders, name = parse_path(path) or (".",)
    same = _find(root, f"**/{escape(name)}", ".")
    beside = _find(root, "*", "/".join(folders) or ".")
    near = [*same, *get_close_matches("/".join([*folders, name]), beside, n=3)][:3]
    if near:
        return f"nearest: {', '.join(map(repr, near))}"
    return "use list_files to see what is there"


def _find(root: Root, pattern: str, below: str) -> list[str]:
    try:
        return [entry.path for entry in root.find(pattern, below=below, limit=500, scan_limit=20_000).entries]
    except (OSError, UnsafePath, Unsupported):
        return []
