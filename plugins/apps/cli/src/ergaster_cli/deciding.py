"""Ask the person at the terminal what a paused run wants to know."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Literal, TypeAlias

from ergaster.events import Decision, Pending
from ergaster.messages import Json
from ergaster_cli.screen import Screen
from ergaster_cli.visible import escape, escape_line, show_arguments

__all__ = ["Consent", "decide"]

Consent: TypeAlias = Literal["ask", "yes", "no"]
"""Ask at the terminal; say yes to every call; say no to every call."""

_CONSENT_KINDS = ("confirm", "approval", "unfinished")


def decide(screen: Screen, pending: Sequence[Pending], consent: Consent) -> list[Decision] | None:
    """Return a decision for every question, or None when one is left open.

    Args:
        screen: Where to show and to ask.
        pending: What the run waits for.
        consent: What to do about questions of yes and no; values can only be asked for.
    """
    decisions: list[Decision] = []
    for each in pending:
        if each.kind in _CONSENT_KINDS and consent != "ask":
            decision: Decision | None = each.approve() if consent == "yes" else each.reject("refused beforehand with --no")
        elif screen.can_ask:
            decision = _ask(screen, each)
        else:
            decision = None
        if decision is None:
            return None
        decisions.append(decision)
    return decisions


def _ask(screen: Screen, pending: Pending) -> Decision | None:
    _show_question(screen, pending)
    if pending.kind == "unfinished":
        return _ask_unfinished(screen, pending)
    if pending.kind in _CONSENT_KINDS:
        return _ask_consent(screen, pending)
    if pending.kind == "external":
        text = _read("The result of the call: ")
        return None if text is None else pending.result(_as_json(text))
    schema = pending.schema or {}
    if pending.kind == "input" and isinstance(schema.get("properties"), dict):
        return _ask_fields(pending, schema["properties"])
    if options := _options(schema):
        return _ask_choice(screen, pending, options)
    text = _read("Your answer: ")
    return None if text is None else pending.answer(_as_value(text, schema))


def _show_question(screen: Screen, pending: Pending) -> None:
    """Show the call as it will run, whole, and the question."""
    headline = "may have been carried out before the interruption" if pending.kind == "unfinished" else "waits for you"
    screen.warn(f"The call of {escape_line(pending.call.name)} {headline}. Its arguments, exactly:", "bold")
    screen.warn(show_arguments(pending.call.arguments))
    if pending.question:
        screen.warn(escape(pending.question))


def _ask_consent(screen: Screen, pending: Pending) -> Decision | None:
    while (answer := _read("Let it run? [y]es, [n]o, or n and a reason: ")) is not None:
        word, _, rest = answer.partition(" ")
        if word.lower() in ("y", "yes"):
            return pending.approve()
        if word.lower() in ("n", "no"):
            return pending.reject(rest.strip())
        screen.warn("please type y or n")
    return None


def _ask_unfinished(screen: Screen, pending: Pending) -> Decision | None:
    question = "Run it [a]gain, [s]kip it, or type [d]one and its result when it did happen: "
    while (answer := _read(question)) is not None:
        word, _, rest = answer.partition(" ")
        if word.lower() in ("a", "again", "y", "yes"):
            return pending.approve()
        if word.lower() in ("s", "skip", "n", "no"):
            return pending.reject(rest.strip())
        if word.lower() in ("d", "done"):
            return pending.result(_as_json(rest.strip() or "done"))
        screen.warn("please type a, s or d")
    return None


def _options(schema: Json) -> list[Json]:
    if not isinstance(schema, dict):
        return []
    if schema.get("type") == "array":
        return _options(schema.get("items"))
    options = schema.get("enum")
    return list(options) if isinstance(options, list) else []


def _ask_choice(screen: Screen, pending: Pending, options: list[Json]) -> Decision | None:
    is_many = (pending.schema or {}).get("type") == "array"
    for number, option in enumerate(options, 1):
        screen.warn(f"  {number}. {escape_line(str(option))}")
    while (answer := _read("Numbers, with commas between them: " if is_many else "Number: ")) is not None:
        picked = [int(each) for each in answer.replace(",", " ").split() if each.isdecimal()]
        if picked and all(1 <= each <= len(options) for each in picked) and (is_many or len(picked) == 1):
            values = [options[each - 1] for each in picked]
            return pending.answer(values if is_many else values[0])
        screen.warn(f"please type {'numbers' if is_many else 'a number'} from 1 to {len(options)}")
    return None


def _ask_fields(pending: Pending, properties: dict[str, Json]) -> Decision | None:
    values: dict[str, Json] = {}
    for name, schema in properties.items():
        described = schema.get("description", "") if isinstance(schema, dict) else ""
        label = f"{escape_line(name)} ({escape_line(described)}): " if described else f"{escape_line(name)}: "
        text = _read(label)
        if text is None:
            return None
        values[name] = _as_value(text, schema)
    return pending.answer(values)


def _as_value(text: str, schema: Json) -> Json:
    """Return what was typed: text where the schema wants text, else JSON if it is JSON."""
    return text if isinstance(schema, dict) and schema.get("type") == "string" else _as_json(text)


def _as_json(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read(prompt: str) -> str | None:
    """Return a line that was typed, None at the end of the input; the prompt goes to standard error."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    return line.strip() if line else None
