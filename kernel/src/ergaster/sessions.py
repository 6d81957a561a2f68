"""Sessions and runs as they are stored: records that are found by index, and a stream of finished turns.

A turn is appended to its session just before the run's own journal says that it is complete, so that a completed run
is always in its session's history. A crash in between leaves the turn twice after the resume; readers count each run
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from ergaster.codec import decode, dump_json, encode, load_json
from ergaster.contracts.context import Turn
from ergaster.contracts.storage import Entry, Order, Record, Storage, Table
from ergaster.errors import AccessDenied, InvalidInput, StorageConflict, StorageCorrupt
from ergaster.filters import Eq
from ergaster.messages import Json, JsonObject, Usage
from ergaster.state import RunState

__all__ = ["LEASE", "RUNS", "SESSIONS", "SessionLog", "lease_is_live", "save_run", "user_sessions"]

SESSIONS = Table("sessions", (("user_id", "text"), ("created_at", "text"), ("updated_at", "text"), ("title", "text")))
RUNS = Table(
    "runs",
    (
        ("session_id", "text"),
        ("user_id", "text"),
        ("status", "text"),
        ("runnable", "text"),
        ("parent_run_id", "text"),
        ("lease_until", "text"),
        ("created_at", "text"),
    ),
)

LEASE = timedelta(seconds=8)
"""How long a run stays its owner's without a sign of life; a live owner renews it three times as often."""


def _now() -> datetime:
    return datetime.now(UTC)


async def save_run(storage: Storage, tenant: str, state: RunState, *, created_at: str, is_live: bool) -> None:
    """Write the run's record: what lists and workers look for; the journal stays the truth."""
    value = {
        "session_id": state.session_id,
        "user_id": state.user_id,
        "status": state.status,
        "runnable": state.runnable,
        "parent_run_id": state.parent_run_id,
        "epoch": state.epoch,
        "owner": state.owner,
        "lease_until": (_now() + LEASE).isoformat() if is_live else None,
        "created_at": created_at,
        "usage": encode(state.usage),
    }
    await storage.put(RUNS, tenant, state.run_id, value)


def lease_is_live(record: Record | None) -> bool:
    """Say whether the run's owner gave a sign of life within the lease."""
    until = record.value.get("lease_until") if record else None
    return until is not None and datetime.fromisoformat(until) > _now()


async def user_sessions(storage: Storage, tenant: str, user_id: str, *, limit: int = 50) -> Sequence[Record]:
    """Return the records of up to *limit* (1 to 1,000) sessions that belong to the user, the last used first.

    Sessions that were begun without a user belong to nobody and are never among them.
    """
    order = Order("updated_at", descending=True)
    return (await storage.query(SESSIONS, tenant, where=Eq("user_id", user_id), order=order, limit=limit)).records


class SessionLog:
    """One session of one tenant."""

    def __init__(self, storage: Storage, tenant: str, session_id: str) -> None:
        self.storage = storage
        self.tenant = tenant
        self.session_id = session_id
        self._record: Record | None = None
        self._is_stored = False

    @property
    def stream(self) -> str:
        """The name of the session's stream."""
        return f"session:{self.session_id}"

    async def open(self, user_id: str | None) -> dict[str, Json]:
        """Check whose session it is and return its state; a session that is not there begins with the first save.

        Raises:
            AccessDenied: If the session belongs to another user.
        """
        record = await self.storage.get(SESSIONS, self.tenant, self.session_id)
        self._record = record
        if record is None:
            return {}
        owner = record.value.get("user_id")
        if owner is not None and owner != user_id:
            raise AccessDenied(
                f"session {self.session_id!r} does not exist for this user; leave session_id out to begin a new one"
            )
        return dict(record.value.get("state") or {})

    async def create(self, user_id: str | None) -> None:
        """Write the session's record if it is not there."""
        if self._record is not None:
            return
        now = _now().isoformat()
        value: JsonObject = {"user_id": user_id, "title": "", "state": {}, "created_at": now, "updated_at": now, "turns": 0}
        try:
            version = await self.storage.put(SESSIONS, self.tenant, self.session_id, value, if_version=0)
        except StorageConflict:
            await self.open(user_id)
            return
        self._record = Record(self.session_id, value, version, _now())

    async def last_seq(self) -> int:
        """Return the number of the last turn's entry."""
        return 0 if self._record is None else await self.storage.last_seq(self.tenant, self.stream)

    async def add_turn(self, turn: Turn) -> None:
        """Append a finished turn."""
        value = encode(turn)
        value.pop("seq", None)
        await self.storage.append(self.tenant, self.stream, [dump_json(value)])

    async def turns(self, limit: int, *, before: int | None = None) -> Sequence[Turn]:
        """Return up to *limit* of the newest turns below *before*, oldest first, each run once, as it ended."""
        entries = await self.storage.read(self.tenant, self.stream, before=before, limit=limit * 2, newest_first=True)
        found: dict[str, Turn] = {}
        for entry in entries:
            if len(found) == limit:
                break
            turn = _read_turn(entry)
            found.setdefault(turn.run_id, turn)
        return tuple(reversed(found.values()))

    async def update(
        self, *, changed: Mapping[str, Json] | None = None, removed: Sequence[str] = (), finished: Usage | None = None
    ) -> None:
        """Merge a change into the record: keys of the state, and what a finished turn used; other runs' keys are kept."""
        record = self._record
        while True:
            if record is None:
                record = await self.storage.get(SESSIONS, self.tenant, self.session_id)
            if record is None:
                return
            value = _merged(record.value, changed or {}, removed, finished)
            try:
                version = await self.storage.put(SESSIONS, self.tenant, self.session_id, value, if_version=record.version)
            except StorageConflict:
                record = None
                continue
            self._record = Record(self.session_id, value, version, _now())
            return


def _read_turn(entry: Entry) -> Turn:
    try:
        value = {**load_json(entry.data), "seq": entry.seq}
    except (InvalidInput, TypeError) as error:
        raise StorageCorrupt(f"a stored turn of a session cannot be read: {error}") from error
    return decode(value, Turn)


def _merged(value: JsonObject, changed: Mapping[str, Json], removed: Sequence[str], finished: Usage | None) -> JsonObject:
    state = {key: each for key, each in (value.get("state") or {}).items() if key not in removed}
    merged = {**value, "state": {**state, **changed}, "updated_at": _now().isoformat()}
    if finished is not None:
        merged["turns"] = int(value.get("turns") or 0) + 1
        merged["usage"] = encode(decode(value.get("usage") or {}, Usage) + finished)
    return merged
