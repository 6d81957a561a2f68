"""Values, cursors and watchers behave alike in every storage."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergaster.contracts.storage import Order, Table
from ergaster.errors import InvalidInput, Unsupported
from ergaster.filters import And, Eq
from ergaster_support_storage import (
    Watchers,
    check_bounds,
    check_query,
    check_table,
    check_version,
    decode_cursor,
    decode_value,
    encode_cursor,
    encode_value,
)

TABLE = Table("notes", (("name", "text"), ("rank", "integer")))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_value_survives_as_ascii(value):
    text, _ = encode_value(Table("free"), value, limit=10**6)

    assert text.isascii()
    assert repr(decode_value(text)) == repr(value)


@pytest.mark.parametrize(("depth", "fits"), [(199, True), (200, False), (900, False)])
def test_depth_is_limited(depth, fits):
    value = json.loads("[" * depth + "]" * depth)
    if fits:
        assert encode_value(TABLE, {"deep": value}, limit=10**6)
        return
    with pytest.raises(InvalidInput):
        encode_value(TABLE, {"deep": value}, limit=10**6)


def test_brackets_in_text_are_not_depth():
    value = {"text": '[{"\\' * 1000}

    text, _ = encode_value(TABLE, value, limit=10**6)

    assert decode_value(text) == value


def test_all_misfits_are_told_at_once():
    with pytest.raises(InvalidInput) as caught:
        encode_value(TABLE, {"name": 1, "rank": "x"}, limit=100)

    assert [problem.split(":")[0] for problem in caught.value.problems] == ["name", "rank"]


@given(st.none() | st.text() | st.integers() | st.booleans(), st.text())
def test_cursor_gives_back_where_it_stands(value, id):
    assert decode_cursor(encode_cursor("f", value, id), "f") == (value, id)
    with pytest.raises(InvalidInput):
        decode_cursor(encode_cursor("f", value, id), "g")


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text):
    with pytest.raises(InvalidInput):
        check_query(TABLE, "t", where=None, order=Order("rank"), limit=1, cursor=text)


@pytest.mark.parametrize(("value", "id"), [("text", "r"), (True, "r"), (1, ""), (1, "\ud800"), (2**64, "r")])
def test_forged_cursor_is_refused(value, id):
    honest = check_query(TABLE, "t", where=None, order=Order("rank"), limit=1, cursor=None)
    with pytest.raises(InvalidInput):
        check_query(TABLE, "t", where=None, order=Order("rank"), limit=1, cursor=encode_cursor(honest.fingerprint, value, id))


def test_filter_of_a_thousand_levels_is_refused():
    where = Eq("name", "a")
    for _ in range(1000):
        where = And((where,))
    with pytest.raises(InvalidInput):
        check_query(TABLE, "t", where=where, order=None, limit=1, cursor=None)
    with pytest.raises(Unsupported):
        check_query(TABLE, "t", where={"$or": []}, order=None, limit=1, cursor=None)


@pytest.mark.parametrize("indexes", [(("a", "text"), ("A", "text")), (("a", "date"),), (("a b", "text"),), (("", "text"),)])
def test_table_that_engines_cannot_have_is_refused(indexes):
    with pytest.raises(InvalidInput):
        check_table(Table("notes", indexes))


@pytest.mark.parametrize("version", [-1, True, 1.0, "1", 2**63])
def test_version_must_be_a_number_that_a_record_can_have(version):
    with pytest.raises(InvalidInput):
        check_version("if_version", version)
    with pytest.raises(InvalidInput):
        check_bounds(0, "1", 1)


async def test_watchers_are_woken_and_forgotten():
    watchers = Watchers()
    with watchers.watch("t", "s") as grown:
        watchers.wake("t", "other")
        await asyncio.sleep(0)
        assert not grown.is_set()
        await asyncio.to_thread(watchers.wake, "t", "s")
        await asyncio.wait_for(grown.wait(), 5)

    watchers.wake("t", "s")
    assert watchers._waiting == {}
