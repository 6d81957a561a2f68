"""Arguments that a tool must survive: made from its schema, and from what models and attackers send."""

from __future__ import annotations

import dis
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from ergaster.messages import Json, JsonObject

__all__ = ["deep_json", "hostile_paths", "hostile_texts", "is_deliberate", "make_arguments", "misfits"]

_SAMPLES = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "uuid": "12345678-1234-5678-1234-567812345678",
    "email": "ada@example.org",
    "uri": "https://example.org/",
    "byte": "AAAA",
}
_PLAIN: Mapping[str, Json] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}, "null": None}
_WRONG_TYPES: tuple[Json, ...] = (None, True, 1, 1.5, "text", "true", "1", [], ["text"], {}, {"a": 1})
_MIB = 1024 * 1024


def make_arguments(schema: JsonObject) -> dict[str, Json]:
    """Return arguments that fit the required properties of a plain schema."""
    properties = schema.get("properties", {})
    return {name: _make_value(properties.get(name, {}), schema) for name in schema.get("required", ())}


def _make_value(schema: JsonObject, root: JsonObject) -> Json:
    if "$ref" in schema:
        return _make_value(root.get("$defs", {}).get(str(schema["$ref"]).rpartition("/")[2], {}), root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _make_value(schema[key][0], root)
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: _make_value(schema.get("properties", {}).get(name, {}), root) for name in schema.get("required", ())}
    if kind == "array":
        return [_make_value(schema.get("items", {}), root)] * int(schema.get("minItems", 0))
    if kind in {"integer", "number"} and "minimum" in schema:
        return schema["minimum"]
    text = _SAMPLES.get(str(schema.get("format")), "text")
    return text.ljust(int(schema.get("minLength", 0)), "x") if kind == "string" else _PLAIN[kind]


def misfits(schema: JsonObject, base: JsonObject) -> Iterator[dict[str, Json]]:
    """Yield arguments that do not fit the schema: one missing, one too many, one of each wrong type."""
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(dict(schema))
    for name in schema.get("required", ()):
        yield {key: value for key, value in base.items() if key != name}
    if not schema.get("additionalProperties", False):
        yield {**base, "surprise_argument": 1}
    for name in schema.get("properties", {}):
        for value in _WRONG_TYPES:
            changed = {**base, name: value}
            if not validator.is_valid(changed):
                yield changed


def hostile_texts() -> tuple[str, ...]:
    """Return texts that have broken programs: empty, broken, invisible, huge, and in the syntax of others."""
    return (
        "",
        " ",
        "\0",
        "a\0b",
        "\ud800",
        "a\udfffb",
        "\u202eevil\u2066",
        "\u200b\ufeff\U000e0041",
        "\r\n\x1b[2J\x07",
        "données 文件 👩\u200d💻 ﷽",
        "x" * (8 * _MIB),
        "(" * 50_000,
        "a" * 50_000 + "!",
        "9" * 5_000,
        "-1",
        "NaN",
        "1e999",
        "--output=evil",
        "-rf",
        "'; DROP TABLE users; --",
        "$(touch evil) `touch evil` ; touch evil | touch evil",
        "{{7*7}} ${7*7} #{7*7} %s {0.__class__}",
        "__import__('os').system('touch evil')",
        "http://127.0.0.1:9/",
        "(a+)+$",
        "*" * 1_000,
    )


def hostile_paths(outside: Path) -> tuple[str, ...]:
    """Return spellings of a way to *outside*, which lies beside the working folder."""
    name = f"{outside.name}/canary.txt"
    return (
        f"../{name}",
        f"./../{name}",
        f"folder/../../{name}",
        str(outside / "canary.txt"),
        f"/{outside / 'canary.txt'}",
        f"file://{outside / 'canary.txt'}",
        f"..\\{outside.name}\\canary.txt",
        f"..%2f{outside.name}%2fcanary.txt",
        f"../{name}\0.txt",
        "link/canary.txt",
        "link",
        "..",
        "~/canary.txt",
        "C:\\Windows\\win.ini",
        "CON",
        "/etc/passwd",
        "/dev/null",
        "a/" * 5_000,
        "**/" * 200 + "*",
    )


def deep_json(levels: int = 5_000) -> str:
    """Return the JSON text of lists inside lists."""
    return "[" * levels + "]" * levels


def is_deliberate(error: Exception, package: str) -> bool:
    """Say whether code of *package* raised the error with a `raise` of its own, instead of stumbling over it.

    A failed `assert` is a stumble.
    """
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or not str(error) or isinstance(error, AssertionError):
        return False
    frame = last.tb_frame
    is_raise = dis.opname[frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"
    return is_raise and str(frame.f_globals.get("__name__", "")).partition(".")[0] == package.partition(".")[0]
