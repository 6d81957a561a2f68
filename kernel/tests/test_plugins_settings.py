"""Options become typed settings, strictly; classes and functions become Specs."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Protocol

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergaster.catalog import Spec
from ergaster.errors import InvalidInput, InvalidOption, InvalidRef, PluginError
from ergaster.refs import parse_ref
from ergaster.schema.options import options_adapter
from ergaster.secrets import Secret
from ergaster.settings import option_types, settings_from, spec_for


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Closing(Protocol):
    def close(self) -> None: ...


class Client:
    pass


@attrs.frozen
class Retry:
    times: int = 2
    wait: float = 0.5


@attrs.frozen(kw_only=True)
class Settings:
    """Settings of a test.

    Attributes:
        url: Where it is.
    """

    url: str
    api_key: Secret | None = None
    timeout: float = 10.0
    limit: int | None = None
    retry: Retry = attrs.field(factory=Retry)
    level: Level = Level.LOW
    mode: Literal["fast", "exact"] = "fast"
    hosts: tuple[str, ...] = ()
    headers: Mapping[str, str] = attrs.field(factory=dict)
    ratio: float = attrs.field(default=0.5, validator=attrs.validators.ge(0))


SPEC = Spec("boxes", lambda ref, settings: settings, settings=Settings)


def test_options_become_settings():
    settings = settings_from(
        SPEC,
        {
            "url": "x",
            "api_key": "sk-1",
            "timeout": 3,
            "retry": {"times": 5},
            "level": "high",
            "hosts": ["a"],
            "headers": {"b": "c"},
        },
    )

    assert (
        Settings(
            url="x",
            api_key=Secret("sk-1"),
            timeout=3.0,
            retry=Retry(times=5),
            level=Level.HIGH,
            hosts=("a",),
            headers={"b": "c"},
        )
        == settings
    )
    assert isinstance(settings.timeout, float)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": 3}, "url: found an integer, expected text"),
        (
            {"url": "x", "timeout": "3"},
            "timeout: found text, expected a number; write the value itself, without quotes around it",
        ),
        ({"url": "x", "timeout": True}, "timeout: found a boolean, expected a number"),
        ({"url": "x", "timeout": float("nan")}, "timeout: found a number that is not finite, expected a number"),
        (
            {"url": "x", "limit": "3"},
            "limit: found text, expected an integer or null; write the value itself, without quotes around it",
        ),
        ({"url": "x", "limit": 3.0}, "limit: found a number, expected an integer or null"),
        ({"url": "x", "limit": False}, "limit: found a boolean, expected an integer or null"),
        ({"url": "x", "hosts": "abc"}, "hosts: found text, expected an array"),
        ({"url": "x", "hosts": ["a", 1]}, "hosts[1]: found an integer, expected text"),
        ({"url": "x", "headers": {"a b": 1}}, "headers['a b']: found an integer, expected text"),
        ({"url": "x", "level": "hi"}, "level: found text, expected one of 'low' or 'high'; did you mean 'high'?"),
        ({"url": "x", "mode": "quick"}, "mode: found text, expected one of 'fast' or 'exact'"),
        ({"url": "x", "retry": 3}, "retry: found an integer, expected an object"),
        ({"url": "x", "retry": {"times": 1, "tims": 2}}, "retry.tims: unknown option; did you mean 'times'?"),
        ({"url": "x", "api_key": 7}, "api_key: found an integer, expected text or null"),
        ({"url": "x", "ratio": -1}, "the options: refused: 'ratio' must be >= 0: -1.0"),
        ({}, "url: missing, expected text"),
    ],
)
def test_option_that_does_not_fit_is_told_with_its_path(options, problem):
    with pytest.raises(InvalidOption) as caught:
        settings_from(SPEC, options, kind="vector_store")

    assert f"the vector store 'boxes': {problem}" == str(caught.value)
    assert ("vector_store", "boxes") == (caught.value.kind, caught.value.name)


def test_unknown_options_name_all_that_are_known():
    with pytest.raises(InvalidOption) as caught:
        settings_from(SPEC, {"url": "x", "time_out": 3, "limit": "x"}, kind="model")

    assert (
        "the model 'boxes': time_out: unknown option; did you mean 'timeout'?; limit: found text, expected an integer or null; "
        "known are api_key, headers, hosts, level, limit, mode, ratio, retry, timeout, url"
    ) == str(caught.value)

    with pytest.raises(InvalidOption) as caught:
        settings_from(SPEC, {"url": "x", "zzz": 4})

    known = "url, api_key, timeout, limit, retry, level, mode, hosts, headers and ratio"
    assert f"the plugin 'boxes': zzz: unknown option; known are {known}" == str(caught.value)


def test_plugin_without_settings_takes_no_option():
    with pytest.raises(InvalidOption, match="the plugin 'boxes': size: unknown option; there are none"):
        settings_from(Spec("boxes", print), {"size": 3})

    assert settings_from(Spec("boxes", print), {}) is None


def test_errors_never_show_a_value():
    secret = "sk-very-secret-123"
    options = {
        "url": [secret],
        "api_key": [secret],
        "limit": secret,
        "level": secret,
        "retry": secret,
        "hosts": secret,
        "mode": secret,
    }

    with pytest.raises(InvalidOption) as caught:
        settings_from(SPEC, options)

    assert secret not in str(caught.value)


Identifier = NewType("Identifier", str)


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (Any, object, object),
        (object, None, None),
        (None, None, None),
        (Identifier, "a", "a"),
        (Annotated[int, "unit"], 3, 3),
        (float, 3, 3.0),
        (int | float, 3, 3),
        (float | int, 3, 3),
        (str | Retry, {"times": 1}, Retry(times=1)),
        (Retry | None, None, None),
        (list[int], (1, 2), [1, 2]),
        (tuple[int, str], [1, "a"], (1, "a")),
        (Sequence[int], [1], (1,)),
        (frozenset[str], ["a", "a"], frozenset({"a"})),
        (set[str], ["a"], {"a"}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Path, "a/b", Path("a/b")),
        (Decimal, "1.50", Decimal("1.50")),
        (Decimal, 0.1, Decimal("0.1")),
        (date, date(2026, 1, 2), date(2026, 1, 2)),
        (bytes, b"x", b"x"),
        (Literal["a", Level.LOW], "low", Level.LOW),
        (Level, Level.LOW, Level.LOW),
        (Callable[[], None], print, print),
        (type, int, int),
        (Closing, 3, 3),
        (Secret, Secret("a"), Secret("a")),
        (str, Secret("a"), "a"),
        (str | Secret, Secret("a"), Secret("a")),
        (str | None, Secret("a"), "a"),
    ],
)
def test_value_that_fits_is_taken(hint, value, expected):
    loaded = options_adapter(hint).load(value)

    assert (type(expected), expected) == (type(loaded), loaded)


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (Literal[1], True, "found a boolean, expected 1"),
        (str | Retry, {"times": "x"}, "times: found text, expected an integer"),
        (str | list[int], [1, "x"], "[1]: found text, expected an integer"),
        (str | Retry, 3, "found an integer, expected text or an object"),
        (tuple[int, str], [1], "found an array of 1, expected an array of exactly 2"),
        (frozenset[Any], [[]], "found items that cannot be members of a set, expected plain values"),
        (Decimal, "NaN", "found text, expected a decimal number as text like '19.99'"),
        (Decimal, "1e9", "found text, expected a decimal number as text like '19.99'"),
        (date, datetime(2026, 1, 2, tzinfo=UTC), "found a Python datetime, expected a date as text like '2025-01-31'"),
        (Client, "x", "found text, expected a Python Client"),
        (Callable[[], None], 3, "found an integer, expected a callable"),
        (bool, 1, "found an integer, expected true or false"),
        (int, Secret("x"), "found a Python Secret, expected an integer"),
    ],
)
def test_value_that_does_not_fit_is_a_problem(hint, value, expected):
    with pytest.raises(InvalidInput) as caught:
        options_adapter(hint).load(value)

    assert (expected if ": " in expected else f"the keys: {expected}",) == caught.value.problems


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*attrs.fields_dict(Settings), "other"]), anything))
def test_any_options_load_or_raise_invalid_option(options):
    told = ""
    try:
        told = repr(settings_from(SPEC, options))
    except InvalidOption as error:
        told = str(error)

    assert told.startswith(("Settings(", "the plugin 'boxes': "))


# --- what an entry point may name --------------------------------------------------------------------------------------


@attrs.frozen
class Box:
    """A box.

    Attributes:
        ref_rest: Its colour.
        size: Its size.
    """

    ref_rest: str = "plain"
    size: int = 1
    _label: str = "none"
    double: int = attrs.field(default=attrs.Factory(lambda self: self.size * 2, takes_self=True))
    seen: list[int] = attrs.field(factory=list, init=False)


def test_attrs_class_takes_its_fields_as_options():
    spec = spec_for("toolkit", "box", Box)

    assert {"size": int, "label": str, "double": int} == option_types(spec)
    assert "A box." == spec.summary
    assert Box("red", 2, "x") == spec.factory(parse_ref("box:red"), settings_from(spec, {"size": 2, "label": "x"}))
    assert Box() == spec.factory(parse_ref("box"), settings_from(spec, {}))
    assert "box://host/x" == spec.factory(parse_ref("box://host/x"), settings_from(spec, {})).ref_rest


def test_the_reference_is_no_option():
    with pytest.raises(InvalidOption, match="ref_rest: unknown option"):
        settings_from(spec_for("toolkit", "box", Box), {"ref_rest": "x"})


class Plain:
    """A plain class."""

    def __init__(self, ref_rest: str, *, size: int = 1, more=None, **rest) -> None:
        if size > 9:
            raise ValueError("size is at most 9")
        self.facts = (ref_rest, size, more, rest)


def test_plain_class_takes_its_parameters_as_options():
    spec = spec_for("toolkit", "plain", Plain)

    assert ("x", 2, [1], {}) == spec.factory(parse_ref("plain:x"), settings_from(spec, {"size": 2, "more": [1]})).facts
    with pytest.raises(InvalidOption, match="size: found text, expected an integer"):
        settings_from(spec, {"size": "2"})
    with pytest.raises(InvalidOption, match="unknown option; known are size and more"):
        settings_from(spec, {"rest": 2})


def test_constructor_that_refuses_a_value_is_an_invalid_option():
    spec = spec_for("toolkit", "plain", Plain)

    with pytest.raises(InvalidOption, match="the toolkit 'plain' refused its options: size is at most 9"):
        spec.factory(parse_ref("plain:x"), settings_from(spec, {"size": 10}))


def test_a_required_rest_is_asked_for():
    spec = spec_for("toolkit", "plain", Plain)

    with pytest.raises(InvalidRef, match="the toolkit 'plain' needs a name behind it; write 'plain:…'"):
        spec.factory(parse_ref("plain"), settings_from(spec, {}))


def test_a_function_makes_the_object():
    def boxes(size: int = 1) -> list[int]:
        """Make boxes."""
        return [size]

    spec = spec_for("toolkit", "boxes", boxes)

    assert [3] == spec.factory(parse_ref("boxes"), settings_from(spec, {"size": 3}))
    assert "Make boxes." == spec.summary
    with pytest.raises(InvalidRef, match="the toolkit 'boxes' takes nothing behind its name; write 'boxes' alone"):
        spec.factory(parse_ref("boxes:x"), settings_from(spec, {}))


class Provider:
    """A factory object."""

    settings = Settings
    summary = "Models of a test"
    env = ("TEST_KEY",)
    auto = "provider:small"

    def __call__(self, ref, settings):
        return (ref.rest, settings.url)


def test_factory_object_brings_its_settings():
    spec = spec_for("model", "provider", Provider())

    assert (Settings, "Models of a test", ("TEST_KEY",), "provider:small") == (spec.settings, spec.summary, spec.env, spec.auto)
    assert ("x", "u") == spec.factory(parse_ref("provider:x"), settings_from(spec, {"url": "u"}))


def test_a_spec_is_taken_as_it_is():
    assert SPEC is spec_for("toolkit", "boxes", SPEC)


async def coroutine() -> None: ...


def positional(size, /) -> None: ...


@pytest.mark.parametrize("target", [3, "text", attrs, coroutine, positional])
def test_target_that_can_make_nothing_is_refused(target):
    with pytest.raises(PluginError):
        spec_for("toolkit", "boxes", target)
