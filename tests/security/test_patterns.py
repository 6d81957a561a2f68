"""No regular expression of ours can be made to run for ever: by its form, and by texts of 50,000 characters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from re import _constants as forms  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from time import perf_counter
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
LENGTH = 50_000
BOUND = 2.0
"""Seconds for one text and one pattern: far above linear work on a loaded machine, far below an explosion."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    folders = [ROOT / "kernel" / "src", *ROOT.glob("plugins/*/*/src"), *ROOT.glob("contrib/*/src")]
    for path in sorted(each for folder in folders for each in folder.rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def patterns() -> dict[str, tuple[str, int, frozenset[str]]]:
    """Return every pattern that our sources write out, with its flags and how it is used, by the place where it stands."""
    found: dict[str, tuple[str, int, frozenset[str]]] = {}
    for place, tree in sources():
        uses: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in FUNCTIONS:
                uses.setdefault(node.value.id, set()).add(node.attr)
        names = {
            id(node.value): target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and is_re(node.func) and node.args and (text := literal(node.args[0])) is not None:
                used = uses.get(names.get(id(node), ""), set()) if node.func.attr == "compile" else {node.func.attr}  # type: ignore[attr-defined]
                found[f"{place}:{node.lineno}"] = (text, flags_of(node), frozenset(used) or frozenset({"search"}))
    return found


def is_re(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("re", "_re")
        and node.attr in FUNCTIONS
    )


def literal(node: ast.expr) -> str | None:
    """Return a text that is written out; what is put into it at run time counts as a letter."""
    if isinstance(node, ast.JoinedStr):
        return "".join(each.value if isinstance(each, ast.Constant) else "x" for each in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return node.value if isinstance(node.value, str) else node.value.decode("latin-1")
    return None


def flags_of(node: ast.Call) -> int:
    names = {
        each.attr for part in (*node.args[1:], *node.keywords) for each in ast.walk(part) if isinstance(each, ast.Attribute)
    }
    return sum(int(getattr(re, name)) for name in names & {"VERBOSE", "MULTILINE", "DOTALL", "IGNORECASE", "ASCII"})


def nested(tree: Any) -> Iterator[str]:
    """Yield what repeats without end, holds what does so too, and no sign between the rounds that only it can match."""
    for kind, value in tree:
        for part in parts_of(kind, value):
            yield from nested(part)
        if kind in (forms.MAX_REPEAT, forms.MIN_REPEAT) and value[1] == forms.MAXREPEAT:
            inner = set().union(*endless(value[2]))
            if inner and all(signs & inner for signs in signs_between(value[2])):
                yield str(value[2])


def parts_of(kind: Any, value: Any) -> tuple[Any, ...]:
    if kind in (forms.MAX_REPEAT, forms.MIN_REPEAT):
        return (value[2],)
    if kind is forms.SUBPATTERN:
        return (value[3],)
    if kind is forms.BRANCH:
        return tuple(value[1])
    return (value[1],) if kind in (forms.ASSERT, forms.ASSERT_NOT) else ()


def endless(tree: Any) -> Iterator[frozenset[int]]:
    """Yield the characters of everything in *tree* that repeats without end."""
    for kind, value in tree:
        if kind in (forms.MAX_REPEAT, forms.MIN_REPEAT) and value[1] == forms.MAXREPEAT:
            yield characters(value[2][0]) if len(value[2]) == 1 else EVERY
        for part in parts_of(kind, value):
            yield from endless(part)


def signs_between(tree: Any) -> Iterator[frozenset[int]]:
    """Yield the characters of each element that every round has exactly once."""
    for element in tree:
        if element[0] is forms.SUBPATTERN:
            yield from signs_between(element[1][3])
        elif element[0] in (forms.LITERAL, forms.NOT_LITERAL, forms.IN):
            yield characters(element)


EVERY = frozenset(range(256))


def characters(element: Any) -> frozenset[int]:
    """Return which of the first 256 characters an element matches; all, for a complicated one."""
    kind, value = element
    if kind is forms.LITERAL:
        return frozenset({value})
    if kind is forms.NOT_LITERAL:
        return EVERY - {value}
    if kind is not forms.IN:
        return EVERY
    found: set[int] = set()
    for each, what in value:
        if each is forms.LITERAL:
            found.add(what)
        elif each is forms.RANGE:
            found.update(range(what[0], what[1] + 1))
        elif each is forms.CATEGORY:
            sign = CATEGORIES.get(what)
            found.update(code for code in EVERY if sign is None or re.match(sign, chr(code)))
    return EVERY - found if value[0][0] is forms.NEGATE else frozenset(found)


CATEGORIES = {
    forms.CATEGORY_WORD: r"\w",
    forms.CATEGORY_NOT_WORD: r"\W",
    forms.CATEGORY_SPACE: r"\s",
    forms.CATEGORY_NOT_SPACE: r"\S",
    forms.CATEGORY_DIGIT: r"\d",
    forms.CATEGORY_NOT_DIGIT: r"\D",
}


def evil_texts() -> list[str]:
    """Return long texts that nearly match: of one sign, of two in turn, and with an end that spoils it all."""
    units = [
        *"aA0 _-.:/,;\"'\\\n\t([{<>`*#|=&%@~é",
        "a ",
        "a.",
        "a-",
        "a,",
        "a:",
        "0.",
        "${",
        "[x](",
        "\\\\",
        '\\"',
        "a=b&",
        "<a",
        "``",
        "\r\n",
    ]
    texts = []
    for unit in units:
        body = (unit * LENGTH)[:LENGTH]
        texts += [body, f"{body}!", f"!{body}", f"{body}\0"]
    return texts


PATTERNS = patterns()
EVIL = evil_texts()


def test_patterns_are_found_at_all() -> None:
    assert len(PATTERNS) >= 20
    assert any(place.startswith("kernel/src/ergaster/plan.py") for place in PATTERNS)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*b(c*)*", r"(\w+\s?)*$", r"((x+)y?)*", r"(?:[^,]+)*,"])
def test_a_nested_quantifier_is_seen(pattern: str) -> None:
    assert list(nested(parser.parse(pattern)))


@pytest.mark.parametrize("pattern", [r"[a-z]+(,[a-z]+)*", r"a{1,3}b*", r"(?:[^'\\]|\\.)*'", r"\w+\.\w+", r"(x{2})*"])
def test_what_reads_in_one_way_only_is_let_pass(pattern: str) -> None:
    assert not list(nested(parser.parse(pattern)))


@pytest.mark.parametrize("place", PATTERNS)
def test_no_pattern_nests_quantifiers(place: str) -> None:
    text, flags, _ = PATTERNS[place]

    assert not list(nested(parser.parse(text, flags)))


@pytest.mark.parametrize("place", PATTERNS)
def test_no_text_makes_a_pattern_run_for_long(place: str) -> None:
    text, flags, uses = PATTERNS[place]
    pattern = re.compile(text, flags)
    for evil in EVIL:
        for use in uses:
            began = perf_counter()
            if use in ("sub", "subn"):
                pattern.sub("", evil)
            elif use == "finditer":
                list(pattern.finditer(evil))
            else:
                getattr(pattern, use)(evil)
            taken = perf_counter() - began

            assert taken < BOUND, f"{use}({evil[:6]!r}…{evil[-3:]!r})"
