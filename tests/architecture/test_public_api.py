"""The public surface of the kernel, frozen: a change of it is reviewed on purpose.

`nox -s api` writes `kernel/tests/public_api.json` anew; the diff belongs to the commit that changes the surface.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from difflib import unified_diff
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "kernel" / "src"
FROZEN = ROOT / "kernel" / "tests" / "public_api.json"

DATA = ("errors", "events", "filters", "messages", "refs", "secrets")
PUTTING_TOGETHER = ("agent", "catalog", "config", "hookspecs", "kernel", "limits", "plugins", "policy", "results", "team")
WORKING = ("codec", "schema", "sync", "tools")
PUBLIC = frozenset({"ergaster", *(f"ergaster.{name}" for name in (*DATA, *PUTTING_TOGETHER, *WORKING))})
"""Modules that others may import from, beside all of `ergaster.contracts` and `ergaster.testing`; the rest may change."""


def test_public_api_is_the_frozen_one():
    diff = list(
        unified_diff(FROZEN.read_text(encoding="utf-8").splitlines(), public_api().splitlines(), "frozen", "now", "", "", 0, "")
    )

    assert not diff, "the public API changed; if you mean it, run `nox -s api` and commit its diff:\n" + "\n".join(diff)


def public_api() -> str:
    """Return every public name of the kernel with its signature, as JSON, one name on each line."""
    names: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        module = _name(path)
        if _is_public(module):
            for name in _all(_parse(path)):
                home = _home(module, name)
                names |= (
                    {f"{module}.{name}": f"is {home}.{name}"}
                    if home != module and _is_public(home)
                    else _signatures(module, home, name)
                )
    return json.dumps(dict(sorted(names.items())), indent=1, ensure_ascii=False) + "\n"


def _is_public(module: str) -> bool:
    nested = module.startswith(("ergaster.contracts.", "ergaster.testing")) and "._" not in module
    return module in PUBLIC or nested


def _name(path: Path) -> str:
    return ".".join(part for part in path.relative_to(SOURCE).with_suffix("").parts if part != "__init__")


def _path(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8") if path.exists() else "")


def _home(module: str, name: str) -> str:
    """Return the module of the kernel that defines *name*, which *module* may only pass on."""
    for node in ast.walk(_parse(_path(module))):
        is_ours = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ergaster.")
        if is_ours and name in {alias.name for alias in node.names}:
            return _home(node.module, name)
    return module


def _signatures(module: str, home: str, name: str) -> dict[str, str]:
    members = {found: line for found, line in _members(_parse(_path(home)).body) if found.partition(".")[0] == name}
    return {f"{module}.{found}": line for found, line in (members or {name: "made at run time"}).items()}


def _all(tree: ast.Module) -> set[str]:
    """Return the names in the module's `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if ast.unparse(target) == "__all__":
                return set(ast.literal_eval(node.value))
    return set()


def _members(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield each public member's name and its signature on one line."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if not node.name.startswith("_") or node.name in {"__init__", "__call__"}:
                    yield node.name, _function(node)
            case ast.ClassDef() if not node.name.startswith("_"):
                decorators = "".join(f"@{ast.unparse(item)} " for item in node.decorator_list)
                bases = ", ".join(ast.unparse(item) for item in [*node.bases, *(key.value for key in node.keywords)])
                yield node.name, f"{decorators}class({bases})"
                yield from ((f"{node.name}.{name}", line) for name, line in _members(node.body))
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                yield name, ast.unparse(node.annotation) + (f" = {_short(node.value)}" if node.value else "")
            case ast.Assign(targets=[ast.Name(id=name)]) if not name.startswith("_"):
                yield name, f"= {_short(node.value)}"


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    decorators = "".join(f"@{ast.unparse(item)} " for item in node.decorator_list)
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{decorators}{prefix}({ast.unparse(node.args)}){returns}"


def _short(value: ast.expr) -> str:
    """Return the value's text; long tables are not part of a signature."""
    text = ast.unparse(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


if __name__ == "__main__":
    FROZEN.parent.mkdir(exist_ok=True)
    FROZEN.write_text(public_api(), encoding="utf-8")
