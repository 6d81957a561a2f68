"""One of several processes on one database; started by the tests beside it, and told what to do line by line.

Usage: crowd.py DATABASE NAME
    A line on standard input is a command and its argument: `approve RUN` agrees to all that the run asks, `resume RUN`
    goes on with it, `talk SESSION` runs once in the session and keeps a key in its state, `hold RUN` runs a tool that
    waits for another line. Each outcome is a line of JSON on standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from ergaster import Agent, ToolContext, tool
from ergaster.contracts.model import ModelRequest
from ergaster.errors import ErgasterError
from ergaster.events import Decision
from ergaster.messages import ToolCall
from ergaster.testing import ScriptedModel
from ergaster.testing.scripted import Reply


def say(value: object) -> None:
    """Write an outcome."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def reply(request: ModelRequest) -> Reply:
    """Call the tool that the input names, then answer."""
    last = request.messages[-1]
    if last.role == "tool":
        return "Done."
    name, _, argument = last.text.partition(" ")
    return [ToolCall("c1", name, json.dumps({"key": argument}) if argument else "{}")]


def build_agent(database: str, name: str, *, is_patient: bool = True) -> Agent:
    """Return an agent whose tools act on a file beside the database."""
    effects = Path(database).with_name("effects")

    def act(what: str) -> None:
        with effects.open("a") as file:
            file.write(f"{what}\n")

    @tool(confirm=True)
    async def pay(context: ToolContext) -> str:
        """Pay."""
        act(f"pay {context.idempotency_key}")
        return "paid"

    @tool
    async def note(key: str, context: ToolContext) -> str:
        """Keep a key in the state."""
        context.session_state[key] = name
        return "noted"

    @tool(idempotent=True)
    async def hold(context: ToolContext) -> str:
        """Wait for a word."""
        if is_patient:
            say("holding")
            await asyncio.to_thread(sys.stdin.readline)
        act(f"hold {name}")
        return f"held by {name}"

    return Agent(
        name="crowd", model=ScriptedModel(reply), tools=[pay, note, hold], storage=f"sqlite:///{database}", history=False
    )


async def work(agent: Agent, name: str, command: str, argument: str, number: int) -> Any:
    """Carry out one command and return its outcome."""
    try:
        if command == "approve":
            return (await agent.aresume(argument, [Decision("c1:confirm", "approve")])).status
        if command == "resume":
            return (await agent.aresume(argument)).text
        if command == "hold":
            return (await agent.arun("hold", run_id=argument)).text
        key = f"{name}-{number}"
        return (await agent.arun(f"note {key}", session_id=argument, run_id=key)).status
    except ErgasterError as error:
        return type(error).__name__


async def main(database: str, name: str) -> None:
    """Carry out commands until there are no more."""
    agent = await build_agent(database, name).aopen()
    say("ready")
    number = 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        number += 1
        say(await work(agent, name, *line.split(), number))
    await agent.kernel.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
