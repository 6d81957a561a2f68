"""First-party plugins: a new folder of this repository, entered in the workspace and among the kernel's extras."""

from __future__ import annotations

import re
from pathlib import Path

from ergaster.errors import ConfigError
from ergaster_cli.scaffold.create import PluginNames, create_plugin

__all__ = ["KIND_FOLDERS", "create_member"]

KIND_FOLDERS = {"toolkits": "toolkit", "models": "model", "storages": "storage", "features": "feature"}
"""The folders of `plugins/` that have templates, and the kind that lies in each."""


def create_member(root: Path, folder: str, name: str) -> list[Path]:
    """Write `plugins/<folder>/<name>` and enter it where the workspace lists its members; return all changed files.

    Args:
        root: The root of the repository.
        folder: The folder of the kind, such as `models`.
        name: The plugin's name.

    Raises:
        ConfigError: If there are no templates for *folder*, *name* is none, or the plugin exists.
    """
    if folder not in KIND_FOLDERS:
        raise ConfigError(f"there are no templates for plugins/{folder}; choose one of {', '.join(KIND_FOLDERS)}")
    names = PluginNames.parse(name)
    written = create_plugin(KIND_FOLDERS[folder], name, root / "plugins" / folder / names.identifier)
    pyproject, gitignore = written[0], written.pop(2)
    gitignore.unlink()  # the repository has one
    _make_member(pyproject)
    return [
        *written,
        _list_member(root / "pyproject.toml", names.distribution),
        _list_extra(root / "kernel" / "pyproject.toml", names),
    ]


def _make_member(pyproject: Path) -> None:
    """Let a plugin take what it needs from the workspace, and its test tools from the root."""
    text = re.sub(r"\n\[dependency-groups\]\n.*\n", "", pyproject.read_text(encoding="utf-8"))
    needed = re.findall(r'"(ergaster[\w-]*)>=', text)
    sources = "".join(f"{name} = {{ workspace = true }}\n" for name in needed)
    pyproject.write_text(f"{text}\n[tool.uv.sources]\n{sources}", encoding="utf-8")


def _list_member(path: Path, distribution: str) -> Path:
    text = path.read_text(encoding="utf-8")
    text = _insert_sorted(text, r'(?<=^members = \[\n)(?:    ".*",\n)+(?=\])', f'    "{distribution}",\n')
    text = _insert_sorted(
        text, r"(?<=^\[tool\.uv\.sources\]\n)(?:.*workspace.*\n)+", f"{distribution} = {{ workspace = true }}\n"
    )
    path.write_text(text, encoding="utf-8")
    return path


def _list_extra(path: Path, names: PluginNames) -> Path:
    text = path.read_text(encoding="utf-8")
    extra = names.distribution.removeprefix("ergaster-")
    text = _insert_sorted(text, r'(?:^[\w-]+ = \["ergaster-.*\n)+', f'{extra} = ["{names.distribution}"]\n')
    text = re.sub(r'(?m)^all = \["ergaster\[standard(.*)\]"\]', lambda found: _extend_all(found[1], extra), text)
    path.write_text(text, encoding="utf-8")
    return path


def _extend_all(listed: str, extra: str) -> str:
    extras = sorted({extra, *filter(None, listed.split(","))})
    return f'all = ["ergaster[standard,{",".join(extras)}]"]'


def _insert_sorted(text: str, block: str, line: str) -> str:
    """Put *line* at its place among the sorted lines that the pattern *block* finds."""
    found = re.search(block, text, re.MULTILINE)
    if found is None:
        raise ConfigError(f"the workspace's lists have moved; enter {line.strip()!r} by hand")
    lines = sorted({*found.group().splitlines(keepends=True), line})
    return text[: found.start()] + "".join(lines) + text[found.end() :]
