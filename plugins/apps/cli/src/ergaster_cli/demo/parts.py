"""The first three parts: answer with a tool, remember across processes, ask before writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ergaster.events import RunCompleted, ToolCompleted
from ergaster.messages import StopReason, ToolCall
from ergaster_cli.deciding import decide
from ergaster_cli.demo.report import Part
from ergaster_cli.demo.stage import Outcome, Stage, text_arguments
from ergaster_cli.exits import Exit

__all__ = ["answer_with_a_tool", "ask_before_writing", "new_files", "recall", "timed"]

_ATTEMPTS = 3
"""A small model does not always do as it is told; how often it is asked, each time in a new run, is reported."""

_QUESTIONS = (
    "My code word is {word}. What does the file {file} say?",
    "What does the file {file} say? And remember: my code word is {word}.",
    "My code word is {word}. Read the file {file} and tell me in one sentence what it is about.",
)
_SHORT = (150, 1500)
"""Bytes of a file that a small model on a small machine reads quickly."""

_ANIMALS = ("heron", "otter", "lynx", "badger", "falcon", "salmon", "beaver", "raven")


@contextmanager
def timed(part: Part) -> Iterator[None]:
    """Take the time of a part."""
    begin = time.monotonic()
    try:
        yield
    finally:
        part.seconds = round(time.monotonic() - begin, 2)


def _try(ask: Callable[[int], Outcome], is_good: Callable[[Outcome], bool]) -> tuple[Outcome, int]:
    """Ask until the outcome is good, and return it and how often was asked."""
    outcome = ask(1)
    attempt = 1
    while attempt < _ATTEMPTS and not is_good(outcome):
        attempt += 1
        outcome = ask(attempt)
    return outcome, attempt


def answer_with_a_tool(stage: Stage, session: str) -> tuple[Part, str]:
    """Let the agent read a real file; return the part and the code word that it was told."""
    part = Part("An agent answers with a tool, over real files")
    word = f"{stage.chance.choice(_ANIMALS)}-{stage.chance.randrange(100, 1000)}"
    chosen: list[Path] = []

    def ask(attempt: int) -> Outcome:
        chosen.append(_a_file(stage))
        prompt = _QUESTIONS[attempt - 1].format(word=word, file=chosen[-1].relative_to(stage.files).as_posix())
        return stage.run("reader", prompt, "--session", f"{session}-{attempt}")

    def has_read(outcome: Outcome) -> bool:
        return any(_shows(chosen[-1], result) for result in _tool_results(outcome))

    def is_good(outcome: Outcome) -> bool:
        return has_read(outcome) and bool(outcome.text.strip()) and not _hit_a_limit(outcome)

    with timed(part):
        outcome, attempts = _try(ask, is_good)
    part.model = outcome.model
    part.facts = {"session": f"{session}-{attempts}", "run": outcome.run_id, "attempts": attempts, "file": str(chosen[-1])}
    part.claim("the model called a tool that read the real file", has_read(outcome), _lines_of(chosen[-1], stage.files))
    is_answered = outcome.code == Exit.OK and bool(outcome.text.strip())
    part.claim("it answered", is_answered, f"{len(outcome.text)} characters")
    return part, word


def _a_file(stage: Stage) -> Path:
    """Return one of the short text files, drawn at random; any text file where none is short."""
    found = [file for file in stage.files.rglob("*.md") if not any(part.startswith(".") for part in file.parts)]
    found = found or [file for file in stage.files.rglob("*.py") if file.stat().st_size]
    short = [file for file in found if _SHORT[0] <= file.stat().st_size <= _SHORT[1]]
    return stage.chance.choice(sorted(short) or sorted(found))


def _lines_of(file: Path, folder: Path) -> str:
    return f"{file.relative_to(folder)}, {len(file.read_text(encoding='utf-8').splitlines())} lines"


def _hit_a_limit(outcome: Outcome) -> bool:
    return any(isinstance(event, RunCompleted) and event.stop_reason is StopReason.LIMIT for event in outcome.events)


def _tool_results(outcome: Outcome) -> list[str]:
    return [event.result.content for event in outcome.events if isinstance(event, ToolCompleted)]


def _shows(file: Path, result: str) -> bool:
    """Say whether *result* holds lines of the file as it lies on disk."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()][:3]
    return bool(lines) and all(line in result for line in lines)


def recall(stage: Stage, session: str, word: str) -> Part:
    """Continue the session in another process, and ask for what was said."""
    part = Part("A second process continues the session and recalls what was said")
    question = "Which code word did I tell you? Answer with the code word."

    def knows(outcome: Outcome) -> bool:
        return word in outcome.text.lower()

    with timed(part):
        outcome, attempts = _try(lambda _: stage.run("reader", question, "--session", session), knows)
    part.model = outcome.model
    part.facts = {"session": session, "run": outcome.run_id, "attempts": attempts}
    part.claim("it knows the code word, drawn at random for this demo, from the database alone", knows(outcome), word)
    return part


def ask_before_writing(stage: Stage) -> Part:
    """Let a tool that writes wait for consent, decide, and look whether the file is there."""
    part = Part("A tool that writes asks first")
    with timed(part):
        before = new_files(stage, set())
        outcome = _run_until_it_asks(stage, part)
        pending = outcome.pending
        untouched = not new_files(stage, set(before))
        asked = outcome.code == Exit.PAUSED and bool(pending)
        part.claim("the run stopped and asked, and nothing was written", asked and untouched, f"{len(pending)} questions")
        if not asked:
            return part
        decisions = decide(stage.screen, pending, "yes" if stage.says_yes else "ask")
        if decisions is None:
            part.claim("somebody decided", False, "nobody answered; use --yes where there is no terminal")
            return part
        consent = all(decision.verdict == "approve" for decision in decisions)
        resumed = stage.run("--resume", outcome.run_id, "--yes" if consent else "--no")
        written = new_files(stage, set(before))
        _claim_the_file(part, [each.call for each in pending], written, consent=consent)
        part.claim("another process carried the run to its end", resumed.code == Exit.OK, resumed.text.strip()[:80])
    return part


def _run_until_it_asks(stage: Stage, part: Part) -> Outcome:
    def ask(_: int) -> Outcome:
        name = f"note-{stage.chance.randrange(1000, 10000)}.md"
        return stage.run("scribe", f"Write a file named {name} with one short sentence about rivers.")

    outcome, attempts = _try(ask, lambda outcome: bool(outcome.pending))
    part.model = outcome.model
    part.facts = {"run": outcome.run_id, "attempts": attempts}
    return outcome


def _claim_the_file(part: Part, calls: list[ToolCall], written: list[Path], *, consent: bool) -> None:
    if not consent:
        part.claim("it was refused, and nothing was written", not written)
        return
    approved = {text for call in calls for text in text_arguments(call)}
    fits = bool(written) and all(file.read_text(encoding="utf-8") in approved for file in written)
    names = ", ".join(file.name for file in written)
    part.claim("the file is there, with the text that was approved", fits, names)


def new_files(stage: Stage, known: set[Path]) -> list[Path]:
    """Return the notes that are not among the *known* ones."""
    return sorted(file for file in stage.notes.rglob("*") if file.is_file() and file not in known)
