"""A model server on the loopback address, for tests of model plugins and of whatever calls a model over HTTP.

It speaks Chat Completions, Responses and Messages, whole and as server-sent events, says what a test scripts, fails as
real servers fail, counts what it is asked, and records the bodies. It runs in a thread of its own, so that one server
serves several event loops and a stalled loop does not hide behind it.

Example:
    >>> from ergaster.testing.loopback import LoopbackServer, Reply, failing
    >>> with LoopbackServer(failing(503), Reply(text="Hello")) as server:
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Literal, TypeAlias

from attrs import evolve, field, frozen

from ergaster.testing._loopback_protocols import event_bytes, protocol_of, render_body, render_events, request_id
from ergaster.testing._loopback_wire import JsonDict, Reply

__all__ = [
    "Fault",
    "LoopbackServer",
    "ReceivedRequest",
    "Reply",
    "Step",
    "cut_body",
    "cut_stream",
    "failing",
    "hanging",
    "html_page",
    "rate_limited",
    "raw_body",
    "redirecting",
    "stream_error",
]

PATIENCE = 20.0
"""Seconds after which waiting for the server, or for something to happen there, is given up."""


@frozen(kw_only=True)
class Fault:
    """A way to fail; make one with the functions of this module.

    Attributes:
        status: The HTTP status.
        headers: Further header fields.
        body: The body.
        content_type: Its media type.
        mode: `answer` sends all of it; `cut` announces more bytes than it sends; `hang` sends nothing and waits for the
            client to give up; `stream` sends the reply's events up to `after` and then does what `ending` says.
        after: Events that are sent first.
        ending: `end` closes the stream in order; `reset` breaks the connection; `hang` waits for the client to give
            up; `error` sends the body as an event.
        reply: The reply whose events are sent.
    """

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""
    content_type: str = "application/json"
    mode: Literal["answer", "cut", "hang", "stream"] = "answer"
    after: int = 0
    ending: Literal["end", "reset", "hang", "error"] = "end"
    reply: Reply = field(factory=lambda: Reply(text="This answer will not arrive whole."))


Step: TypeAlias = Reply | Fault


@frozen
class ReceivedRequest:
    """What a client sent.

    Attributes:
        method: The HTTP method.
        path: The path, with the query.
        headers: Header fields by lower-case name.
        raw: The body's bytes.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes = field(repr=False)

    @property
    def body(self) -> JsonDict:
        """The body as JSON; empty when there is none."""
        return json.loads(self.raw) if self.raw else {}

    @property
    def protocol(self) -> str:
        """`chat`, `responses` or `messages`."""
        return protocol_of(self.path)


def failing(status: int, *, code: str = "", message: str = "it failed", kind: str = "", **headers: str) -> Fault:
    """Answer with an error in the protocol's shape; header names are written with underscores."""
    error = {"error": {"message": message, "type": kind or "error", "code": code or None, "param": None}}
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=status, headers=fields, body=json.dumps(error).encode())


def rate_limited(retry_after: float | datetime | None = None, *, now: datetime | None = None, code: str = "") -> Fault:
    """Answer 429; with a number of seconds, or a date (then *now* is the server's own `Date`)."""
    headers = {}
    if isinstance(retry_after, datetime):
        headers["retry_after"] = format_datetime(retry_after, usegmt=True)
    elif retry_after is not None:
        headers["retry_after"] = f"{retry_after:g}"
    if now is not None:
        headers["date"] = format_datetime(now, usegmt=True)
    return failing(429, code=code or "rate_limit_exceeded", message="slow down", **headers)


def hanging() -> Fault:
    """Take the request and say nothing until the client gives up."""
    return Fault(mode="hang")


def html_page(status: int = 200) -> Fault:
    """Answer with a web page, as a wrong address or a proxy does."""
    return Fault(status=status, body=b"<!doctype html><title>Welcome</title>", content_type="text/html")


