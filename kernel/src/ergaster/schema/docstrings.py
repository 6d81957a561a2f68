"""What a docstring says about a function or a class and its parameters: Google, NumPy and Sphinx style."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

from attrs import field, frozen

__all__ = ["Docstring", "parse_docstring"]

_PARAMETERS = frozenset(
    {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters", "attributes"}
)
_DROPPED = frozenset({"raises", "yields", "yield", "warns", "see also", "references", "todo", "todos"})
_KEPT = frozenset({"returns", "return", "example", "examples", "note", "notes", "warning", "warnings"})
_GOOGLE_ENTRY = re.compile(r"\*{0,2}(?P<name>[^\W\d]\w*)\s*(\([^()]*(\([^()]*\))?[^()]*\))?\s*:(\s+(?P<text>.*)|$)")
_NUMPY_ENTRY = re.compile(r"(?P<names>\*{0,2}[^\W\d]\w*(\s*,\s*\*{0,2}[^\W\d]\w*)*)\s*(:.*)?$")
_SPHINX_FIELD = re.compile(r":(?P<word>[a-z]+)(\s+(?P<argument>[^:]*))?:(\s+(?P<text>.*)|$)")
_SPHINX_PARAMETERS = frozenset({"param", "parameter", "arg", "argument", "key", "keyword", "ivar", "var", "cvar"})


@frozen
class Docstring:
    """A docstring, taken apart.

    Attributes:
        summary: The first paragraph, on one line.
        description: The summary and what follows it, without the sections on parameters and errors.
        params: Description of each parameter or attribute, on one line.
    """

    summary: str = ""
    description: str = ""
    params: Mapping[str, str] = field(factory=dict)


def parse_docstring(text: str | None) -> Docstring:
    """Take a docstring apart; what follows no style stays in the description."""
    lines = inspect.cleandoc(text or "").splitlines()
    params: dict[str, str] = {}
    body: list[str] = []
    while lines:
        if (size := _numpy_heading(lines)) or (size := _google_heading(lines)):
            title = lines[0].strip().rstrip(":").lower()
            section, lines = _section(lines, size)
            if title in _PARAMETERS:
                params.update(_numpy_params(section[size:]) if size == 2 else _google_params(section[1:]))
            elif title not in _DROPPED:
                body += section
        elif match := _SPHINX_FIELD.match(lines[0]):
            entry, lines = _block(lines)
            _take_sphinx(match, entry, params, body)
        else:
            body.append(lines.pop(0))
    description = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in body)).strip()
    summary = " ".join(description.partition("\n\n")[0].split())
    return Docstring(summary, description, params)


def _numpy_heading(lines: list[str]) -> int:
    """Return 2 when a section with an underlined title begins here, else 0."""
    is_heading = len(lines) > 1 and re.fullmatch(r"-{3,}", lines[1].strip()) and _is_title(lines[0])
    return 2 if is_heading else 0


def _google_heading(lines: list[str]) -> int:
    """Return 1 when a section with a colon begins here and indented text follows, else 0."""
    title = lines[0]
    if not title.endswith(":") or title[:1].isspace() or not _is_title(title[:-1]):
        return 0
    following = next((line for line in lines[1:] if line.strip()), "")
    return 1 if following[:1].isspace() else 0


def _is_title(text: str) -> bool:
    return text.strip().lower() in _PARAMETERS | _DROPPED | _KEPT


def _section(lines: list[str], size: int) -> tuple[list[str], list[str]]:
    """Split off a section: to the next heading; in Google style also to the first line that is not indented."""
    end = size
    while end < len(lines):
        rest = lines[end:]
        if _numpy_heading(rest) or _google_heading(rest) or _SPHINX_FIELD.match(rest[0]):
            break
        if size == 1 and rest[0].strip() and not rest[0][:1].isspace():
            break
        end += 1
    return lines[:end], lines[end:]


def _block(lines: list[str]) -> tuple[list[str], list[str]]:
    """Split off a line and the indented ones below it."""
    end = 1
    while end < len(lines) and lines[end][:1].isspace() and lines[end].strip():
        end += 1
    return lines[:end], lines[end:]


def _google_params(lines: list[str]) -> dict[str, str]:
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    base = min(indents, default=0)
    params: dict[str, str] = {}
    name = ""
    for line in lines:
        match = _GOOGLE_ENTRY.fullmatch(line.strip()) if len(line) - len(line.lstrip()) == base else None
        if match:
            name = match["name"]
            params[name] = (match["text"] or "").strip()
        elif name and line.strip():
            params[name] = f"{params[name]} {line.strip()}".strip()
    return params


def _numpy_params(lines: list[str]) -> dict[str, str]:
    params: dict[str, str] = {}
    names: list[str] = []
    for line in lines:
        match = None if line[:1].isspace() else _NUMPY_ENTRY.fullmatch(line.strip())
        if match:
            names = [name.strip().lstrip("*") for name in match["names"].split(",")]
            params.update(dict.fromkeys(names, ""))
        elif line.strip():
            params.update({name: f"{params[name]} {line.strip()}".strip() for name in names})
    return params


def _take_sphinx(match: re.Match[str], entry: list[str], params: dict[str, str], body: list[str]) -> None:
    text = " ".join([(match["text"] or "").strip(), *(line.strip() for line in entry[1:])]).strip()
    if match["word"] in _SPHINX_PARAMETERS and match["argument"]:
        params[match["argument"].split()[-1].lstrip("*")] = text
    elif match["word"] in {"return", "returns"} and text:
        body += ["", f"Returns: {text}"]
    elif match["word"] not in {"type", "rtype", "vartype", "raise", "raises", "except", "exception", "yield", "yields", "meta"}:
        body += entry
