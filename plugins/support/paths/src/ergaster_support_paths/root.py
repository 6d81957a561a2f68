"""The guard: files and folders below one root, and never anything else."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from attrs import define, field, frozen

from ergaster.errors import UnsafePath
from ergaster_support_paths.names import check_name, parse_path, show_path
from ergaster_support_paths.patterns import Pattern, parse_pattern
from ergaster_support_paths.places import Folder, Walk, is_link, make_walk

__all__ = ["Entry", "EntryKind", "Listing", "Root"]

EntryKind: TypeAlias = Literal["file", "folder"]
_Visit: TypeAlias = tuple[tuple[str, ...], int]
"""The names of a folder to read, and how far the pattern goes there."""

_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_MAX_DEPTH = 64


@frozen
class Entry:
    """A file or a folder.

    Attributes:
        path: Relative to the root, with `/` between the names.
        kind: `file` or `folder`.
        size: Bytes of a file; 0 for a folder.
        modified: When its content was last changed, in UTC.
    """

    path: str
    kind: EntryKind
    size: int
    modified: datetime


@frozen
class Listing:
    """What was found.

    Attributes:
        entries: Folder by folder, sorted by name in each.
        left_out: How many entries match but were passed over (links, devices, names that the guard refuses), and how
            many folders could not be read.
        is_complete: False if a bound stopped the search, so that there may be more.
    """

    entries: tuple[Entry, ...]
    left_out: int = 0
    is_complete: bool = True


class Root:
    """A folder, and the only way to the files below it.

    Every path is relative to the root, with `/` between the names; `check_name` says which names are refused. Links
    are never followed, wherever they point. Only plain files and folders are touched. On POSIX each folder is opened
    relative to the one before, so that a program that swaps folders for links at the same moment gains nothing. The
    way to the root itself is trusted, and so are hard links and mounts below it, which only its owner can make.

    Methods block; call them in a worker thread. The object holds nothing open, so that threads may share it. Errors
    of the system are the usual `OSError`s with the path as it was given.

    Args:
        path: The folder, relative to the working folder of the moment; it need not exist yet.
        hidden: Whether names that begin with a dot may be used; they are left out of listings otherwise.
        walk: How folders are reached; by default the safest way that the system has.
    """

    def __init__(self, path: str | os.PathLike[str], *, hidden: bool = True, walk: Walk | None = None) -> None:
        self.path = str(Path(path).absolute())
        self.hidden = hidden
        self._walk = walk if walk is not None else make_walk(self.path)

    def __repr__(self) -> str:
        return f"Root({self.path!r}, hidden={self.hidden})"

    def stat(self, path: str) -> Entry:
        """Return what lies at *path*.

        Raises:
            UnsafePath: If the path is refused, or no plain file or folder lies there.
            OSError: As the system says, such as `FileNotFoundError`.
        """
        names = self._parse(path)
        with _naming(path), self._walk.folder(names[:-1]) as folder:
            status = folder.status(names[-1]) if names else Path(self.path).stat()
            return _as_entry(names, _checked(status, path))

    @contextmanager
    def open_file(self, path: str) -> Iterator[BinaryIO]:
        """Open a plain file for reading; a context manager.

        Raises:
            UnsafePath: If the path is refused, or what lies there is a link, a pipe, a socket or a device.
            OSError: As the system says, such as `FileNotFoundError` and `IsADirectoryError`.
        """
        names = self._parse_file(path)
        with _naming(path), self._walk.folder(names[:-1]) as folder:
            descriptor = _open_plain_file(folder, names[-1], path)
        with os.fdopen(descriptor, "rb") as file:
            yield file

    def read_bytes(self, path: str, *, limit: int | None = None) -> bytes:
        """Return the content of a plain file.

        Raises:
            OSError: With `errno.EFBIG` if the file has more than *limit* bytes; else as `open_file`.
            UnsafePath: As `open_file`.
        """
        with self.open_file(path) as file:
            content = file.read(-1 if limit is None else limit + 1)
        if limit is not None and len(content) > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
        return content

    def write_bytes(self, path: str, content: bytes) -> None:
        """Make or replace a file, whole or not at all; missing folders are made.

        The new content is written beside the old, flushed to the disk, and takes its place in one step, so that no
        reader sees half of it and a full disk leaves the old one. A replaced file keeps its permissions.

        Raises:
            UnsafePath: If the path is refused, or what lies there is a link, a pipe, a socket or a device.
            OSError: As the system says, such as `IsADirectoryError` and a full disk.
        """
        names = self._parse_file(path)
        with _naming(path), self._walk.folder(names[:-1], create=True) as folder:
            mode = _mode_of_old_file(folder, names[-1], path)
            _replace_file(folder, names[-1], content, mode)

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it; one that exists is left as it is.

        Raises:
            UnsafePath: If the path is refused.
            OSError: As the system says, such as `NotADirectoryError` for a file in the way.
        """
        with _naming(path), self._walk.folder(self._parse(path), create=True):
            pass

    def delete(self, path: str) -> None:
        """Remove a file, or a folder that is empty.

        Raises:
            UnsafePath: If the path is refused, is the root, or no plain file or folder lies there.
            OSError: As the system says, such as `FileNotFoundError` and a folder that is not empty.
        """
        names = self._parse_file(path)
        with _naming(path), self._walk.folder(names[:-1]) as folder:
            name = names[-1]
            remove = os.rmdir if stat.S_ISDIR(_checked(folder.status(name), path).st_mode) else os.unlink
            remove(folder.locate(name), dir_fd=folder.descriptor)
            folder.flush()

    def move(self, source: str, target: str) -> None:
        """Give a file or a folder another place; missing folders above *target* are made.

        Raises:
            UnsafePath: If one of the paths is refused or is the root.
            FileExistsError: If something lies at *target*. Two programs that move to one place at the same moment
                can still replace each other's file.
            OSError: As the system says, such as `FileNotFoundError`.
        """
        old, new = self._parse_file(source), self._parse_file(target)
        with _naming(source), self._walk.folder(old[:-1]) as from_folder:
            _checked(from_folder.status(old[-1]), source)
            with _naming(target), self._walk.folder(new[:-1], create=True) as to_folder:
                _refuse_existing(to_folder, new[-1], target)
                places = from_folder.locate(old[-1]), to_folder.locate(new[-1])
                os.rename(*places, src_dir_fd=from_folder.descriptor, dst_dir_fd=to_folder.descriptor)
                to_folder.flush()

    def find(self, pattern: str = "**/*", *, below: str = ".", limit: int = 1_000, scan_limit: int = 100_000) -> Listing:
        """Return the files and folders below a folder that match a pattern.

        Args:
            pattern: `*`, `?` and `[abc]` inside a name, `**` for any number of folders: `*` lists a folder, `**/*`
                everything below it. Upper and lower case differ.
            below: The folder; the pattern is relative to it.
            limit: At most so many entries are returned.
            scan_limit: At most so many entries are looked at.

        Raises:
            UnsafePath: If the path or the pattern is refused.
            Unsupported: If the pattern has braces.
            OSError: As the system says, such as `FileNotFoundError`.
        """
        parsed = parse_pattern(pattern)
        search = _Search(self._walk, self.hidden, parsed, self._parse(below), limit, scan_limit)
        with _naming(below):
            search.visit((), parsed.begin())
        while search.waiting and search.is_complete:
            try:
                search.visit(*search.waiting.pop())
            except (OSError, UnsafePath):
                search.left_out += 1  # removed, swapped or closed to us since its parent was read
        return Listing(tuple(search.found), search.left_out, search.is_complete)

    def _parse(self, path: str) -> tuple[str, ...]:
        names = parse_path(path)
        if not self.hidden and any(name.startswith(".") for name in names):
            raise UnsafePath(f"the path {show_path(path)} is hidden (a name begins with '.'); use another")
        return names

    def _parse_file(self, path: str) -> tuple[str, ...]:
        names = self._parse(path)
        if not names:
            raise UnsafePath(f"the path {show_path(path)} is the root itself; name a file below it, as 'folder/file.txt'")
        return names


