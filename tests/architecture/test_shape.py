"""Size, docstrings, broad excepts: what a review would otherwise repeat."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

FILE, FUNCTION, CLASS = 500, 60, 300
TEST_FILE, TEST_FUNCTION = 800, 80

LONG_FILES: frozenset[str] = frozenset()  # shrinks only: a file that is too long has two ideas
LONG_FUNCTIONS: frozenset[str] = frozenset()  # shrinks only
LONG_CLASSES: frozenset[str] = frozenset()  # shrinks only
VAGUE_NAMES = frozenset({"utils", "util", "helpers", "common", "misc"})

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_files_are_short(sources, test_modules):
    limits = [(module, FILE) for module in sources] + [(module, TEST_FILE) for module in test_modules]
    long = {f"{module.where}: {len(module.lines)} lines" for module, limit in limits if len(module.lines) > limit}

    assert set() == long - LONG_FILES


def test_functions_are_short(sources, test_modules):
    limits = [(module, FUNCTION) for module in sources] + [(module, TEST_FUNCTION) for module in test_modules]
    long = {
        f"{module.where}: {node.name}: {_size(node)} lines"
        for module, limit in limits
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _size(node) > limit
    }

    assert set() == long - LONG_FUNCTIONS


def test_classes_are_short(sources):
    long = {
        f"{module.where}: {node.name}: {_size(node)} lines"
        for module in sources
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and not _is_kit(module.name) and _size(node) > CLASS
    }

    assert set() == long - LONG_CLASSES


def test_modules_are_named_after_an_idea(sources):
    assert [] == [module.where for module in sources if VAGUE_NAMES & set(module.name.split("."))]


def test_everything_public_is_documented(sources):
    in_contracts = {
        name.partition(".")[2] for module in sources if ".contracts." in module.name for name, _ in _public(module.tree)
    }
    undocumented = [
        f"{module.where}:{node.lineno}: {name}"
        for module in sources
        for name, node in _public(module.tree)
        if not _is_kit(module.name) and not ast.get_docstring(node) and name.partition(".")[2] not in in_contracts - {""}
    ]

    assert [] == undocumented + [module.where for module in sources if not ast.get_docstring(module.tree)]


def test_first_lines_of_docstrings_are_sentences(sources):
    ragged = [
        f"{module.where}:{node.lineno}: {name}"
        for module in sources
        for name, node in _public(module.tree)
        if (text := ast.get_docstring(node)) and text.splitlines()[0].strip()[-1] not in ".?:"
    ]

    assert [] == ragged


def test_public_modules_say_what_is_public(sources):
    silent = [
        module.where
        for module in sources
        if not any(part.startswith("_") or part == "migrations" for part in module.name.split("."))
        and any(not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr) for node in module.tree.body)
        and not any(isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" in _targets(node) for node in module.tree.body)
    ]

    assert [] == silent, "these modules have no __all__"


def test_broad_excepts_are_named_boundaries(sources):
    unmarked = [
        f"{module.where}:{node.lineno}"
        for module in sources
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and _is_broad(node)
        and not _raises_again(node)
        and not _is_marked(module.lines, node)
    ]

    assert [] == unmarked, "catch the type you expect, or say `# boundary: <why>` on that line"


def test_every_ignored_rule_has_a_reason(sources):
    bare = re.compile(r"# (?:noqa(?:: ?[A-Z0-9, ]+)?|type: ?ignore(?:\[[a-z, -]+\])?)\s*$")
    offenders = [
        f"{module.where}:{number}" for module in sources for number, line in enumerate(module.lines, 1) if bare.search(line)
    ]

    assert [] == offenders, "a lint ignore has its reason beside it"


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    return {ast.unparse(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])}


def _size(node: Definition) -> int:
    """Return the lines of a definition without its decorators, and without docstrings: explaining is not punished."""
    definitions = [inner for inner in ast.walk(node) if isinstance(inner, Definition)]
    return node.end_lineno - node.lineno + 1 - sum(_docstring_lines(inner.body[0]) for inner in definitions)


def _docstring_lines(first: ast.stmt) -> int:
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return first.end_lineno - first.lineno + 1 if is_docstring else 0


def _is_kit(module: str) -> bool:
    """Say whether the module is a contract kit: a class of tests, whose names are their documentation."""
    return module.startswith("ergaster.testing.")


def _public(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Yield public classes and functions, and the public methods of public classes."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_") and not _is_overload_or_setter(node):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                yield from (
                    (f"{node.name}.{method.name}", method)
                    for method in node.body
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
                    and not method.name.startswith("_")
                    and not _is_overload_or_setter(method)
                )


def _is_overload_or_setter(node: Definition) -> bool:
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.endswith((".setter", "overload", "override")) for name in names)


def _is_broad(node: ast.ExceptHandler) -> bool:
    if node.type is None:
        return True
    types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException", "BaseExceptionGroup"} for kind in types)


def _raises_again(node: ast.ExceptHandler) -> bool:
    """Say whether the handler ends with `raise`: it cleans up and swallows nothing."""
    last = node.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _is_marked(lines: list[str], node: ast.ExceptHandler) -> bool:
    """Say whether the boundary is named, on the line or, when it is formatted over several, on the first of its body."""
    return any(re.search(r"#.*\bboundary: ", line) for line in lines[node.lineno - 1 : node.body[0].lineno])
