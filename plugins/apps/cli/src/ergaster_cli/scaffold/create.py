"""Render the templates into a new folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

from attrs import frozen

from ergaster.errors import ConfigError, Unsupported

__all__ = ["PLUGIN_KINDS", "PluginNames", "create_agent", "create_plugin"]

PLUGIN_KINDS: Mapping[str, str] = {
    "toolkit": "tools that a model can call",
    "model": "chat models of a provider that speaks the Chat Completions protocol",
    "storage": "where sessions and runs are kept",
    "feature": "an ability of an agent that is not a tool",
}
"""The kinds that have templates, each with a word of explanation."""

_CLASS_SUFFIX = {"toolkit": "Toolkit", "model": "", "storage": "Storage", "feature": "Feature"}
_LIBRARIES = {"model": ("ergaster-support-openai-wire",), "storage": ("ergaster-support-storage",)}
_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*\Z")


@frozen
class PluginNames:
    """Every form of a plugin's name, each derived from what the user typed.

    Attributes:
        name: What users type: `open-weather`.
        identifier: The same as a Python name: `open_weather`.
        title: The same for readers: `Open Weather`.
    """

    name: str
    identifier: str
    title: str

    @classmethod
    def parse(cls, name: str) -> PluginNames:
        """Derive the forms.

        Raises:
            ConfigError: If *name* is not lower case, or has other characters than letters, digits, `-` and `_`.
        """
        name = name.removeprefix("ergaster-").removeprefix("ergaster_")
        if not _NAME.match(name):
            raise ConfigError(
                f"{name!r} cannot be a plugin's name; use lower-case letters, digits and '-', such as 'open-weather'"
            )
        identifier = name.replace("-", "_")
        return cls(name, identifier, identifier.replace("_", " ").title())

    @property
    def distribution(self) -> str:
        """What pip installs."""
        return f"ergaster-{self.identifier.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What Python imports."""
        return f"ergaster_{self.identifier}"

    def class_name(self, kind: str) -> str:
        """Return the name of the class that implements *kind*."""
        return self.title.replace(" ", "") + _CLASS_SUFFIX[kind]


def create_plugin(kind: str, name: str, folder: str | Path | None = None) -> list[Path]:
    """Write a new plugin whose tests pass, and return its files.

    Args:
        kind: One of `PLUGIN_KINDS`.
        name: The name that users will type, such as `weather`; an `ergaster-` in front is dropped.
        folder: Where it goes; `ergaster-<name>` in the working directory when None. It must not exist, or be empty.

    Raises:
        Unsupported: If there is no template for *kind*.
        ConfigError: If *name* is none, or *folder* has files.
    """
    if kind not in PLUGIN_KINDS:
        raise Unsupported(f"there is no template for a plugin of the kind {kind!r}; choose one of {', '.join(PLUGIN_KINDS)}")
    names = PluginNames.parse(name)
    target = _new_folder(Path(names.distribution if folder is None else folder))
    source = f"src/{names.package}"
    values = {
        "name": names.name,
        "identifier": names.identifier,
        "title": names.title,
        "distribution": names.distribution,
        "package": names.package,
        "kind": kind,
        "class_name": names.class_name(kind),
        "value": names.identifier if kind == "model" else names.class_name(kind),
        "env": f"{names.identifier.upper()}_API_KEY",
        "dependencies": "".join(f', "{library}>=0.1,<0.2"' for library in _LIBRARIES.get(kind, ())),
    }
    return [
        _write(target / "pyproject.toml", "plugin/pyproject.toml", values),
        _write(target / "README.md", f"{kind}/README.md", values),
        _write(target / ".gitignore", "plugin/gitignore", values),
        _write(target / source / "__init__.py", f"{kind}/module.py", values),
        _write(target / source / "py.typed", "plugin/py.typed", values),
        _write(target / "tests/test_contract.py", f"{kind}/test_contract.py", values),
    ]


def create_agent(name: str, folder: str | Path | None = None) -> list[Path]:
    """Write an `ergaster.toml` with one agent, and a README, and return the files.

    Args:
        name: The agent's name.
        folder: Where they go; *name* in the working directory when None. It must not exist, or be empty.

    Raises:
        ConfigError: If *name* is none, or *folder* has files.
    """
    names = PluginNames.parse(name)
    target = _new_folder(Path(names.name if folder is None else folder))
    values = {"name": names.name, "title": names.title}
    return [
        _write(target / "ergaster.toml", "agent/ergaster.toml", values),
        _write(target / "README.md", "agent/README.md", values),
        _write(target / ".gitignore", "agent/gitignore", values),
    ]


def _new_folder(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"{str(folder)!r} exists and is not empty; nothing was written. Choose another folder, or empty this one"
        )
    return folder


def _write(path: Path, template: str, values: Mapping[str, str]) -> Path:
    """Fill *template* and write it; the suffix keeps tools from taking a template for code."""
    text = files("ergaster_cli.scaffold").joinpath(f"templates/{template}.template").read_text(encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(text).substitute(values), encoding="utf-8", newline="\n")
    return path
