"""What a path may look like, judged by its letters alone and alike on every system."""

from __future__ import annotations

import unicodedata
from string import ascii_letters, digits

from ergaster.errors import UnsafePath

__all__ = ["check_name", "parse_path", "show_path"]

_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 4096
_MAX_DEPTH = 64
_SHOWN = 120

_PLAIN = frozenset(f"{ascii_letters}{digits}_-. ")
_SEPARATOR_LOOKALIKES = frozenset("\u2044\u2215\u2216\u29f5\u29f8\u29f9\ufe68\uff0f\uff3c\u2571\u2572")
_RESERVED_CHARACTERS = frozenset('<>"|?*:\\')
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "clock$", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in f"{digits}¹²³"]
)
# Joiners that Persian names and emoji are written with; every other invisible character is refused.
_JOINERS = frozenset("\u200c\u200d")


def show_path(path: object) -> str:
    """Return *path* for a message: quoted, with invisible characters escaped, cut after 120 characters."""
    text = str(path)
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}… ({len(text)} characters)"


def check_name(name: str) -> str:
    """Return *name* if it can be one file name on every system, below any folder.

    For file names, and for ids that become file names. Refused are: the empty name, dots alone, separators and
    characters that look like one, `:` and the other characters that Windows reserves, control and invisible
    characters, lone surrogates, a leading `-` or space, a trailing dot or space, names of Windows devices, and more than
    255 bytes of UTF-8.

    Raises:
        UnsafePath: If it cannot.
    """
    problem = _find_problem(name)
    if problem:
        raise UnsafePath(f"{show_path(name)} {problem}")
    return name


def parse_path(path: str) -> tuple[str, ...]:
    """Return the names that *path* is made of; `.` and the empty path are the root itself and give `()`.

    Raises:
        UnsafePath: If the path is absolute, climbs with `..`, begins with `~`, is longer than 4,096 bytes or 64 names,
            or if `check_name` refuses one of its names.
    """
    if not isinstance(path, str):
        raise UnsafePath(f"a path is a string, not {type(path).__name__}; write it as 'folder/file.txt'")
    if len(path) > _MAX_PATH_BYTES or len(path.encode("utf-8", "surrogatepass")) > _MAX_PATH_BYTES:
        raise UnsafePath(f"the path {show_path(path)} is longer than {_MAX_PATH_BYTES} bytes; use a shorter one")
    if path.startswith("/"):
        raise UnsafePath(f"the path {show_path(path)} is absolute; write it relative to the root, as 'folder/file.txt'")
    if path.startswith("~"):
        raise UnsafePath(f"the path {show_path(path)} begins with '~', which is not expanded; write it relative to the root")
    names = tuple(name for name in path.split("/") if name not in {"", "."})
    if len(names) > _MAX_DEPTH:
        raise UnsafePath(f"the path {show_path(path)} is deeper than {_MAX_DEPTH} folders; use a flatter one")
    for name in names:
        problem = _find_problem(name)
        if problem:
            raise UnsafePath(f"the path {show_path(path)} cannot be used: {show_path(name)} {problem}")
    return names


def _find_problem(name: str) -> str:
    """Return what is wrong with a name and what to do about it, or the empty string."""
    if set(name) <= {"."}:
        return "is empty or made of dots; stay below the root and name folders and files by their names"
    problem = "" if _PLAIN.issuperset(name) else _find_odd_character(name)
    if problem:
        return problem
    if name[-1] in ". " or name[0] == " ":
        return "begins with a space, or ends with a dot or a space; leave that out"
    if name[0] == "-":
        return "begins with '-', which programs take for an option; use another name"
    if name.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        return "is the name of a device on Windows; use another name"
    if len(name.encode()) > _MAX_NAME_BYTES:
        return f"is longer than {_MAX_NAME_BYTES} bytes; use a shorter name"
    return ""


def _find_odd_character(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name)
    if "/" in plain or set(plain) <= {"."}:
        return "holds a character that looks like a separator or a dot; use '/' between names and plain letters inside"
    return next(filter(None, map(_judge, name)), "")


def _judge(character: str) -> str:
    if character in _SEPARATOR_LOOKALIKES:
        return "holds a character that looks like a separator; use '/' between names and plain letters inside"
    if character in _RESERVED_CHARACTERS:
        return f"holds {character!r}, which some systems reserve; use '/' between names, and letters, digits, '_', '-', '.'"
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in _JOINERS:
        return "holds a control, invisible or broken character; leave it out"
    return ""