@define
class _Search:
    """One search: where it still has to go, and what it found."""

    walk: Walk
    hidden: bool
    pattern: Pattern
    base: tuple[str, ...]
    limit: int
    unread: int
    waiting: list[_Visit] = field(factory=list)
    found: list[Entry] = field(factory=list)
    left_out: int = 0
    is_complete: bool = True

    def visit(self, names: tuple[str, ...], progress: int) -> None:
        """Read one folder, keep what matches, remember the folders to visit."""
        with self.walk.folder((*self.base, *names)) as folder:
            entries = folder.entries(self.unread + 1)
            if len(entries) > self.unread:
                self.is_complete = False
                del entries[self.unread :]
            self.unread -= len(entries)
            below = [self._look_at(entry, names, progress) for entry in sorted(entries, key=attrgetter("name"))]
        self.waiting += reversed([visit for visit in below if visit is not None])

    def _look_at(self, entry: os.DirEntry[str], names: tuple[str, ...], progress: int) -> _Visit | None:
        """Keep the entry if it matches; return the visit to pay if it is a folder where more can match."""
        if not self.hidden and entry.name.startswith("."):
            return None
        here, progress = (*names, entry.name), self.pattern.advance(progress, entry.name)
        is_folder = entry.is_dir(follow_symlinks=False)
        try:
            check_name(entry.name)
            if not is_folder or self.pattern.is_match(progress):
                self._keep(here, _checked(entry.stat(follow_symlinks=False), entry.name), progress)
        except (OSError, UnsafePath):
            self.left_out += self.pattern.is_match(progress)
            return None
        return (here, progress) if is_folder and progress and len(self.base) + len(here) < _MAX_DEPTH else None

    def _keep(self, here: tuple[str, ...], status: os.stat_result, progress: int) -> None:
        if not self.is_complete or not self.pattern.is_match(progress):
            return
        if len(self.found) < self.limit:
            self.found.append(_as_entry((*self.base, *here), status))
        else:
            self.is_complete = False


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Let errors of the system name the path as it was given, and no place on the disk."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _checked(status: os.stat_result, path: str) -> os.stat_result:
    """Return the status of a plain file or a folder; refuse the rest."""
    if is_link(status):
        raise UnsafePath(f"{show_path(path)} is a link, and links are not followed; name the real file or folder")
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise UnsafePath(f"{show_path(path)} is a pipe, a socket or a device; only plain files and folders can be used")
    return status


