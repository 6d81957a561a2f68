"""A program that swaps a folder for a link while the guard works gains nothing."""

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ergaster.errors import UnsafePath
from ergaster_support_paths import Root

TRIES = 1_000


def exchange(first: Path, second: Path) -> None:
    """Swap two entries in one step, as only Linux can."""
    at_working_folder, exchange_flag = -100, 2
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    if libc.renameat2(at_working_folder, names[0], at_working_folder, names[1], exchange_flag):
        raise OSError(ctypes.get_errno(), "renameat2")


@contextmanager
def swapping(folder: Path, outside: Path) -> Iterator[Callable[[], int]]:
    """Swap *folder* for a link to *outside* and back, without rest; gives the count of swaps."""
    stop, swaps, link = threading.Event(), [0], folder.with_name("link")
    link.symlink_to(outside)

    def swap() -> None:
        while not stop.is_set():
            exchange(folder, link)
            swaps[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield lambda: swaps[0]
    finally:
        stop.set()
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="needs renameat2 to swap without a gap")
@pytest.mark.parametrize("name", ["read", "write", "find", "delete", "move", "make_folder"])
def test_swapped_folder_never_leads_outside(tmp_path: Path, name: str):
    inside, outside = tmp_path / "root" / "folder", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
        for number in range(TRIES):
            (folder / f"{number}.txt").write_text(folder.name)
    (outside / "canary.txt").write_text("canary")
    before = {path.name for path in outside.iterdir()}
    root = Root(tmp_path / "root")
    actions: dict[str, Callable[[int], object]] = {
        "read": lambda number: root.read_bytes(f"folder/{number}.txt"),
        "write": lambda number: root.write_bytes(f"folder/new-{number}.txt", b"new"),
        "find": lambda number: [entry.path for entry in root.find("canary.txt", below="folder").entries],
        "delete": lambda number: root.delete(f"folder/{number}.txt"),
        "move": lambda number: root.move(f"folder/{number}.txt", f"taken/{number}.txt"),
        "make_folder": lambda number: root.make_folder(f"folder/made-{number}"),
    }
    seen: list[object] = []

    with swapping(inside, outside) as count:
        for number in range(TRIES):
            with suppress(UnsafePath, OSError):
                seen.append(actions[name](number))
        swaps = count()

    assert swaps > 0
    assert b"outside" not in seen
    assert ["folder/canary.txt"] not in seen
    assert {path.name for path in outside.iterdir()} == before
    assert all((outside / f"{number}.txt").read_text() == "outside" for number in range(TRIES))


def test_file_swapped_for_a_link_is_never_read_through(tmp_path: Path):
    root, outside = tmp_path / "root", tmp_path / "canary.txt"
    root.mkdir()
    outside.write_text("canary")
    file, stop, seen = root / "file.txt", threading.Event(), []

    def swap() -> None:
        while not stop.is_set():
            (root / "plain").write_text("plain")
            (root / "plain").replace(file)
            (root / "link").symlink_to(outside)
            (root / "link").replace(file)

    thread = threading.Thread(target=swap)
    thread.start()
    for _ in range(TRIES):
        with suppress(UnsafePath, OSError):
            seen.append(Root(root).read_bytes("file.txt"))
    stop.set()
    thread.join()

    assert set(seen) <= {b"plain", b""}
    assert outside.read_text() == "canary"
