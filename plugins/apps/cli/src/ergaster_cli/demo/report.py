"""What the demo found out: parts, their claims, what each claim rests on, and what was stored."""

from __future__ import annotations

from attrs import asdict, define, field, frozen

from ergaster.messages import JsonObject
from ergaster_cli.screen import Screen

PARTS = 4
"""How many parts the demo has."""

__all__ = ["Claim", "Part", "Report", "Stored"]


@frozen
class Claim:
    """A statement and whether it was found to be true.

    Attributes:
        text: What is claimed.
        held: Whether it was so.
        evidence: What was looked at.
    """

    text: str
    held: bool
    evidence: str = ""


@define
class Part:
    """One part of the demo.

    Attributes:
        title: What it shows.
        seconds: How long it took.
        claims: What was checked.
        facts: Figures worth keeping.
        model: The model that answered, as its provider names it.
    """

    title: str
    seconds: float = 0.0
    claims: list[Claim] = field(factory=list)
    facts: dict[str, object] = field(factory=dict)
    model: str = ""

    def claim(self, text: str, held: bool, evidence: str = "") -> bool:
        """Add a claim and return whether it held."""
        self.claims.append(Claim(text, held, evidence))
        return held

    @property
    def held(self) -> bool:
        """Something was checked, and all of it was so."""
        return bool(self.claims) and all(claim.held for claim in self.claims)


@frozen(kw_only=True)
class Stored:
    """What lies in the database afterwards.

    Attributes:
        sessions: Rows of sessions.
        runs: Rows of runs.
        entries: Entries of all journals.
        entry_bytes: Bytes of their text.
        file_bytes: Bytes of the database's files on disk.
    """

    sessions: int
    runs: int
    entries: int
    entry_bytes: int
    file_bytes: int


@define
class Report:
    """The whole demo.

    Attributes:
        folder: Where everything lies.
        files: What the agent read.
        model: The reference that `auto` stood for.
        why: Why that one.
        preparation: Seconds until the model was ready, its download included.
        parts: What was gone through.
        stored: What lies in the database afterwards.
        problem: What kept it from going on.
    """

    folder: str
    files: str
    model: str = ""
    why: str = ""
    preparation: float = 0.0
    parts: list[Part] = field(factory=list)
    stored: Stored | None = None
    problem: str = ""

    @property
    def held(self) -> bool:
        """Every part was gone through, and every claim held."""
        return not self.problem and len(self.parts) == PARTS and all(part.held for part in self.parts)

    def as_json(self) -> JsonObject:
        """Return the report for a program."""
        parts = [{**asdict(part), "held": part.held} for part in self.parts]
        return {**asdict(self, filter=lambda field, _: field.name != "parts"), "parts": parts, "held": self.held}

    def show(self, screen: Screen) -> None:
        """Print the report for a person."""
        yes, no = ("✓", "✗") if screen.has_unicode() else ("ok", "NO")
        screen.line()
        screen.line("What happened")
        for number, part in enumerate(self.parts, 1):
            screen.line(f"{number}. {part.title}  ({part.seconds:.1f} s)")
            for claim in part.claims:
                screen.line(f"   {yes if claim.held else no} {claim.text}" + (f": {claim.evidence}" if claim.evidence else ""))
        if self.stored is not None:
            kept = self.stored
            screen.line(
                f"Stored: {kept.sessions} sessions, {kept.runs} runs, {kept.entries} journal entries "
                f"of {kept.entry_bytes} bytes; the database takes {kept.file_bytes} bytes"
            )
        why = f", {self.why}" if self.why else ""
        screen.line(f"Model: {self.model}{why}; ready after {self.preparation:.1f} s")
        screen.line(f"Folder: {self.folder}")
        if self.problem:
            screen.line(f"{no} {self.problem}")
        screen.line("Every claim held." if self.held else "Not every claim held.")
