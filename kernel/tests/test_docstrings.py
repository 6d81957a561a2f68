"""What docstrings say about parameters, in three styles."""

from __future__ import annotations

import pytest

from ergaster.schema import parse_docstring

GOOGLE = """Find a film.

    Use it when somebody names a director.

    Args:
        title: The title,
            or a part of it: spaces count.
        year (int, optional): When it came out.
        tags (dict[str, tuple(int)]): Free words.
        *rest: More.

    Returns:
        The film's number.

    Raises:
        KeyError: If there is none.
    """

NUMPY = """Find a film.

    Use it when somebody names a director.

    Parameters
    ----------
    title : str
        The title,
        or a part of it: spaces count.
    year : int, optional
        When it came out.
    tags, rest
        Free words.

    Returns
    -------
    int
        The film's number.
    """

SPHINX = """Find a film.

    Use it when somebody names a director.

    :param title: The title,
        or a part of it: spaces count.
    :param int year: When it came out.
    :type year: int
    :returns: The film's number.
    :raises KeyError: If there is none.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX])
def test_summary_body_and_parameters_are_found_in_each_style(text):
    found = parse_docstring(text)

    assert "Find a film." == found.summary
    assert found.description.startswith("Find a film.\n\nUse it when somebody names a director.")
    assert "The title, or a part of it: spaces count." == found.params["title"]
    assert "When it came out." == found.params["year"]
    assert "The film's number." in found.description
    assert "KeyError" not in found.description
    assert "came out" not in found.description


def test_further_parameters_of_google_and_numpy_style_are_found():
    assert {"tags": "Free words.", "rest": "More."}.items() <= parse_docstring(GOOGLE).params.items()
    assert {"tags": "Free words.", "rest": "Free words."}.items() <= parse_docstring(NUMPY).params.items()


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (None, ""),
        ("", ""),
        ("One line.", "One line."),
        ("Note: this is plain text.", "Note: this is plain text."),
        (
            "Do it.\n\nArgs:\n\nno section, since nothing is indented",
            "Do it.\n\nArgs:\n\nno section, since nothing is indented",
        ),
        ("Do it.\n\nExample:\n    >>> do()\n\nAfterwards rest.", "Do it.\n\nExample:\n    >>> do()\n\nAfterwards rest."),
        ("Do it.\n\nAttributes:\n    x: y\n\nLater text.", "Do it.\n\nLater text."),
        ("Two\nlines.", "Two\nlines."),
    ],
)
def test_what_follows_no_style_stays_in_the_description(text, description):
    assert description == parse_docstring(text).description


def test_summary_is_one_line():
    assert "Two lines." == parse_docstring("Two\nlines.\n\nMore.").summary


def test_parameters_of_several_sections_are_joined():
    text = "X.\n\nArgs:\n  a: one\n\n  b: two\nKeyword Args:\n  c: three\n"

    assert {"a": "one", "b": "two", "c": "three"} == parse_docstring(text).params


def test_indented_line_with_a_colon_belongs_to_the_parameter_above():
    text = "X.\n\nArgs:\n    a: one\n        hint: more of one\n    b: two\n"

    assert {"a": "one hint: more of one", "b": "two"} == parse_docstring(text).params
