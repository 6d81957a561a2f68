"""SQLite connections and what the threads do with them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ergaster.contracts.storage import Table
from ergaster.errors import ErgasterError, StorageUnavailable
from ergaster_sqlite import opening
from ergaster_sqlite.errors import is_busy, translate
from ergaster_sqlite.settings import MEMORY, SqliteSettings
from ergaster_sqlite.tables import find_table
from ergaster_support_sql import Outcome, RecordStatements, StreamStatements

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["Operation", "ReadSession", "SqliteSession", "WriteSession"]

Operation: TypeAlias = Callable[["SqliteSession"], Any]
"""What is done with a session; its caller knows the type of the result."""

_FIRST_WAIT, _LONGEST_WAIT = 0.0005, 0.05


class SqliteSession:
    """A connection, with what is known about the database behind it.

    Args:
        path: The file, or `:memory:`.
        settings: The user's options.
    """

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        self.path = path
        self.settings = settings
        self.layout = settings.layout()
        self.streams = StreamStatements(self.layout)
        self.gate = threading.Lock()
        """Held while the connection is in use, so that a fork can wait until none is."""
        self._connection: sqlite3.Connection | None = None
        self._tables: dict[Table, RecordStatements] = {}
        self._schema_version = -1
        self._data_version = -1
        self._identity: tuple[int, int] | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection."""
        if self._connection is None:
            raise StorageUnavailable(f"{self.path} is closed")
        return self._connection

    @property
    def dialect(self) -> sa.Dialect:
        """SQLAlchemy's description of SQLite, with the marks of the driver."""
        return opening.dialect()

    def open(self) -> None:
        """Connect."""
        with self.gate:
            self.connected()

    def run(self, operations: Sequence[Operation]) -> Sequence[Outcome]:
        """Run the operations; subclasses say how."""
        raise NotImplementedError

    def close(self) -> None:
        """Disconnect; closing twice is fine."""
        with self.gate:
            self.disconnect()

    def disconnect(self) -> None:
        """Close the connection while the gate is held."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def records(self, table: Table) -> RecordStatements | None:
        """Return the statements for a table as the database has it, or None when it lacks the table or an index.

        What is known is forgotten when any connection has changed the schema: a table may have got an index from a
        newer process, and a put that did not fill it would hide its record.
        """
        (schema_version,) = self.connection.execute("PRAGMA schema_version").fetchone()
        if schema_version != self._schema_version:
            self._tables.clear()
            self._schema_version = schema_version
        statements = self._tables.get(table)
        if statements is None:
            found = find_table(self.connection, self.layout, table)
            if found is None or not set(table.indexes) <= set(found.indexes):
                return None
            statements = self._tables[table] = RecordStatements(self.layout, found)
        return statements

    def has_foreign_commits(self) -> bool:
        """Say whether another connection has committed since this was last asked."""
        (version,) = self.connection.execute("PRAGMA data_version").fetchone()
        is_changed = version != self._data_version
        self._data_version = version
        return bool(is_changed)

    def begin(self, statement: str) -> None:
        """Begin a transaction, waiting for other processes up to `busy_timeout`; the gate is free while waiting."""
        deadline = time.monotonic() + self.settings.busy_timeout
        wait = _FIRST_WAIT
        while True:
            try:
                self.connection.execute(statement)
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                if time.monotonic() >= deadline:
                    raise StorageUnavailable(
                        f"another process has held the lock of {self.path} for more than {self.settings.busy_timeout} s; "
                        "try again, end that process, or raise busy_timeout"
                    ) from error
            else:
                return
            self.gate.release()
            try:
                time.sleep(wait)
            finally:
                self.gate.acquire()
            wait = min(wait * 1.5, _LONGEST_WAIT)

    def connected(self) -> None:
        """Connect if there is no connection, or none to the file that is there now; the gate is held.

        A file may be removed while it is in use, to begin anew. SQLite would go on with what has no name any more.
        """
        if self._connection is not None:
            if self.path == MEMORY or opening.file_identity(self.path) == self._identity:
                return
            self.disconnect()
        self._connection = opening.connect(self.path, self.settings)
        self._identity = opening.file_identity(self.path)
        self._schema_version = self._data_version = -1

    def roll_back(self) -> None:
        """End a transaction without effect, if there is one, and forget the tables that it may have made."""
        self._schema_version = -1
        if self._connection is None or not self._connection.in_transaction:
            return
        try:
            self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # The disk fails even this. Closing ends the transaction, too, and the next run connects anew.
            self.disconnect()

    def translated(self, error: Exception) -> Exception:
        """Return the error that a caller shall see."""
        return translate(error, self.path) if isinstance(error, sqlite3.Error) else error


class ReadSession(SqliteSession):
    """A connection that only reads."""

    def run(self, operations: Sequence[Operation]) -> Sequence[Outcome]:
        """Run the operations one after the other, each on a snapshot of its own."""
        with self.gate:
            self.connected()
            return [self._attempt(operation) for operation in operations]

    def _attempt(self, operation: Operation) -> Outcome:
        try:
            return Outcome(operation(self))
        except Exception as error:  # boundary: what fails one operation is no matter of its neighbours
            self.roll_back()
            return Outcome(error=self.translated(error))


class WriteSession(SqliteSession):
    """The connection that writes: all operations that wait share one transaction and one commit."""

    def run(self, operations: Sequence[Operation]) -> Sequence[Outcome]:
        """Run the operations together; if the engine fails one or the commit, each is tried in its own transaction."""
        with self.gate:
            self.connected()
            try:
                self.begin("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise translate(error, self.path) from error
            try:
                return self._together(operations)
            except Exception as error:  # boundary: whatever it is, the transaction must end before the next one
                self.roll_back()
                if len(operations) == 1:
                    return [Outcome(error=self.translated(error))]
            return [self._alone(operation) for operation in operations]

    def _together(self, operations: Sequence[Operation]) -> Sequence[Outcome]:
        if len(operations) == 1:
            outcomes = [Outcome(operations[0](self))]
        else:
            outcomes = [self._guarded(operation) for operation in operations]
        self.connection.execute("COMMIT")
        return outcomes

    def _guarded(self, operation: Operation) -> Outcome:
        """Run an operation so that its refusal undoes its own writes only."""
        self.connection.execute("SAVEPOINT one")
        try:
            outcome = Outcome(operation(self))
        except ErgasterError as error:
            self.connection.execute("ROLLBACK TO one")
            self._schema_version = -1
            outcome = Outcome(error=error)
        self.connection.execute("RELEASE one")
        return outcome

    def _alone(self, operation: Operation) -> Outcome:
        try:
            self.connected()
            self.begin("BEGIN IMMEDIATE")
            return self._together([operation])[0]
        except Exception as error:  # boundary: as above
            self.roll_back()
            return Outcome(error=self.translated(error))
