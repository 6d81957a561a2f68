"""Which protocol a request speaks, and how a reply is written in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from ergaster.testing._loopback_messages import messages_body, messages_events
from ergaster.testing._loopback_wire import JsonDict, Reply, chat_body, chat_events, responses_body, responses_events

__all__ = ["event_bytes", "protocol_of", "render_body", "render_events", "request_id"]

_BODIES: dict[str, Callable[[Reply], JsonDict]] = {
    "chat": chat_body,
    "responses": responses_body,
    "messages": messages_body,
}
_EVENTS: dict[str, Callable[[Reply], Iterable[JsonDict]]] = {
    "chat": chat_events,
    "responses": responses_events,
    "messages": messages_events,
}
_REQUEST_ID = {"messages": "request-id"}


def protocol_of(path: str) -> str:
    """Return the protocol that is spoken at *path*."""
    return next((name for name in ("responses", "messages") if f"/{name}" in path), "chat")


def request_id(protocol: str) -> dict[str, str]:
    """Return the header field with the name of the request, as servers of *protocol* call it."""
    return {_REQUEST_ID.get(protocol, "x-request-id"): "req-1"}


def render_body(reply: Reply, protocol: str) -> JsonDict:
    """Return the body of *reply*."""
    return _BODIES[protocol](reply) if reply.body is None else reply.body


def render_events(reply: Reply, protocol: str) -> list[JsonDict]:
    """Return the events of *reply*."""
    return list(_EVENTS[protocol](reply) if reply.events is None else reply.events)


def event_bytes(event: JsonDict, framing: str, protocol: str) -> bytes:
    """Return one event as it goes over the wire."""
    name = f"event: {event['type']}\n" if protocol != "chat" and "type" in event else ""
    if framing == "multiline":
        data = "".join(f"data: {line}\n" for line in json.dumps(event, ensure_ascii=False, indent=1).split("\n"))
        return f"{name}{data}\n".encode()
    text = f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n"
    if framing == "comments":
        text = f": keep-alive\n\nid: 7\nretry: 10\n{text}"
    return text.replace("\n", {"crlf": "\r\n", "cr": "\r"}.get(framing, "\n")).encode()
