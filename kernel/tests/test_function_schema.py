"""The arguments of functions. The annotations of this module are postponed: all hints are resolved late."""

from __future__ import annotations

import enum
import math
import subprocess
import sys
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NotRequired,
    Required,
    TypedDict,
    Unpack,
)

import attrs
import pytest

from ergaster.errors import InvalidInput, SchemaError
from ergaster.schema import function_adapter

if TYPE_CHECKING:
    from nowhere import Hidden


class Unit(enum.Enum):
    """How warm."""

    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Film(TypedDict, total=False):
    """A film."""

    title: Required[str]
    year: int
    rating: NotRequired[Annotated[float, "0 to 10"]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(a): ...", "the function f(), 'a': it has no type hint; write one, such as `a: str`"),
        ("def f(a: complex): ...", "the function f(), 'a': the type complex cannot become"),
        ("def f(a: list[complex]): ...", "the function f(), 'a': the type complex cannot become"),
        ("def f(a: 'Nowhere'): ...", "cannot be resolved (NameError: name 'Nowhere' is not defined); define or import"),
        ("def f(*a: int): ...", "the function f(), '*a': a model names its arguments; take a list[...] instead"),
        ("def f(a: 1): ...", "the function f(), 'a'"),
    ],
)
def test_signature_that_cannot_become_a_schema_names_function_and_parameter(source, message):
    scope: dict[str, Any] = {}
    exec(source, scope)

    with pytest.raises(SchemaError) as caught:
        function_adapter(scope["f"])

    assert message in str(caught.value)


def test_hint_that_is_only_there_for_type_checkers_is_an_error_that_says_so():
    def find(hidden: Hidden) -> None: ...

    with pytest.raises(SchemaError, match="not in a function or under TYPE_CHECKING"):
        function_adapter(find)


def test_local_classes_are_found_while_their_function_runs():
    @attrs.frozen
    class Local:
        value: int
        inner: Local | None = None

    def use(local: Local) -> None: ...

    assert {"local": Local(1, Local(2))} == function_adapter(use).load({"local": {"value": 1, "inner": {"value": 2}}})


def test_a_parameter_may_have_any_name():
    def odd(
        self: int, schema: int, context: int, json: int, call: int, name: int, cls: int, value: int, args: int, load: int
    ) -> None: ...

    names = list(odd.__annotations__)[:-1]
    arguments = dict.fromkeys(names, 1)

    assert names == list(function_adapter(odd).json_schema["properties"])
    assert arguments == function_adapter(odd).load(arguments)


def test_further_keyword_arguments_are_checked_by_their_hint():
    def tag(name: str, **extra: int) -> None: ...

    adapter = function_adapter(tag)

    assert {"type": "integer"} == adapter.json_schema["additionalProperties"]
    assert {"name": "x", "a": 1} == adapter.load({"name": "x", "a": 1})
    with pytest.raises(InvalidInput, match="a: found the text 'z', expected an integer"):
        adapter.load({"name": "x", "a": "z"})


def test_keyword_arguments_that_a_typed_dict_names_are_parameters():
    def show(size: int, **film: Unpack[Film]) -> None: ...

    adapter = function_adapter(show)

    assert (["size", "title", "year", "rating"], ["size", "title"]) == (
        list(adapter.json_schema["properties"]),
        adapter.json_schema["required"],
    )
    assert {"size": 1, "title": "M"} == adapter.load({"size": 1, "title": "M"})


def test_default_of_none_makes_a_parameter_optional():
    def look(limit: int = None, where: Any = None) -> None: ...  # noqa: RUF013  # what users write

    adapter = function_adapter(look)

    assert {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None} == adapter.json_schema["properties"]["limit"]
    assert {"default": None} == adapter.json_schema["properties"]["where"]
    assert {"limit": None} == adapter.load({"limit": None})


def test_default_that_is_no_json_value_is_not_shown():
    def look(limit: int = math.inf, unit: Unit = Unit.CELSIUS) -> None: ...

    properties = function_adapter(look).json_schema["properties"]

    assert {"type": "integer"} == properties["limit"]
    assert "celsius" == properties["unit"]["default"]


def test_wrapped_functions_keep_the_hints_of_what_they_wrap():
    import functools

    def inner(city: str, days: int = 3) -> None: ...

    @functools.wraps(inner)
    def outer(*args, **kwargs):
        return inner(*args, **kwargs)

    assert ["city", "days"] == list(function_adapter(outer).json_schema["properties"])


def test_loading_plain_arguments_imports_neither_converters_nor_validators():
    code = (
        "import sys\nfrom ergaster.schema import function_adapter\n"
        "def f(a: str, b: int, c: float): ...\n"
        "assert function_adapter(f).load({'a': 'x', 'b': 1, 'c': 2})\n"
        "print([name for name in ('cattrs', 'jsonschema_rs', 'pydantic', 'annotated_types', 'anyio') if name in sys.modules])"
    )

    assert "[]" == subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