def _as_entry(names: Sequence[str], status: os.stat_result) -> Entry:
    is_folder = stat.S_ISDIR(status.st_mode)
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return Entry("/".join(names) or ".", "folder" if is_folder else "file", 0 if is_folder else status.st_size, modified)


def _open_plain_file(folder: Folder, name: str, path: str) -> int:
    """Open a plain file and make sure that what was opened is what was looked at."""
    before = _checked(folder.status(name), path)
    if stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    try:
        descriptor = os.open(folder.locate(name), _READ_FLAGS, dir_fd=folder.descriptor)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafePath(f"{show_path(path)} became a link while it was opened; try again") from error
        raise
    if not os.path.samestat(before, os.fstat(descriptor)):
        os.close(descriptor)
        raise UnsafePath(f"{show_path(path)} was replaced while it was opened; try again")
    return descriptor


def _mode_of_old_file(folder: Folder, name: str, path: str) -> int | None:
    try:
        status = _checked(folder.status(name), path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return stat.S_IMODE(status.st_mode)


def _replace_file(folder: Folder, name: str, content: bytes, mode: int | None) -> None:
    """Write beside the old file and rename; nothing stays behind when it fails."""
    place = folder.locate(f".{secrets.token_hex(8)}.partial")
    descriptor = os.open(place, _CREATE_FLAGS, 0o666, dir_fd=folder.descriptor)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(place, folder.locate(name), src_dir_fd=folder.descriptor, dst_dir_fd=folder.descriptor)
    except BaseException:
        os.unlink(place, dir_fd=folder.descriptor)
        raise
    folder.flush()


def _refuse_existing(folder: Folder, name: str, path: str) -> None:
    try:
        folder.status(name)
    except FileNotFoundError:
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
