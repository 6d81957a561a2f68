"""The one boundary at which a conversation is checked and repaired before a model sees it."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from ergaster.messages import Message, Part, ToolCall, ToolResult

__all__ = ["repair", "unique_call_ids"]

MISSING = "This call has no result: it was interrupted. Whether it acted is unknown."


def repair(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return the messages such that every provider accepts them.

    Every tool call is followed at once by exactly one result, missing ones explained, results in the order of the
    calls; results without a call, repeated results, and messages without parts are left out; system messages come first.
    Messages that are right already are returned themselves, so that prompt caches hit and no adapter encodes them again.
    """
    system: list[Message] = []
    others: list[Message] = []
    open_calls: dict[str, ToolCall] = {}
    results: dict[str, ToolResult] = {}

    def close() -> None:
        if open_calls:
            others.append(_results_message(open_calls, results))
            open_calls.clear()
            results.clear()

    for message in messages:
        if message.role == "tool":
            if not results and _answers(message, open_calls):
                others.append(message)
                open_calls.clear()
                continue
            for part in message.parts:
                if isinstance(part, ToolResult) and part.call_id in open_calls:
                    results.setdefault(part.call_id, part)
            if open_calls.keys() == results.keys():
                close()
            continue
        if not message.parts:
            continue
        if message.role == "system":
            system.append(message)
            continue
        close()
        others.append(message)
        if message.role == "assistant":
            open_calls.update((part.id, part) for part in message.parts if isinstance(part, ToolCall))
    close()
    return (*system, *others)


def _answers(message: Message, calls: dict[str, ToolCall]) -> bool:
    """Say whether a message holds the results of *calls*, all of them, in their order, and nothing else."""
    if not calls or len(message.parts) != len(calls):
        return False
    return all(
        isinstance(part, ToolResult) and part.call_id == identifier
        for part, identifier in zip(message.parts, calls, strict=True)
    )


def _results_message(calls: dict[str, ToolCall], results: dict[str, ToolResult]) -> Message:
    missing = (ToolResult(call.id, call.name, content=MISSING, is_error=True) for call in calls.values())
    return Message("tool", tuple(results.get(result.call_id, result) for result in missing))


def unique_call_ids(message: Message, taken: set[str]) -> Message:
    """Return *message* with new ids for tool calls whose id is empty, repeated, or in *taken*."""
    seen = set(taken)
    parts: list[Part] = []
    changed = False
    for part in message.parts:
        if isinstance(part, ToolCall):
            identifier, number = part.id, 1
            while not identifier or identifier in seen:
                number += 1
                identifier = f"{part.id or 'call'}_{number}"
            seen.add(identifier)
            changed = changed or identifier != part.id
            parts.append(part if identifier == part.id else evolve(part, id=identifier))
        else:
            parts.append(part)
    return evolve(message, parts=tuple(parts)) if changed else message
