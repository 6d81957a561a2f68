"""A loopback server that speaks Chat Completions: plain asyncio, every reply rendered beforehand.

The model's name says what is wanted: `text`, `tool`, `parallel`, `loop-50`, `stream-520`; the path may hold a latency
in milliseconds: `/delay/50/v1/chat/completions`. It prints its port and ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys

from replies import STREAM_LENGTHS, stream_reply, text_reply, tool_reply

TEXT = text_reply()
PARALLEL = tool_reply(0, 8)
TOOLS = [tool_reply(turn) for turn in range(1001)]
STREAMS = {tokens: stream_reply(tokens) for tokens in STREAM_LENGTHS}
MODEL = re.compile(rb'"model":\s*"([a-z]+)-?(\d*)"')


def choose(body: bytes) -> bytes:
    found = MODEL.search(body)
    if found is None:
        raise ValueError("the request names no model")
    name, number = found[1], int(found[2] or 0)
    results = body.count(b'"tool_call_id"')
    if name == b"stream":
        return STREAMS[number]
    if name == b"parallel":
        return TEXT if results else PARALLEL
    wanted = {b"tool": 1, b"loop": number}.get(name, 0)
    return TOOLS[results] if results < wanted else TEXT


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if b"content-length:" in head else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            delay = head.split(b"/", 3)
            reply = choose(body)
            if delay[1] == b"delay":
                asyncio.get_running_loop().call_later(int(delay[2]) / 1000, self.transport.write, reply)
            else:
                self.transport.write(reply)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    asyncio.run(main())
