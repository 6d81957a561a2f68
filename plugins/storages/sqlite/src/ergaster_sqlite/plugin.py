"""What the entry point names: the registration of the plugin."""

from collections.abc import Sequence

from ergaster.catalog import Spec
from ergaster.contracts.storage import Storage
from ergaster.errors import InvalidOption
from ergaster.hookspecs import hookimpl
from ergaster.refs import Ref
from ergaster_sqlite.settings import SqliteSettings
from ergaster_sqlite.storage import SqliteStorage

__all__ = ["create_storage", "ergaster_storages"]


def create_storage(ref: Ref, settings: SqliteSettings) -> Storage:
    """Return the storage of `sqlite:///path/to/file.db`; the file is opened with the first call."""
    if not ref.rest:
        raise InvalidOption("sqlite needs a file: write sqlite:///agents.db", kind="storage", name="sqlite")
    return SqliteStorage(ref.rest, settings)


@hookimpl
def ergaster_storages() -> Sequence[Spec[Storage]]:
    """Provide the storage."""
    return [Spec("sqlite", create_storage, settings=SqliteSettings, summary="records and streams in one SQLite file")]
