"""What `plugins doctor` finds besides failures: another version of the kernel than a plugin asks for, and patched code."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ergaster.plugins import PluginManager

__all__ = ["patched_code", "wrong_versions"]

_KERNEL = "ergaster"


def wrong_versions(manager: PluginManager) -> Iterator[str]:
    """Yield a sentence for each distribution that asks for another version of the kernel than the one installed."""
    from importlib_metadata import requires, version
    from packaging.requirements import Requirement

    installed = version(_KERNEL)
    for distribution in manager.distributions():
        for requirement in map(Requirement, requires(distribution.name) or ()):
            if requirement.name != _KERNEL or requirement.specifier.contains(installed, prereleases=True):
                continue
            yield (
                f"{distribution.name} {distribution.version} is made for {_KERNEL}{requirement.specifier}, "
                f"and {installed} is installed; upgrade the older of the two"
            )


def patched_code() -> Iterator[str]:
    """Yield a sentence for each function of the kernel that somebody has replaced in this process."""
    for name, module in sorted(sys.modules.items()):
        if name == _KERNEL or name.startswith(f"{_KERNEL}."):
            yield from _patched_in(name, module)


def _patched_in(name: str, module: ModuleType) -> Iterator[str]:
    path = getattr(module, "__file__", None)
    if path is None:
        return
    for node in ast.parse(Path(path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _judge(f"{name}.{node.name}", vars(module).get(node.name), path)
        elif isinstance(node, ast.ClassDef):
            members = vars(vars(module).get(node.name, object))
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name in members:
                    yield from _judge(f"{name}.{node.name}.{method.name}", members[method.name], path)


def _judge(where: str, value: object, path: str) -> Iterator[str]:
    function = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", None) or value)  # type: ignore[arg-type]  # unwrap takes any object
    code = getattr(function, "__code__", None)
    if code is not None and code.co_filename != path:
        yield f"{where} was replaced by code of {code.co_filename}"
