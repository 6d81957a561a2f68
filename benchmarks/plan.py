"""Who runs, and what is measured of whom: the rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CONTESTANTS = {"openai_sdk": "peers", "agno_agents": "peers", "ergaster_openai": "ergaster", "ergaster_compatible": "ergaster"}
"""The module of each contestant, and the environment that it lives in; the first is what the others are compared to."""

ALL = tuple(CONTESTANTS)
FRAMEWORKS = ("agno_agents", "ergaster_compatible")
OURS = ("ergaster_openai", "ergaster_compatible")


@dataclass
class Row:
    """A measurement of some contestants.

    Attributes:
        key: Its name among the samples.
        measure: The function of `measures.py`, or `cold`.
        columns: The figures to show, by their name in a sample and what they are called.
        arguments: What the function is called with.
        contestants: Who takes part.
        rounds: Samples of each, taken in turns.
        scale: What a figure is divided by: a loop's steps.
    """

    key: str
    measure: str
    columns: dict[str, str]
    arguments: dict[str, Any] = field(default_factory=dict)
    contestants: tuple[str, ...] = ALL
    rounds: int = 7
    scale: int = 1


def rows(*, quick: bool) -> list[Row]:
    few = 3 if quick else 1
    rounds = 3 if quick else 7
    figures = {"ms": "until the agent is there, ms", "mib": "until the agent is there, MiB"}
    figures |= {"first_ms": "until the first reply, ms", "first_mib": "until the first reply, MiB"}
    found = [
        Row("cold start", "cold", figures, {"plugins": False}, rounds=rounds),
        Row("cold start, 200 plugins installed", "cold", figures, {"plugins": True}, OURS, rounds),
        Row("build an agent", "build", {"us": "µs", "kib": "KiB"}, {"count": 2000}, ALL[1:], rounds),
        *[
            Row(name, "run", {"us": "µs"}, {"model": model, "count": count // few}, ALL, rounds)
            for name, model, count in [
                ("text", "text", 150),
                ("one tool call", "tool", 100),
                ("8 parallel calls", "parallel", 60),
            ]
        ],
        Row("streamed token", "stream", {"us": "µs"}, {"count": 9 // few}, ALL, rounds),
        Row("50-step tool loop, per step", "run", {"us": "µs"}, {"model": "loop-50", "count": 1}, ALL, min(rounds, 5), 50),
        Row("200-step tool loop, per step", "run", {"us": "µs"}, {"model": "loop-200", "count": 1}, OURS, min(rounds, 5), 200),
        Row(
            "200 concurrent tool runs",
            "concurrent",
            {"per_s": "runs/s", "p99_ms": "p99 ms", "us": "CPU µs"},
            {"at_once": 200, "each": 2 if quick else 4},
            ALL,
            3 if quick else 5,
        ),
        Row("in-process model, text", "in_process", {"us": "µs"}, {"calls": 0, "count": 300 // few}, FRAMEWORKS, rounds),
        Row(
            "in-process model, one tool call", "in_process", {"us": "µs"}, {"calls": 1, "count": 200 // few}, FRAMEWORKS, rounds
        ),
    ]
    for messages in (10, 100, 500) if quick else (10, 100, 500, 10_000):
        who = FRAMEWORKS if messages <= 500 else FRAMEWORKS[1:]
        columns = {"ms": "ms", "kib_written": "KiB written"}
        arguments = {"messages": messages, "count": 10}
        found.append(Row(f"durable run, {messages:,} messages before", "durable", columns, arguments, who, 3))
    return found
