"""What the kernel may contain, and what it may load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

MODULES_AT_MOST = 230
LAZY = frozenset(
    {
        *("aiohttp", "aiosqlite", "httpx", "httpx2", "requests"),
        *("anyio", "cattrs", "jiter", "jsonschema_rs", "stamina"),
        *("openai", "prompt_toolkit", "pydantic", "pytest", "rich", "sqlalchemy", "yaml"),
    }
)
"""Never loaded by `import ergaster`; the kernel's own dependencies among them are loaded on first use."""

NOT_VENDORS = frozenset({"cli", "calculator", "files", "history", "hooks", "memory", "sessions"})
"""Plugins named after what they are, by a word that a kernel may need; no company, product or engine."""


def test_importing_ergaster_is_light():
    script = "import sys; bare = set(sys.modules); import ergaster; print(*sorted(set(sys.modules) - bare))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert [] == sorted({name.partition(".")[0] for name in loaded} & LAZY)
    assert len(loaded) <= MODULES_AT_MOST, f"{len(loaded)} modules: {' '.join(loaded)}"


NO_VENDORS = {"support", "apps", "contrib", "features", "guardrails"}
"""Kinds whose plugins are abilities of ours, named by words that everybody uses, and no technology of somebody."""


def test_kernel_names_no_vendor(runtime, plugins):
    vendors = {plugin.name.replace("-", "_") for plugin in plugins if plugin.kind not in NO_VENDORS}
    vendors -= NOT_VENDORS
    pattern = re.compile(rf"(?<![a-z])({'|'.join(sorted(vendors))})(?![a-z])", re.IGNORECASE)
    offenders = [
        f"{module.where}:{line}: {found.group()} in {text!r}"
        for module in runtime
        for text, line in _words(module.tree)
        if (found := pattern.search(text))
    ]

    assert [] == offenders, "the kernel names no vendor: not in a table, not in an `if`, not in an error's hint"


def test_kernel_imports_only_its_declared_dependencies(kernel, kernel_pyproject):
    declared = {re.split(r"[<>=\[ ]", line)[0].replace("-", "_") for line in kernel_pyproject["dependencies"]}
    allowed = {*sys.stdlib_module_names, *declared, "ergaster"}
    offenders = [
        f"{module.where}:{line}: {name}"
        for module in kernel
        for name, line in module.imports()
        if name.partition(".")[0] not in allowed | _optional(module.name)
    ]

    assert [] == offenders


def _optional(module: str) -> set[str]:
    """Return what a module may import where it is installed: for the kits what tests, for the rest a user's own models."""
    return {"pytest", "hypothesis"} if module.startswith("ergaster.testing") else {"pydantic", "pydantic_core"}


def _words(tree: ast.Module):
    """Yield identifiers and texts that a program acts on or shows, with their lines; docstrings may give examples."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value, node.lineno
        elif isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
