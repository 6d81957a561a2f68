"""What the letters of a path and of a pattern may be."""

import pathlib
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergaster.errors import UnsafePath, Unsupported
from ergaster_support_paths import check_name, parse_path, parse_pattern


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.txt", ("a.txt",)),
        ("./a//b/./c.txt", ("a", "b", "c.txt")),
        ("folder/", ("folder",)),
        (".", ()),
        ("", ()),
        (".hidden/..b", (".hidden", "..b")),
        ("console.log", ("console.log",)),
        ("a - b (1).txt", ("a - b (1).txt",)),
        ("文档/naïve.md", ("文档", "naïve.md")),
    ],
)
def test_path_is_split_into_names(path: str, expected: tuple[str, ...]):
    assert parse_path(path) == expected


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
def test_path_gives_plain_names_or_is_refused(path: str):
    names: tuple[str, ...] = ()
    with suppress(UnsafePath):
        names = parse_path(path)
    for name in names:
        assert check_name(name) == name
        assert name not in {"", ".", ".."}
        assert not set(name) & set("/\\:\0")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "NUL", "lpt1.txt", "x" * 256, "é" * 128, "a\ud800", "\u2028", "\U000e0041"]
)
def test_name_that_is_no_file_name_is_refused(name: str):
    with pytest.raises(UnsafePath):
        check_name(name)


@pytest.mark.parametrize("path", [None, 7, b"a.txt", ["a.txt"]])
def test_path_of_another_type_is_refused(path: object):
    with pytest.raises(UnsafePath, match="a path is a string"):
        parse_path(path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*", "a.txt", True),
        ("*", "a/b.txt", False),
        ("**/*", "a.txt", True),
        ("**/*", "a/b/c.txt", True),
        ("**/*.md", "a/b.txt", False),
        ("docs/**", "docs/a/b", True),
        ("docs/**", "docs", True),
        ("docs/**/b", "docs/b", True),
        ("a/**/b/**/c", "a/x/b/y/z/c", True),
        ("a/**/b/**/c", "a/x/y/z/c", False),
        ("[ab]?.txt", "b1.txt", True),
        ("[!a]*", "abc", False),
        ("*.TXT", "a.txt", False),
    ],
)
def test_pattern_matches_name_by_name(pattern: str, path: str, expected: bool):
    assert parse_pattern(pattern).matches(path.split("/")) is expected


@settings(deadline=None)  # a busy machine is no failure
@given(
    segments=st.lists(st.sampled_from(["**", "*", "a", "b", "a*", "?"]), min_size=1, max_size=5),
    names=st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=6),
)
def test_pattern_means_what_the_standard_library_means(tmp_path_factory, segments: list[str], names: list[str]):
    base = tmp_path_factory.mktemp("tree")
    (base / pathlib.Path(*names)).mkdir(parents=True)
    every = [tuple(path.relative_to(base).parts) for path in base.rglob("*")]
    expected = {tuple(path.relative_to(base).parts) for path in base.glob("/".join(segments))} - {()}

    assert {names for names in every if parse_pattern("/".join(segments)).matches(names)} == expected


@pytest.mark.parametrize("pattern", ["", "/etc/*", "../*", "a/../../*", "..\\*", "~/*", "\0", "*" * 9, "a/" * 33, "x" * 600])
def test_pattern_that_leaves_the_root_or_is_too_long_is_refused(pattern: str):
    with pytest.raises(UnsafePath):
        parse_pattern(pattern)


def test_braces_are_unsupported_and_never_match_nothing_in_silence():
    with pytest.raises(Unsupported, match="one pattern for each"):
        parse_pattern("**/*.{py,md}")


@pytest.mark.parametrize("segment", ["*a*a*a*a*a*a*a*", "?*?*?*?*?*", "[a-z]*[a-z]*[a-z]*[a-z]*!", "a*" * 8])
def test_evil_pattern_costs_no_time(segment: str):
    pattern = parse_pattern("/".join(["**", segment] * 15))
    started = time.process_time()

    assert not pattern.matches(["a" * 254 + "!"] * 63 + ["b"])
    assert time.process_time() - started < 5
