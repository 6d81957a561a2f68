"""A process that streams one run as JSON lines, one for each line that it is sent; started by the tests beside it.

Usage: streamer.py BASE_URL DATABASE RUN_ID
    After each event it waits for a line on its standard input, so that its reader knows exactly how far it came.
"""

from __future__ import annotations

import asyncio
import json
import sys

from ergaster import Agent, Limits, tool
from ergaster.codec import write_event


@tool(idempotent=True)
async def look() -> str:
    """Look at something."""
    return "It is there."


def build_agent(base_url: str, database: str) -> Agent:
    """Return an agent that looks and then answers."""
    model = {"use": "openai_compatible:loopback-1", "base_url": base_url}
    return Agent(name="streamer", model=model, tools=[look], storage=f"sqlite:///{database}", limits=Limits(model_retries=0))


async def main(base_url: str, database: str, run_id: str) -> None:
    """Stream the run in step with the reader."""
    agent = build_agent(base_url, database)
    async for event in agent.astream("Look, and tell me.", run_id=run_id):
        line = {"offset": event.offset, "seq": event.seq, "durable": event.is_durable, "event": json.loads(write_event(event))}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
    await agent.kernel.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
