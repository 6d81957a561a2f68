"""Functions as tools."""

from __future__ import annotations

import pytest
from ergaster.errors import InvalidArguments
from ergaster.tools import as_tools, tool


def add(first: int, second: int = 2) -> int:
    """Add two numbers.

    Args:
        first: The one.
    """
    return first + second


def test_function_becomes_a_tool_with_its_docstring_and_schema():
    (made,) = as_tools(add)

    assert ("add", "Add two numbers.") == (made.name, made.description)
    assert {
        "type": "object",
        "properties": {
            "first": {"type": "integer", "description": "The one."},
            "second": {"type": "integer", "default": 2},
        },
        "required": ["first"],
        "additionalProperties": False,
    } == made.parameters


def test_wrong_arguments_are_all_named_for_the_model():
    with pytest.raises(InvalidArguments) as caught:
        tool(add).validate({"frist": 1, "second": "2"})

    assert (
        "frist: unknown argument; did you mean 'first'?",
        "second: found the text '2', expected an integer; send the value itself, without quotes around it",
        "first: missing, expected an integer",
    ) == caught.value.problems
