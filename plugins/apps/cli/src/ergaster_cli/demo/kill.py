"""The last part: a run is killed from outside at a random moment, and another process carries it on."""

from __future__ import annotations

import time
from pathlib import Path

from attrs import frozen

from ergaster.contracts.storage import Entry
from ergaster.events import ModelCompleted, ToolStarted
from ergaster_cli.demo.parts import new_files, timed
from ergaster_cli.demo.processes import Child
from ergaster_cli.demo.proof import Counts, Evidence, events_of
from ergaster_cli.demo.report import Part
from ergaster_cli.demo.stage import Stage, text_arguments
from ergaster_cli.exits import Exit

__all__ = ["survive_a_kill"]

_ATTEMPTS = 8
_LONGEST_PAUSE = 0.3
"""How long the kill may wait after its entry, as a part of the time that the first model call took."""
_MORE_STEPS = 6
"""How many entries after the first paid model call the kill may wait for, at most."""


@frozen
class _Killed:
    """A run that was killed half-way."""

    run_id: str
    entries: tuple[Entry, ...]
    code: int
    attempt: int
    count_before: int | None


def survive_a_kill(stage: Stage) -> Part:
    """Kill a process half-way, resume its run in another one, and compare what was paid with what was finished."""
    part = Part("A run is killed (SIGKILL) half-way; another process carries it on")
    with timed(part):
        known = set(new_files(stage, set()))
        killed = _kill_one(stage, part)
        if killed is None:
            part.claim("a run was killed half-way", False, f"{_ATTEMPTS} runs ended before the kill; try again")
            return part
        count_killed = stage.settled_count()
        resumed = stage.run("--resume", killed.run_id, "--yes")
        count_after = stage.settled_count()
        counts = None
        if killed.count_before is not None and count_killed is not None and count_after is not None:
            counts = Counts(before=killed.count_before, killed=count_killed, after=count_after)
        evidence = Evidence(at_kill=killed.entries, at_end=stage.store.entries(killed.run_id), counts=counts)
        part.model = resumed.model
        _claim_all(part, killed, evidence, resumed.code)
        _claim_file(stage, part, evidence, known)
    return part


def _kill_one(stage: Stage, part: Part) -> _Killed | None:
    """Start runs until one is killed between its first paid model call and its end."""
    for attempt in range(1, _ATTEMPTS + 1):
        count = stage.settled_count()
        name = f"sea-{stage.chance.randrange(1000, 10000)}.md"
        prompt = f"Write a file named {name} with one short sentence about the sea. Then tell me what you wrote."
        child = stage.start("scribe", prompt, "--yes")
        try:
            run_id = _kill_at_random(stage, child)
        finally:
            if child.is_alive:
                child.kill()
        entries = stage.store.entries(run_id) if run_id else ()
        if entries and Evidence(at_kill=entries, at_end=entries).was_in_the_middle:
            part.facts |= {"run": run_id, "attempts": attempt}
            return _Killed(run_id, entries, child.wait(), attempt, count)
        stage.screen.note("  the run ended before the kill; drawing again")
    return None


def _kill_at_random(stage: Stage, child: Child) -> str:
    """Kill the process a random number of entries and a random time after its first paid model call.

    The process tells of each entry once it is committed; it does not know that it will be killed, nor when.
    """
    more = stage.chance.randrange(_MORE_STEPS + 1)
    target: int | None = None
    pause = 0.0
    for event in child.events():
        if target is None and isinstance(event, ModelCompleted):
            target = event.seq + more
            # Half of the time at once, which hits the quick steps around the tool; else while the model works again.
            pause = stage.chance.choice((0.0, stage.chance.uniform(0, event.duration * _LONGEST_PAUSE)))
        if target is not None and event.is_durable and event.seq >= target:
            time.sleep(pause)
            break
    child.kill()
    return child.run_id


def _claim_all(part: Part, killed: _Killed, evidence: Evidence, code: int) -> None:
    last = events_of(evidence.at_kill)[-1].kind
    part.facts |= {
        "entries_at_kill": len(evidence.at_kill),
        "entries_at_end": len(evidence.at_end),
        "last_entry_at_kill": last,
        "model_calls_finished_before": evidence.paid_before,
        "model_calls_finished_after": evidence.paid_after,
        "began_twice": evidence.repeated_calls(),
    }
    where = f"exit code {killed.code}, after entry {len(evidence.at_kill)} of {len(evidence.at_end)} ({last})"
    part.claim("the process was killed half-way, from outside", killed.code < 0 or killed.code == 1, where)
    part.claim("another process resumed the run and finished it", code == Exit.OK and evidence.is_complete)
    kept = f"{len(evidence.at_kill)} entries, equal byte by byte"
    part.claim("nothing that was finished was lost or done again", evidence.kept_every_entry, kept)
    counts = evidence.counts
    if counts is None:
        seen = (
            "by the journal alone, for the vendor's own count cannot be read here: "
            f"{evidence.paid_before} finished calls before the kill, {evidence.paid_after} after it"
        )
    else:
        part.facts |= {
            "requests_before_kill": counts.killed - counts.before,
            "requests_after_kill": counts.after - counts.killed,
        }
        seen = (
            f"the model server took {counts.killed - counts.before} requests before the kill ({evidence.paid_before} finished, "
            f"{evidence.lost_in_flight} in flight) and {counts.after - counts.killed} after it; "
            f"the journal has {evidence.paid_before} and {evidence.paid_after} finished calls"
        )
    part.claim("no finished model call was paid for twice", evidence.paid_once, seen)


def _claim_file(stage: Stage, part: Part, evidence: Evidence, known: set[Path]) -> None:
    events = events_of(evidence.at_end)
    asked = {text for event in events if isinstance(event, ToolStarted) for text in text_arguments(event.call)}
    written = new_files(stage, known)
    fits = bool(written) and any(file.read_text(encoding="utf-8") in asked for file in written)
    part.claim("the file on disk is what the run's tool call says", fits, ", ".join(file.name for file in written))
