"""What is particular to units; the contract suite is beside this module."""

import pytest

from ergaster.errors import ToolError
from ergaster_units import Units


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (1, "mi", "km", "1.609344 km"),
        (0.1, "m", "cm", "10 cm"),
        (100, "C", "F", "212 F"),
        (-40, "F", "C", "-40 C"),
        (0, "K", "C", "-273.15 C"),
        (90, "km/h", "m/s", "25 m/s"),
        (1, "GiB", "MB", "1073.741824 MB"),
        (1, "ly", "mm", "9460730473000000000 mm"),
        (5, " KG ", "lb", "11.02311311 lb"),
    ],
)
def test_value_in_another_unit(value: float, source: str, target: str, expected: str):
    assert Units().convert_units(value, source, target) == expected


def test_units_of_different_kinds_are_refused_with_both_kinds():
    with pytest.raises(ToolError, match="km measures length and kg mass"):
        Units().convert_units(1, "km", "kg")


def test_unknown_unit_names_the_tool_that_lists_them():
    with pytest.raises(ToolError, match="list_units"):
        Units().convert_units(1, "furlong", "m")


def test_list_names_the_units_of_a_kind():
    assert Units().list_units("time") == "time: s, ms, min, h, d, week"
    with pytest.raises(ToolError, match="the kinds are area, data"):
        Units().list_units("beauty")


def test_options_set_digits_and_add_units():
    units = Units(digits=3, extra={"smoot": "1.7018 m"})

    assert units.convert_units(364.4, "smoot", "m") == "620 m"
    with pytest.raises(ValueError, match="write a number and a known unit"):
        Units(extra={"smoot": "tall"})
