"""How a folder below the root is reached: by descriptors where the system has them, else by comparing resolved paths."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Protocol, cast

from attrs import frozen

from ergaster.errors import UnsafePath
from ergaster_support_paths.names import show_path

__all__ = ["DescriptorWalk", "Folder", "ResolvedWalk", "Walk", "is_link", "make_walk"]

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


@frozen
class Folder:
    """An open folder. The functions of `os` take `locate(name)` and `dir_fd=descriptor`.

    Attributes:
        descriptor: The folder's descriptor; None where the system has none, and then `path` counts.
        path: Its absolute path, used only without a descriptor.
    """

    descriptor: int | None
    path: str = ""

    def locate(self, name: str) -> str:
        """Return what names the entry *name* to the functions of `os`."""
        return name if self.descriptor is not None else str(Path(self.path, name))

    def status(self, name: str) -> os.stat_result:
        """Return the status of the entry itself, never of what a link points to."""
        return os.stat(self.locate(name), dir_fd=self.descriptor, follow_symlinks=False)

    def entries(self, limit: int) -> list[os.DirEntry[str]]:
        """Return up to *limit* entries in the order of the disk; look at them while the folder is open."""
        with os.scandir(self.path if self.descriptor is None else self.descriptor) as found:
            return list(islice(cast("Iterator[os.DirEntry[str]]", found), limit))

    def make_folder(self, name: str) -> None:
        """Make a folder unless there is something already."""
        try:
            os.mkdir(self.locate(name), dir_fd=self.descriptor)
        except FileExistsError:
            pass  # whether it is a folder shows when it is opened

    def flush(self) -> None:
        """Make renames in this folder last, where the system can."""
        if self.descriptor is not None:
            os.fsync(self.descriptor)


class Walk(Protocol):
    """Opens folders below a root."""

    def folder(self, names: Sequence[str], *, create: bool = False) -> AbstractContextManager[Folder]:
        """Open the folder made of *names*, making what is missing if *create*."""


def _can_walk_by_descriptors() -> bool:
    """Say whether this system can open, look at, make, rename and remove entries relative to a descriptor."""
    needed = {os.open, os.stat, os.mkdir, os.rename, os.unlink, os.rmdir}
    return needed <= os.supports_dir_fd and os.scandir in os.supports_fd and hasattr(os, "O_NOFOLLOW")


def make_walk(root: str) -> Walk:
    """Return the safest walk that this system has."""
    return DescriptorWalk(root) if _can_walk_by_descriptors() else ResolvedWalk(root)


@frozen
class DescriptorWalk:
    """Opens each folder relative to the one before, refusing links: what was checked is what is used."""

    root: str

    @contextmanager
    def folder(self, names: Sequence[str], *, create: bool = False) -> Iterator[Folder]:
        """Open the folder made of *names*, making what is missing if *create*."""
        current = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for index, name in enumerate(names):
                parent = Folder(current)
                if create:
                    parent.make_folder(name)
                following = _open_folder(parent, name, names[: index + 1])
                os.close(current)
                current = following
            yield Folder(current)
        finally:
            os.close(current)


def _open_folder(parent: Folder, name: str, names: Sequence[str]) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS, dir_fd=parent.descriptor)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}:
            raise
        _refuse_link(parent, name, names)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), "/".join(names)) from error


def _refuse_link(parent: Folder, name: str, names: Sequence[str]) -> None:
    """Raise `UnsafePath` if the entry is a symbolic link or another redirection."""
    try:
        status = parent.status(name)
    except FileNotFoundError:
        return  # removed meanwhile; whoever opens it will say so
    if is_link(status):
        raise UnsafePath(f"{show_path('/'.join(names))} is a link, and links are not followed; name the real file or folder")


def is_link(status: os.stat_result) -> bool:
    """Say whether a status is that of a symbolic link, or on Windows of a junction or another reparse point."""
    reparse_point = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_file_attributes", 0) & reparse_point)


@frozen
class ResolvedWalk:
    """Checks each name, resolves the whole and compares it with the root.

    For systems without descriptors of folders (Windows). A program that swaps folders at the same moment can win the
    race between check and use; DescriptorWalk has no such gap.
    """

    root: str

    @contextmanager
    def folder(self, names: Sequence[str], *, create: bool = False) -> Iterator[Folder]:
        """Open the folder made of *names*, making what is missing if *create*."""
        current = Folder(None, os.path.realpath(self.root))
        base = current.path
        for index, name in enumerate(names):
            if create:
                current.make_folder(name)
            _refuse_link(current, name, names[: index + 1])
            if not stat.S_ISDIR(current.status(name).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), "/".join(names[: index + 1]))
            current = Folder(None, current.locate(name))
        if os.path.normcase(os.path.realpath(current.path)) != os.path.normcase(Path(base, *names)):
            raise UnsafePath(f"{show_path('/'.join(names))} leads out of its root; name a real folder below it")
        yield current
