"""JSON Schemas that somebody else wrote."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from ergaster.errors import InvalidInput, SchemaError
from ergaster.schema import adapter_for


def problems_of(hint: Any, value: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        adapter_for(hint).load(value)
    return caught.value.problems


def test_raw_schema_checks_without_changing_the_value():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 2}, "b": {"enum": ["x", "y"]}, "c": {"anyOf": [{"type": "null"}]}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    adapter = adapter_for(schema)

    assert schema == adapter.json_schema
    assert {"a": 2, "b": "x"} == adapter.load({"a": 2, "b": "x"})
    assert {
        "a: found the text '2', expected an integer",
        "b: missing",
        "zoo: unknown field; known are a, b and c",
    } == set(problems_of(schema, {"a": "2", "zoo": 1}))
    assert {
        "a: found the number 1, expected at least 2",
        "b: found the text 'z', expected one of 'x' or 'y'",
        "c: found the number 1, expected null",
    } == set(problems_of(schema, {"a": 1, "b": "z", "c": 1}))


@pytest.mark.parametrize(
    "schema", [{"type": "strin"}, {"type": 3}, {"$ref": "http://localhost:1/x"}, {"pattern": "("}, {"$ref": "#/nope"}]
)
def test_raw_schema_that_is_none_is_an_error_and_nothing_is_fetched(schema):
    with pytest.raises(SchemaError):
        adapter_for(schema)


def test_nothing_is_fetched_for_a_raw_schema():
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):  # the library's name
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"type": "integer"}')

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(SchemaError):
                adapter_for({"$ref": f"http://127.0.0.1:{server.server_port}/schema.json"})
        finally:
            server.shutdown()
            thread.join()

    assert [] == asked


def test_pattern_of_a_raw_schema_takes_bounded_time():
    assert problems_of({"type": "string", "pattern": r"^(a+)+$(?!b)"}, "a" * 5000 + "!")
    assert problems_of({"type": "string", "pattern": r"^(a+)+$"}, "a" * 50_000 + "!")
