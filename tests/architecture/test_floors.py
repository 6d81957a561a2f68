"""Imports go down the floors only."""

from __future__ import annotations

import ast

FLOORS = (
    "errors messages events refs filters secrets suggestions",  # data, no behaviour
    "contracts",  # one small file for each kind
    "hookspecs catalog",  # the hooks, the table of kinds
    "schema interpolation limits policy",  # checks of values
    "discovery offers registration settings loading observers plugins",  # names
    "config",  # ergaster.toml
    "codec tools output transcript sync",  # objects, never names
    "state journal sessions plan run nesting invoke calls loop ownership results",  # a run
    "kernel assembly running front agent team",  # names become objects; the nouns a user writes
)
"""Each floor may import its own modules and those of the floors before it; a cycle is an error anywhere.

A new module is put on its floor here. `ergaster` itself stands above, `ergaster.testing` beside.
"""

FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names.split()}


def _unit(name: str) -> str:
    """Return the module of the kernel that *name* lies in: `errors` for `ergaster.errors.InvalidRef`."""
    return name.split(".")[1] if name.startswith("ergaster.") else ""


def test_every_kernel_module_has_a_floor(runtime):
    homeless = [module.where for module in runtime if _unit(module.name) not in {*FLOOR, ""}]

    assert [] == homeless, "put these modules on a floor in FLOORS of this file"


def test_kernel_imports_go_down_only(runtime):
    climbing = [
        f"{module.where}:{line}: {_unit(module.name)} (floor {FLOOR[_unit(module.name)]}) imports {name}"
        for module in runtime
        if _unit(module.name) in FLOOR
        for name, line in module.imports()
        if name.partition(".")[0] == "ergaster" and FLOOR.get(_unit(name), 99) > FLOOR[_unit(module.name)]
    ]

    assert [] == climbing


def test_kernel_modules_import_each_other_without_cycles(runtime):
    names = {module.name for module in runtime}
    graph = {
        module.name: {name if name in names else name.rpartition(".")[0] for name, _ in module.imports(at_import_time=True)}
        & names
        for module in runtime
    }

    assert [] == _cycle(graph)


def test_runtime_never_imports_testing(sources):
    offenders = [
        f"{module.where}:{line}"
        for module in sources
        if not module.name.startswith("ergaster.testing")
        for name, line in module.imports()
        if name.startswith("ergaster.testing")
    ]

    assert [] == offenders


def test_imports_are_absolute(sources):
    offenders = [
        f"{module.where}:{node.lineno}"
        for module in sources
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert [] == offenders


def _cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return one cycle of *graph*, or nothing."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for target in sorted(graph[node]):
            found = visit(target, [*path, node])
            if found:
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node, []))), [])
