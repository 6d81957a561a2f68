"""References: any text is either one of the three forms or an `InvalidRef` that shows no password."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergaster.errors import InvalidRef
from ergaster.refs import Ref, parse_ref

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_.+-]*", fullmatch=True)


@given(st.text())
def test_any_text_is_a_reference_or_an_invalid_one(text):
    try:
        ref = parse_ref(text)
    except InvalidRef:
        return

    assert text == (ref.rest if ref.is_url else f"{ref.plugin}:{ref.rest}" if ref.rest else ref.plugin)


@given(names, st.text(min_size=1).filter(lambda rest: not rest.startswith("//")))
def test_rest_is_kept_as_it_is(name, rest):
    assert Ref(name, rest) == parse_ref(f"{name}:{rest}")


@given(names, st.text())
def test_url_is_kept_whole(name, rest):
    assert Ref(name, f"{name}://{rest}", is_url=True) == parse_ref(f"{name}://{rest}")


@pytest.mark.parametrize(
    "text", ["sql://ada:hush@host/db", "1sql://ada:hush@host/db", "sql://ada:hu/sh@host", "sql://a:hush@b@host/x"]
)
def test_passwords_are_never_shown(text):
    try:
        shown = repr(parse_ref(text)) + str(parse_ref(text))
    except InvalidRef as error:
        shown = str(error)

    assert "hush" not in shown
    assert "hu/sh" not in shown


@pytest.mark.parametrize("text", ["", ":", "name:", "1name", "na me", "-x", "://x", "é"])
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(InvalidRef):
        parse_ref(text)
