"""What Ergaster's storages on SQL engines share: the layout, its migrations, compiled queries, and a writer thread.

Importing this package loads neither SQLAlchemy nor Alembic; `schema`, `pages` and `migrate` do, when they are called.
"""

from ergaster_support_sql.lanes import Lane, LaneClosed, Outcome, Session
from ergaster_support_sql.layout import HEAD, Layout
from ergaster_support_sql.statements import RecordStatements, StreamStatements
from ergaster_support_sql.text import sortable_text

__all__ = [
    "HEAD",
    "Lane",
    "LaneClosed",
    "Layout",
    "Outcome",
    "RecordStatements",
    "Session",
    "StreamStatements",
    "sortable_text",
]
