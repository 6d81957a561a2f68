"""What a terminal is shown of text that nobody vouches for."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergaster_cli.visible import escape, escape_line, excerpt, show_arguments


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü 漢字 👩‍🔧", "plain äöü 漢字 👩‍🔧"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("safe\u202etxt.exe", "safe\\u202etxt.exe"),
        ("over\rwrite", "over\\x0dwrite"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("half \ud800", "half \\ud800"),
        ("next\u2028line", "next\\u2028line"),
    ],
)
def test_control_and_bidirectional_characters_are_shown_as_escapes(text, shown):
    assert shown == escape(text)


@given(st.text())
def test_nothing_that_steers_a_terminal_passes(text):
    kept = {"\n", "\t", "\u200c", "\u200d"}
    steering = ("Cc", "Cf", "Cs", "Zl", "Zp")

    assert not [each for each in escape(text) if unicodedata.category(each) in steering and each not in kept]
    assert "\n" not in escape_line(text)


@given(st.text(), st.integers(min_value=2, max_value=50))
def test_an_excerpt_is_one_line_of_the_asked_width(text, width):
    shown = excerpt(text, width)

    assert len(shown) <= width
    assert "\n" not in shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values))
def test_shown_arguments_are_equal_as_json_to_the_ones_that_run(arguments):
    shown = show_arguments(json.dumps(arguments))

    assert arguments == json.loads(shown)
    assert all(each == "\n" or each.isprintable() for each in shown)


def test_a_repeated_key_hides_nothing_from_the_person_who_approves():
    raw = '{"path": "safe.txt", "path": "/etc/passwd"}'

    assert raw == show_arguments(raw)


def test_arguments_that_are_no_json_are_shown_as_they_are():
    assert '{"path": \\x1b[2J' == show_arguments('{"path": \x1b[2J')


def test_the_tail_of_long_arguments_is_not_cut():
    shown = show_arguments(json.dumps({"content": "x" * 100_000 + "; rm -rf"}))

    assert "; rm -rf" in shown
