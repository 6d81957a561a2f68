"""The source as data: every file is read and parsed once, for all rules."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

ROOT = Path(__file__).parents[2]


@frozen
class Module:
    """A Python file: its dotted name, its text and its syntax tree."""

    name: str
    path: Path
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)

    @property
    def where(self) -> str:
        """The path from the root of the repository, for messages."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return self.text.splitlines()

    def imports(self, *, at_import_time: bool = False) -> Iterator[tuple[str, int]]:
        """Yield the imported names (`ergaster.errors`, `attrs.frozen`) and their lines; functions' own only on demand."""
        for node in _import_time(self.tree) if at_import_time else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _import_time(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when the module is imported: not functions, not what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _import_time(child)


@frozen
class Plugin:
    """A plugin's folder."""

    folder: Path
    pyproject: dict[str, Any] = field(repr=False)
    modules: tuple[Module, ...] = field(repr=False)

    @property
    def where(self) -> str:
        """The path from the root of the repository, for messages."""
        return self.folder.relative_to(ROOT).as_posix()

    @property
    def kind(self) -> str:
        """The folder of its kind, such as `models`; `contrib` for what stands for plugins by others."""
        return self.folder.parent.name

    @property
    def name(self) -> str:
        """The vendor, engine or toolkit: the folder's name."""
        return self.folder.name

    @property
    def package(self) -> str:
        """The name that is imported."""
        return self.pyproject["project"]["name"].replace("-", "_")

    @property
    def entry_points(self) -> dict[str, dict[str, str]]:
        """Names and values by group."""
        return self.pyproject["project"].get("entry-points", {})


def _read(path: Path, source: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(source).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    return Module(name, path, text, ast.parse(text, str(path)))


def _read_all(source: Path) -> tuple[Module, ...]:
    return tuple(_read(path, source) for path in sorted(source.rglob("*.py")))


def _read_plugin(folder: Path) -> Plugin:
    pyproject = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    return Plugin(folder, pyproject, _read_all(folder / "src"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def kernel() -> tuple[Module, ...]:
    """The kernel's modules, those of `ergaster.testing` included."""
    return _read_all(ROOT / "kernel" / "src")


@pytest.fixture(scope="session")
def runtime(kernel: tuple[Module, ...]) -> tuple[Module, ...]:
    """The kernel's modules without `ergaster.testing`."""
    return tuple(module for module in kernel if not module.name.startswith("ergaster.testing"))


@pytest.fixture(scope="session")
def plugins() -> tuple[Plugin, ...]:
    """Every plugin of this repository, those of `contrib/` included."""
    found = [*ROOT.glob("plugins/*/*/pyproject.toml"), *ROOT.glob("contrib/*/pyproject.toml")]
    return tuple(_read_plugin(path.parent) for path in sorted(found))


@pytest.fixture(scope="session")
def sources(kernel: tuple[Module, ...], plugins: tuple[Plugin, ...]) -> tuple[Module, ...]:
    """All code that is published."""
    return (*kernel, *(module for plugin in plugins for module in plugin.modules))


@pytest.fixture(scope="session")
def test_modules() -> tuple[Module, ...]:
    """All tests."""
    folders = [ROOT / "tests", ROOT / "kernel" / "tests", *ROOT.glob("plugins/*/*/tests"), *ROOT.glob("contrib/*/tests")]
    return tuple(_read(path, ROOT) for folder in folders for path in sorted(folder.rglob("*.py")))


@pytest.fixture(scope="session")
def tracked_files() -> tuple[Path, ...]:
    """The files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout, so its own files cannot be told from others")
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return tuple(path for path in paths if path.is_file())


@pytest.fixture(scope="session")
def kernel_pyproject() -> dict[str, Any]:
    """The kernel's `[project]` table."""
    return tomllib.loads((ROOT / "kernel" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