def raw_body(body: bytes | JsonDict, *, status: int = 200, content_type: str = "application/json") -> Fault:
    """Answer with exactly this body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Fault(status=status, body=data, content_type=content_type)


def cut_body() -> Fault:
    """Announce a body and close the connection in the middle of it."""
    return Fault(mode="cut", body=b'{"id": "reply-1", "choices": [{"index": 0, "mess')


def redirecting(location: str, status: int = 302) -> Fault:
    """Send the client elsewhere."""
    return Fault(status=status, headers={"location": location})


def cut_stream(after: int = 3, ending: Literal["end", "reset", "hang"] = "end", reply: Reply | None = None) -> Fault:
    """Send some events of *reply*, then end the stream, break the connection, or fall silent."""
    fault = Fault(mode="stream", after=after, ending=ending)
    return evolve(fault, reply=reply) if reply else fault


def stream_error(after: int = 2, *, message: str = "it broke", code: str = "server_error") -> Fault:
    """Send some events, then an error as an event."""
    error = {"type": "error", "error": {"message": message, "type": code, "code": code}}
    return Fault(mode="stream", after=after, ending="error", body=json.dumps(error).encode())


class LoopbackServer:
    """Serves scripted replies in turn, then `default` for ever.

    Args:
        *steps: What to answer, one after the other.
        default: What to answer when the script is at its end: a step, or a function from the request to one.

    Attributes:
        requests: What came in, in order.
        default: What is answered when the script is at its end.
        connections: How many connections have been opened.
        open_connections: How many connections are open.
        together: How many requests must be waiting before any of them is answered; for tests of concurrency.
        patience: Seconds after which `wait_until` gives up.
    """

    def __init__(self, *steps: Step, default: Step | Callable[[ReceivedRequest], Step] | None = None) -> None:
        self.requests: list[ReceivedRequest] = []
        self.connections = 0
        self.open_connections = 0
        self.together = 1
        self.patience = PATIENCE
        self._script = deque(steps)
        self.default = default or Reply(text="ok")
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._waiting = 0
        self._gate: asyncio.Event | None = None
        self._port = 0

    def __enter__(self) -> LoopbackServer:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="loopback", daemon=True)
        self._thread.start()
        self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE)

    @property
    def origin(self) -> str:
        """The server's address without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """The address that a client is given."""
        return f"{self.origin}/v1"

    def say(self, *steps: Step) -> None:
        """Add steps to the script."""
        self._script.extend(steps)

    def wait_until(self, condition: Callable[[LoopbackServer], bool]) -> bool:
        """Block until *condition* holds, and say whether it did in time; call it off the event loop."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), self.patience)

    def _change(self, **by: int) -> None:
        with self._changed:
            for name, amount in by.items():
                setattr(self, name, getattr(self, name) + amount)
            self._changed.notify_all()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._gate = asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1000)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._change(open_connections=1, connections=1)
        try:
            while (request := await _read_request(reader)) is not None:
                with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                await self._gathered()
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()
            self._change(open_connections=-1)

    async def _gathered(self) -> None:
        """Wait until as many requests are here as `together` says."""
        if self.together <= 1 or self._gate is None:
            return
        self._waiting += 1
        if self._waiting >= self.together:
            self._gate.set()
        await self._gate.wait()

    async def _answer(self, request: ReceivedRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer, and say whether the connection may serve another request."""
        step = self._script.popleft() if self._script else self.default
        if not isinstance(step, Reply | Fault):
            step = step(request)
        stream = request.raw.startswith(b"{") and bool(request.body.get("stream"))
        if isinstance(step, Reply):
            if stream:
                return await _send_stream(writer, step, request.protocol)
            body = json.dumps(render_body(step, request.protocol)).encode()
            await _send_body(writer, 200, "application/json", body, request_id(request.protocol))
            return True
        if step.mode == "stream":
            return await _send_broken_stream(step, request.protocol, reader, writer)
        if step.mode == "hang":
            await reader.read()  # returns when the client closes
            return False
        headers = {**request_id(request.protocol), **step.headers}
        missing = 100 if step.mode == "cut" else 0
        await _send_body(writer, step.status, step.content_type, step.body, headers, missing=missing)
        return step.mode != "cut"


async def _read_request(reader: asyncio.StreamReader) -> ReceivedRequest | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    return ReceivedRequest(method, path, headers, await _read_body(reader, headers))


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def _send_body(
    writer: asyncio.StreamWriter,
    status: int,
    content_type: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    missing: int = 0,
) -> None:
    fields = {"content-type": content_type, "content-length": str(len(body) + missing), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 {status} Scripted\r\n{head}\r\n".encode("latin-1") + body)
    await writer.drain()


def _start_stream(writer: asyncio.StreamWriter, protocol: str) -> None:
    fields = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **request_id(protocol)}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode("latin-1"))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _send_stream(writer: asyncio.StreamWriter, reply: Reply, protocol: str) -> bool:
    _start_stream(writer, protocol)
    parts = [event_bytes(event, reply.framing, protocol) for event in render_events(reply, protocol)]
    if reply.done and protocol == "chat":
        parts.append(b"data: [DONE]\r\n\r\n" if reply.framing == "crlf" else b"data: [DONE]\n\n")
    if reply.framing == "bytes":
        parts = [bytes([byte]) for part in parts for byte in part]
    for part in parts:
        writer.write(_chunk(part))
        await writer.drain()
    writer.write(_chunk(b""))
    await writer.drain()
    return True


async def _send_broken_stream(fault: Fault, protocol: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    _start_stream(writer, protocol)
    for event in render_events(fault.reply, protocol)[: fault.after]:
        writer.write(_chunk(event_bytes(event, "lf", protocol)))
        await writer.drain()
    if fault.ending == "error":
        writer.write(_chunk(b"event: error\ndata: " + fault.body + b"\n\n"))
    if fault.ending in {"error", "end"}:
        writer.write(_chunk(b""))
        await writer.drain()
        return True
    if fault.ending == "hang":
        await reader.read()
        return False
    writer.transport.abort()
    return False
