"""`ergaster sessions`: conversations as they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from ergaster import wait
from ergaster.codec import dump_json, encode
from ergaster.contracts.context import Turn
from ergaster.contracts.storage import Order, Record, Storage
from ergaster.journal import read_journal
from ergaster.messages import Message, Text, ToolCall, ToolResult
from ergaster.sessions import SESSIONS, SessionLog
from ergaster_cli.exits import CommandFailed, Exit
from ergaster_cli.project import Project, open_project
from ergaster_cli.screen import Screen
from ergaster_cli.tables import print_json, print_table
from ergaster_cli.views import describe_call
from ergaster_cli.visible import escape, excerpt

__all__ = ["export_session", "list_sessions", "show_session"]

_PAGE = 500
_ALL_TURNS = 1_000_000_000

File = Annotated[str, Parameter(name=["--file", "-f"])]
Flag = Annotated[bool, Parameter(negative="")]


def list_sessions(*, file: File = "", storage: str = "", limit: int = 50, json: Flag = False) -> int:
    """List stored sessions, the last used first.

    Args:
        file: The configuration whose storages are looked at; the nearest ergaster.toml when not given.
        storage: Look at this storage instead, such as `sqlite:///agents.db`.
        limit: How many at most.
        json: Print JSON.
    """
    screen = Screen()
    with open_project(file) as project:
        found = [
            {"session": record.id, **_without_state(record), "storage": ref}
            for ref, store in project.storages(storage).items()
            for record in _newest(store, limit)
        ]
    found.sort(key=lambda each: str(each.get("updated_at")), reverse=True)
    if json:
        print_json(screen, found[:limit])
        return Exit.OK
    columns = ("session", "turns", "updated_at", "user_id", "title")
    rows = ([_cell(each.get(column)) for column in columns] for each in found[:limit])
    print_table(screen, ["SESSION", "TURNS", "LAST USED", "USER", "TITLE"], rows)
    return Exit.OK


def _cell(value: object) -> object:
    return "" if value is None else value


def _without_state(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record.value.items() if key != "state"}


def _newest(store: Storage, limit: int) -> tuple[Record, ...]:
    order = Order("updated_at", descending=True)
    return wait(store.query(SESSIONS, "default", order=order, limit=max(1, min(limit, 1000)))).records


def show_session(session: str, /, *, file: File = "", storage: str = "", tools: Flag = False, json: Flag = False) -> int:
    """Show what was said in a session.

    Args:
        session: Its id.
        file: The configuration whose storages are looked at; the nearest ergaster.toml when not given.
        storage: Look at this storage instead, such as `sqlite:///agents.db`.
        tools: Show tool calls and their results, too.
        json: Print JSON.
    """
    screen = Screen()
    with open_project(file) as project:
        record, store = _find(project, session, storage)
        turns = list(_turns(store, session))
    if json:
        print_json(screen, {"session": session, **record.value, "turns": [encode(turn) for turn in turns]})
        return Exit.OK
    for turn in turns:
        for message in turn.messages:
            _show_message(screen, turn, message, tools=tools)
    return Exit.OK


def _show_message(screen: Screen, turn: Turn, message: Message, *, tools: bool) -> None:
    speaker = turn.runnable if message.role == "assistant" else message.role
    for part in message.parts:
        if isinstance(part, Text) and part.text.strip():
            screen.line(f"{escape(speaker)}: {part.text}")
        elif tools and isinstance(part, ToolCall):
            screen.line(f"{escape(speaker)} calls {describe_call(part, screen.width)}")
        elif tools and isinstance(part, ToolResult):
            screen.line(f"{escape(part.name)} gives {excerpt(part.content, screen.width)}")


def export_session(session: str, /, *, file: File = "", storage: str = "", journal: Flag = False) -> int:
    """Print a session as JSON lines: the session, then each turn.

    Args:
        session: Its id.
        file: The configuration whose storages are looked at; the nearest ergaster.toml when not given.
        storage: Look at this storage instead, such as `sqlite:///agents.db`.
        journal: After each turn print the events of its run, too.
    """
    screen = Screen()
    with open_project(file) as project:
        record, store = _find(project, session, storage)
        _print_line({"type": "session", "id": session, **record.value})
        for turn in _turns(store, session):
            _print_line({"type": "turn", **encode(turn)})
            if journal:
                for event in wait(read_journal(store, "default", turn.run_id)):
                    _print_line({"type": "event", **encode(event)})
    screen.out.flush()
    return Exit.OK


def _print_line(value: Mapping[str, Any]) -> None:
    Screen(is_live=False).line(dump_json(value))


def _find(project: Project, session: str, storage: str) -> tuple[Record, Storage]:
    stores = project.storages(storage)
    for store in stores.values():
        record = wait(store.get(SESSIONS, "default", session))
        if record is not None:
            return record, store
    raise CommandFailed(f"there is no session {session!r} in {', '.join(stores)}; see: ergaster sessions list")


def _turns(store: Storage, session: str) -> Iterator[Turn]:
    """Yield the finished turns, oldest first, each run once."""
    log = SessionLog(store, "default", session)
    wait(log.open(None))
    seen: set[str] = set()
    for turn in wait(log.turns(_ALL_TURNS)):
        if turn.run_id not in seen:
            seen.add(turn.run_id)
            yield turn
