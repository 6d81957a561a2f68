"""`${env:VAR}` and `${env:VAR:-default}` in the strings of a configuration; nothing else is ever filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ergaster.schema.misfits import at
from ergaster.secrets import Secret
from ergaster.suggestions import shorten

__all__ = ["interpolate"]

MAX_DEPTH: Final = 64
"""How deep tables and lists of a configuration may nest."""

_PLACEHOLDER = re.compile(r"\$?\$\{(?P<scheme>[A-Za-z_][A-Za-z0-9_-]*):(?P<body>[^}]*)(?P<end>\}?)")
_SHELL = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?\Z", re.DOTALL)
_SECRET_ENDINGS = ("key", "token", "password", "secret")
_FREE_TEXT = frozenset({"instructions", "description", "workflows"})


def interpolate(data: Mapping[str, Any], environment: Mapping[str, str], problems: list[tuple[str, str]]) -> dict[str, Any]:
    """Return *data* with environment variables filled in.

    A value that comes from the environment into a key that ends in `key`, `token`, `password` or `secret` becomes a
    `Secret`. `$${env:X}` stands for the text `${env:X}`. A variable that is set to nothing counts as set, unless a
    default is given. Values are not looked at again, and stand in no problem; a problem is a path and a sentence.
    """
    filled: dict[str, Any] = _Filler(environment, problems).fill(data, "", ())
    return filled


class _Filler:
    def __init__(self, environment: Mapping[str, str], problems: list[tuple[str, str]]) -> None:
        self._environment = environment
        self._problems = problems

    def fill(self, value: Any, path: str, keys: tuple[str, ...]) -> Any:
        if len(keys) > MAX_DEPTH:
            self._problems.append((shorten(path), f"is nested deeper than {MAX_DEPTH} levels"))
            return None
        if isinstance(value, Mapping):
            return {key: self.fill(item, at(path, str(key)), (*keys, str(key))) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.fill(item, at(path, index), (*keys, "")) for index, item in enumerate(value)]
        return self._text(value, path, keys) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, path: str, keys: tuple[str, ...]) -> str | Secret:
        is_filled = False

        def replacement(match: re.Match[str]) -> str:
            nonlocal is_filled
            if match[0].startswith("$$"):
                return match[0][1:]
            is_filled = True
            return self._value(match, path)

        filled = _PLACEHOLDER.sub(replacement, text)
        shell = _SHELL.search(text)
        if shell and not _FREE_TEXT.intersection(keys):
            self._problems.append((path, f"unknown {shell[0]}; an environment variable is written ${{env:{shell[1]}}}"))
        if is_filled and keys and keys[-1].lower().endswith(_SECRET_ENDINGS):
            return Secret(filled)
        return filled

    def _value(self, match: re.Match[str], path: str) -> str:
        if match["scheme"] != "env":
            text = f"unknown ${{{shorten(match['scheme'])}:…}}; only ${{env:VARIABLE}} is filled in ($${{…}} is left as it is)"
            return self._refuse(path, text)
        if not match["end"]:
            return self._refuse(path, "${env: has no closing brace")
        variable = _VARIABLE.match(match["body"])
        if variable is None:
            return self._refuse(path, "${env:…} needs the name of a variable: ${env:NAME} or ${env:NAME:-default}")
        name, default = variable["name"], variable["default"]
        value = self._environment.get(name)
        if default is not None:
            return value or default
        if value is None:
            return self._refuse(path, f"environment variable {name} is not set; set it, or write ${{env:{name}:-default}}")
        return value

    def _refuse(self, path: str, text: str) -> str:
        self._problems.append((path, text))
        return ""
