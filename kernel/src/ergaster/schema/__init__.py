"""Types as JSON Schemas, and strict loading of JSON values into them.

Nothing is coerced: the text `"3"` is no integer, `1` is no text, `true` no number. An integer is a number, and `1.0`
is the integer 1, as JSON Schema has it. All problems of a value are reported at once, each with its path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

from attrs import field, frozen

from ergaster.errors import InvalidInput
from ergaster.messages import Json, JsonObject
from ergaster.schema.misfits import MAX_DEPTH, Misfit, check_depth, invalid

if TYPE_CHECKING:
    from ergaster.schema.constraints import Constraint
    from ergaster.schema.docstrings import Docstring, parse_docstring
    from ergaster.schema.dumping import dump
    from ergaster.schema.nodes import Load
    from ergaster.schema.strict import strict_schema, without_nulls

__all__ = [
    "MAX_DEPTH",
    "Adapter",
    "Constraint",
    "Docstring",
    "adapter_for",
    "dump",
    "function_adapter",
    "parse_docstring",
    "strict_schema",
    "without_nulls",
]


_LATER = {
    "Constraint": "ergaster.schema.constraints",
    "Docstring": "ergaster.schema.docstrings",
    "dump": "ergaster.schema.dumping",
    "parse_docstring": "ergaster.schema.docstrings",
    "strict_schema": "ergaster.schema.strict",
    "without_nulls": "ergaster.schema.strict",
}


def __getattr__(name: str) -> Any:
    """Import what `import ergaster` does not need when somebody asks for it."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


@frozen(eq=False)
class Adapter:
    """A type, compiled.

    Attributes:
        json_schema: Its JSON Schema (draft 2020-12); the same bytes in every process. Not to be changed.
        name: What errors call the value.
        is_recursive: Whether the type contains itself.
    """

    json_schema: JsonObject
    _load: Load = field(repr=False)
    name: str = "the value"
    is_recursive: bool = False

    def load(self, value: Json) -> Any:
        """Return the Python value of a JSON value.

        Raises:
            InvalidInput: If it does not fit; with all problems and their paths.
        """
        try:
            if self.is_recursive:
                check_depth(value)
            return self._load(value)
        except Misfit as error:
            raise invalid(error, self.name, f"{self.name} does not fit") from None
        except RecursionError:
            raise InvalidInput(f"{self.name} is nested too deeply", problems=[f"{self.name}: nested too deeply"]) from None

    def dump(self, value: object) -> Json:
        """Return the JSON value of a Python value; `load` of it gives an equal one.

        Raises:
            InvalidInput: If something in it cannot become JSON.
        """
        from ergaster.schema.dumping import dump

        return dump(value)


def adapter_for(hint: Any) -> Adapter:
    """Return the adapter of a type hint, or of a JSON Schema given as a mapping.

    Classes are cached; hold on to the adapter of anything else.

    Raises:
        SchemaError: If the type cannot become a JSON Schema; names the class, the field, the type and the way out.
    """
    if isinstance(hint, Adapter):
        return hint
    if isinstance(hint, Mapping):
        from ergaster.schema.foreign import raw_load

        return Adapter(dict(hint), raw_load(hint))
    return _class_adapter(hint) if isinstance(hint, type) and not get_args(hint) else _compiled(hint)


def _compiled(hint: Any) -> Adapter:
    from ergaster.schema.compiler import Compiler
    from ergaster.schema.nodes import render

    compiler = Compiler()
    node, definition = compiler.root(hint)
    return Adapter(render(node, definition), node.load, is_recursive=compiler.is_recursive)


_class_adapter = lru_cache(maxsize=512)(_compiled)


def function_adapter(
    function: Callable[..., object], skip: frozenset[str] = frozenset(), *, names: Mapping[str, object] | None = None
) -> Adapter:
    """Return the adapter of a function's arguments; `load` returns them as a dictionary by parameter name.

    A parameter that is left out stays out, so that Python's default applies. `**extra: T` takes every further name
    with a value of type T; `*args` is refused, since a model names its arguments.

    Args:
        function: Its type hints are resolved in its own module.
        skip: Parameters that somebody else fills in.
        names: Further names that its type hints may use, such as local classes.

    Raises:
        SchemaError: If a parameter has no type hint, or one that cannot become a JSON Schema.
    """
    from ergaster.schema.compiler import Compiler
    from ergaster.schema.nodes import render

    compiler = Compiler()
    node = compiler.function(function, skip, names or {})
    return Adapter(render(node, None), node.load, name="the arguments", is_recursive=compiler.is_recursive)
