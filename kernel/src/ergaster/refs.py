"""The one grammar for names: `plugin`, `plugin:rest`, or a URL whose scheme is the plugin."""

from __future__ import annotations

import re
from contextvars import ContextVar
from pathlib import Path

from attrs import field, frozen

from ergaster.errors import InvalidRef

__all__ = ["Ref", "base_dir", "parse_ref", "resolve_path"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*\Z")


def _hide_password(text: str) -> str:
    """Return *text* with the password of a URL replaced by `***`; one with an unescaped `/` or `@` is hidden as well."""
    head, separator, tail = text.partition("://")
    user, at, host = tail.rpartition("@")
    if not separator or not at or ":" not in user or tail.startswith("/"):
        return text
    return f"{head}://{user.partition(':')[0]}:***@{host}"


@frozen
class Ref:
    """A parsed name.

    Attributes:
        plugin: The plugin's name: what stands before the first colon.
        rest: What stands behind it (for a URL the whole URL); empty when there is no colon.
        is_url: Whether the reference is a URL.
    """

    plugin: str
    rest: str = field(default="", repr=_hide_password)
    is_url: bool = False

    def __str__(self) -> str:
        if self.is_url:
            return _hide_password(self.rest)
        return f"{self.plugin}:{self.rest}" if self.rest else self.plugin


def parse_ref(text: str) -> Ref:
    """Read a reference such as `openai:gpt-5-mini`, `calculator` or `sqlite:///agents.db`.

    Raises:
        InvalidRef: If *text* is empty or its plugin part is no name (a letter, then letters, digits, `_`, `-`, `.`, `+`).
    """
    plugin, colon, rest = text.partition(":")
    if not _NAME.match(plugin):
        raise InvalidRef(
            f"{_hide_password(text)!r} is no plugin reference; write 'plugin', 'plugin:name' or a URL such as 'plugin://host/name'"
        )
    if rest.startswith("//"):
        return Ref(plugin, text, True)
    if colon and not rest:
        raise InvalidRef(f"{text!r} ends with a colon; write {plugin!r}, or {plugin + ':name'!r} with a name behind it")
    return Ref(plugin, rest)


base_dir: ContextVar[Path | None] = ContextVar("ergaster_base_dir", default=None)
"""The folder that relative paths of a configuration start from; None is the working directory."""


def resolve_path(path: str | Path) -> Path:
    """Return a path that a configuration names, relative to the folder of its file; `~` is the home folder.

    Factories call it, since they run while the configuration is put together.
    """
    path = Path(path).expanduser()
    base = base_dir.get()
    return path if base is None else base / path
