"""A process that works on one run and can be made to kill itself at a given write; started by the tests beside it.

Usage: worker.py MODE BASE_URL DATABASE EFFECTS RUN_ID KILL_AT
    MODE is `start`, `resume` or `approve`. KILL_AT is `before:N` or `after:N` for the N-th write to the run's journal,
    or `never`. What the tools did to the world is appended to the file EFFECTS, one line for each act.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from ergaster import Agent, Limits, ToolContext, tool
from ergaster.contracts.storage import Entry, Order, Page, Record, Storage, Table
from ergaster.filters import Filter
from ergaster.kernel import default_kernel
from ergaster.messages import JsonObject


class KillingStorage(Storage):
    """Passes everything on, and kills this process at one write to a run's journal."""

    def __init__(self, inner: Storage, kill_at: str) -> None:
        self.inner = inner
        self.when, _, number = kill_at.partition(":")
        self.left = int(number or 0)
        self.writes = 0

    async def append(self, tenant: str, stream: str, data: Sequence[str], *, expected_seq: int | None = None) -> int:
        counts = stream.startswith("run:") and self.when != "never"
        self.left -= counts
        self.writes += stream.startswith("run:")
        if counts and self.left == 0 and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        seq = await self.inner.append(tenant, stream, data, expected_seq=expected_seq)
        if counts and self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return seq

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def put(self, table: Table, tenant: str, id: str, value: JsonObject, *, if_version: int | None = None) -> int:
        return await self.inner.put(table, tenant, id, value, if_version=if_version)

    async def get(self, table: Table, tenant: str, id: str) -> Record | None:
        return await self.inner.get(table, tenant, id)

    async def delete(self, table: Table, tenant: str, id: str, *, if_version: int | None = None) -> bool:
        return await self.inner.delete(table, tenant, id, if_version=if_version)

    async def query(
        self,
        table: Table,
        tenant: str,
        *,
        where: Filter | None = None,
        order: Order | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        return await self.inner.query(table, tenant, where=where, order=order, limit=limit, cursor=cursor)

    async def read(self, tenant: str, stream: str, **bounds: Any) -> Sequence[Entry]:
        return await self.inner.read(tenant, stream, **bounds)

    async def last_seq(self, tenant: str, stream: str) -> int:
        return await self.inner.last_seq(tenant, stream)

    async def drop(self, tenant: str, stream: str) -> None:
        await self.inner.drop(tenant, stream)

    def tail(self, tenant: str, stream: str, *, after: int = 0) -> AsyncIterator[Entry]:
        return self.inner.tail(tenant, stream, after=after)


def build_agent(base_url: str, database: str, effects: str, kill_at: str) -> Agent:
    """Return an agent with a tool that may be repeated, one that may not, and one that asks first."""

    def act(name: str, context: ToolContext) -> str:
        with Path(effects).open("a") as file:
            file.write(f"{name} {context.idempotency_key}\n")
        return f"{name} is done"

    @tool(idempotent=True)
    def look(context: ToolContext) -> str:
        """Look at something."""
        return act("look", context)

    @tool
    def send(context: ToolContext) -> str:
        """Send something that cannot be taken back."""
        return act("send", context)

    @tool(confirm=True)
    def pay(context: ToolContext) -> str:
        """Pay, once somebody has agreed."""
        return act("pay", context)

    storage = KillingStorage(default_kernel().storage(f"sqlite:///{database}"), kill_at)
    model = {"use": "openai_compatible:loopback-1", "base_url": base_url}
    return Agent(name="worker", model=model, tools=[look, send, pay], storage=storage, limits=Limits(model_retries=0))


async def main(mode: str, base_url: str, database: str, effects: str, run_id: str, kill_at: str) -> None:
    """Start, resume, or resume and agree to everything that is asked; print how it went."""
    agent = build_agent(base_url, database, effects, kill_at)
    if mode == "start":
        result = await agent.arun("Do it all.", run_id=run_id, session_id="s1")
    else:
        result = await agent.aresume(run_id, force=True)
        while mode == "approve" and result.status == "paused":
            result = await agent.aresume(run_id, [each.approve() for each in result.pending], force=True)
    sys.stdout.write(f"{result.status} {agent.storage.writes} {[each.kind for each in result.pending]} {result.text}\n")
    await agent.kernel.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
