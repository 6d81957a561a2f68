"""What the guard promises, for both ways of reaching a folder."""

import errno
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from ergaster.errors import UnsafePath, Unsupported
from ergaster_support_paths import Root
from ergaster_support_paths.places import DescriptorWalk, ResolvedWalk

CANARY = b"canary: nobody may read or change this"

# Each leads out of the root, or means something else on some system. `{outside}` is a folder with a canary.
HOSTILE = [
    "../canary.txt",
    "notes/../../canary.txt",
    "..",
    "./../canary.txt",
    "notes/..",
    "...",
    "{outside}/canary.txt",
    "//{outside}/canary.txt",
    "/etc/passwd",
    "/proc/self/environ",
    "..\\canary.txt",
    "notes\\..\\..\\canary.txt",
    "C:\\Windows\\win.ini",
    "C:canary.txt",
    "\\\\server\\share\\canary.txt",
    "//server/share/canary.txt",
    "\\\\?\\C:\\canary.txt",
    "notes/a.txt:stream",
    "notes/a.txt::$DATA",
    "CON",
    "notes/nul.txt",
    "com¹",
    "aux ",
    "~/canary.txt",
    "~root/.profile",
    "notes/a.txt\0.png",
    "notes/a.txt\n",
    "notes/a.txt.",
    "notes/a.txt ",
    "..\u2215canary.txt",
    "\uff0e\uff0e/canary.txt",
    "\u2025/canary.txt",
    "notes\uff0fa.txt",
    "notes/\u202etxt.a",
    "notes/a\u200b.txt",
    "notes/\udcff.txt",
    "-rf",
    "file:///etc/passwd",
    "link/canary.txt",
    "canary-link.txt",
    "inner-link/a.txt",
    "pipe",
    "x" * 256,
    "d/" * 65 + "a.txt",
    "a/" * 3000,
]

# Each is an odd name, and nothing more.
HARMLESS = [
    "%2e%2e%2fcanary.txt",
    "..%2f..%2fcanary.txt",
    "..canary",
    "$HOME",
    "a;rm b",
    "`id`.txt",
    "$(id).txt",
    "naïve 文件 👩\u200d💻.md",
]


@frozen
class Place:
    """A root with a canary beside it."""

    root: Root
    path: Path
    outside: Path

    def outside_is_untouched(self) -> bool:
        found = {str(path.relative_to(self.outside)): path.read_bytes() for path in self.outside.rglob("*") if path.is_file()}
        return found == {"canary.txt": CANARY} and {path.name for path in self.path.parent.iterdir()} == {
            "root",
            "outside",
            "canary.txt",
        }


def make_place(base: Path, walk: type) -> Place:
    path, outside = base / "root", base / "outside"
    for folder in (path / "notes", outside):
        folder.mkdir(parents=True)
    for canary in (base / "canary.txt", outside / "canary.txt"):
        canary.write_bytes(CANARY)
    (path / "notes" / "a.txt").write_text("alpha")
    (path / "link").symlink_to(outside)
    (path / "canary-link.txt").symlink_to(outside / "canary.txt")
    (path / "inner-link").symlink_to(path / "notes")
    os.mkfifo(path / "pipe")
    return Place(Root(path, walk=walk(str(path))), path, outside)


@pytest.fixture(params=[DescriptorWalk, ResolvedWalk])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return make_place(tmp_path, request.param)


def use_everywhere(root: Root, path: str) -> list[object]:
    """Try *path* in each operation; return what was read. Refusals and errors of the system are fine."""
    seen: list[object] = []
    for action in (
        lambda: root.read_bytes(path),
        lambda: root.stat(path),
        lambda: root.find("**/*", below=path),
        lambda: root.find(path),
        lambda: root.write_bytes(path, b"overwritten"),
        lambda: root.make_folder(path),
        lambda: root.move("notes/a.txt", path),
        lambda: root.move(path, "notes/moved"),
        lambda: root.delete(path),
    ):
        with suppress(UnsafePath, Unsupported, OSError):
            seen.append(action())
    return seen


@pytest.mark.parametrize("form", HOSTILE, ids=lambda form: repr(form[:40]))
def test_a_hostile_path_is_refused_by_every_operation(place: Place, form: str):
    path = form.format(outside=place.outside) if "{" in form else form
    operations = [
        lambda: place.root.read_bytes(path),
        lambda: place.root.stat(path),
        lambda: place.root.write_bytes(path, b"x"),
        lambda: place.root.delete(path),
        lambda: place.root.find("*", below=path),
        lambda: place.root.move(path, "moved"),
    ]

    for operation in operations:
        with pytest.raises((UnsafePath, NotADirectoryError) if path == "pipe" else UnsafePath):
            operation()
    assert place.outside_is_untouched()
    assert (place.path / "notes" / "a.txt").read_text() == "alpha"


@pytest.mark.parametrize("path", HARMLESS)
def test_an_odd_name_is_a_plain_name_below_the_root(place: Place, path: str):
    place.root.write_bytes(path, b"inside")

    assert place.root.read_bytes(path) == b"inside"
    assert (place.path / path).read_bytes() == b"inside"
    assert place.outside_is_untouched()


PLACES = ["..", ".", "", "/", "\\", "~", "link", "notes", "a.txt", "canary.txt", "inner-link", "outside", "root"]
ODDITIES = ["\0", ":", "C:", "\u2215", "\uff0e\uff0e", "%2e%2e", " ", "*", "**"]
pieces = st.sampled_from([*PLACES, *ODDITIES])
paths = st.text(max_size=40) | st.lists(pieces, max_size=12).map("/".join) | st.lists(pieces, max_size=12).map("".join)


@settings(deadline=None)  # a busy machine is no failure
@given(path=paths)
@pytest.mark.parametrize("walk", [DescriptorWalk, ResolvedWalk])
def test_no_path_touches_what_lies_outside(tmp_path_factory: pytest.TempPathFactory, walk: type, path: str):
    place = make_place(tmp_path_factory.mktemp("place"), walk)

    seen = use_everywhere(place.root, path)

    assert CANARY not in seen
    assert not any("canary.txt" in str(found) for found in seen if "canary" not in path)
    assert place.outside_is_untouched()


def test_absolute_path_of_a_file_inside_is_refused_with_the_way_out(place: Place):
    with pytest.raises(UnsafePath, match=r"absolute; write it relative to the root, as 'folder/file.txt'"):
        place.root.read_bytes(str(place.path / "notes" / "a.txt"))


def test_refusal_shows_the_path_escaped_and_cut(place: Place):
    with pytest.raises(UnsafePath) as caught:
        place.root.read_bytes("a\u202e\x1b[31m" + "x" * 5000)

    assert "\u202e" not in str(caught.value)
    assert "\\u202e\\x1b" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_error_of_the_system_names_the_path_as_given_and_no_place_on_the_disk(place: Place):
    with pytest.raises(FileNotFoundError) as caught:
        place.root.read_bytes("notes/missing.txt")

    assert caught.value.filename == "notes/missing.txt"
    assert str(place.path) not in str(caught.value)


@pytest.mark.parametrize("path", ["", ".", "./", "././"])
def test_the_root_itself_is_listed_but_never_read_written_moved_or_removed(place: Place, path: str):
    assert place.root.stat(path).kind == "folder"
    assert [entry.path for entry in place.root.find("*", below=path).entries] == ["notes"]
    for operation in (place.root.read_bytes, place.root.delete, lambda path: place.root.write_bytes(path, b"")):
        with pytest.raises(UnsafePath, match="root itself"):
            operation(path)


def test_special_files_are_refused_without_waiting(place: Place):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place.path / "socket"))

    for path in ("pipe", "socket"):
        with pytest.raises(UnsafePath, match="pipe, a socket or a device"):
            place.root.read_bytes(path)
        with pytest.raises(UnsafePath, match="pipe, a socket or a device"):
            place.root.write_bytes(path, b"x")
    listener.close()


def test_hidden_names_are_neither_seen_nor_used_without_leave(place: Place):
    (place.path / ".env").write_text("KEY=1")
    (place.path / "notes" / ".git").mkdir()
    root = Root(place.path, hidden=False)

    assert [entry.path for entry in root.find().entries] == ["notes", "notes/a.txt"]
    for path in (".env", "notes/.git/config", ".hidden/new.txt"):
        with pytest.raises(UnsafePath, match="hidden"):
            root.read_bytes(path)
        with pytest.raises(UnsafePath, match="hidden"):
            root.write_bytes(path, b"")
    assert place.root.read_bytes(".env") == b"KEY=1"


def test_write_makes_missing_folders_and_replaces_whole_files(place: Place):
    place.root.write_bytes("new/folder/b.txt", b"one")
    place.root.write_bytes("new/folder/b.txt", b"two")

    assert place.root.read_bytes("new/folder/b.txt") == b"two"
    assert [path.name for path in (place.path / "new" / "folder").iterdir()] == ["b.txt"]


def test_write_keeps_permissions_and_leaves_hard_links_alone(place: Place):
    script = place.path / "notes" / "run.sh"
    os.link(place.outside / "canary.txt", script)
    script.chmod(0o750)

    place.root.write_bytes("notes/run.sh", b"echo")

    assert script.stat().st_mode & 0o777 == 0o750
    assert (place.outside / "canary.txt").read_bytes() == CANARY


def test_write_that_fails_leaves_the_old_file_and_nothing_beside_it(place: Place):
    (place.path / "notes" / "folder").mkdir()

    with pytest.raises(IsADirectoryError):
        place.root.write_bytes("notes/folder", b"x")
    with pytest.raises(TypeError):
        place.root.write_bytes("notes/a.txt", "text")  # type: ignore[arg-type]

    assert sorted(path.name for path in (place.path / "notes").iterdir()) == ["a.txt", "folder"]
    assert place.root.read_bytes("notes/a.txt") == b"alpha"


def test_a_file_is_no_folder_and_a_folder_no_file(place: Place):
    with pytest.raises(NotADirectoryError):
        place.root.read_bytes("notes/a.txt/b.txt")
    with pytest.raises((NotADirectoryError, FileExistsError)):
        place.root.write_bytes("notes/a.txt/b.txt", b"")
    with pytest.raises(IsADirectoryError):
        place.root.read_bytes("notes")


def test_read_stops_at_its_limit(place: Place):
    place.root.write_bytes("big", b"x" * 11)

    assert place.root.read_bytes("big", limit=11) == b"x" * 11
    with pytest.raises(OSError, match="larger than 10 bytes") as caught:
        place.root.read_bytes("big", limit=10)
    assert caught.value.errno == errno.EFBIG


def test_delete_removes_a_file_or_an_empty_folder_and_nothing_else(place: Place):
    with pytest.raises(OSError, match="not empty"):
        place.root.delete("notes")
    place.root.delete("notes/a.txt")
    place.root.delete("notes")

    assert not (place.path / "notes").exists()
    with pytest.raises(FileNotFoundError):
        place.root.delete("notes")


def test_move_makes_folders_and_replaces_nothing(place: Place):
    place.root.write_bytes("b.txt", b"beta")

    with pytest.raises(FileExistsError):
        place.root.move("notes/a.txt", "b.txt")
    place.root.move("notes/a.txt", "deep/er/c.txt")

    assert place.root.read_bytes("b.txt") == b"beta"
    assert place.root.read_bytes("deep/er/c.txt") == b"alpha"
    with pytest.raises(OSError, match="Invalid"):
        place.root.move("deep", "deep/er/deep")


def test_find_leaves_out_links_and_refused_names_and_says_how_many(place: Place):
    (place.path / "notes" / "a:b.txt").write_text("")
    (place.path / os.fsdecode(b"\xff.txt")).write_text("")

    found = place.root.find()

    assert [entry.path for entry in found.entries] == ["notes", "notes/a.txt"]
    assert (found.left_out, found.is_complete) == (6, True)
    assert place.root.find("**/*.md").left_out == 0


def test_find_says_when_a_bound_stopped_it(place: Place):
    for number in range(20):
        place.root.write_bytes(f"notes/{number:02}.txt", b"")

    assert [entry.path for entry in place.root.find("notes/0*", limit=3).entries] == [f"notes/0{n}.txt" for n in range(3)]
    assert not place.root.find("notes/0*", limit=3).is_complete
    assert place.root.find("notes/0*", limit=10).is_complete
    assert not place.root.find("**/*.txt", scan_limit=10).is_complete


def test_find_ends_in_a_tree_deeper_than_any_path(tmp_path: Path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    assert len(Root(tmp_path).find().entries) == 64


def test_folder_where_nothing_can_match_is_not_read(place: Place):
    place.root.write_bytes("big/deep/a.md", b"")

    assert place.root.find("notes/*.txt", scan_limit=7).is_complete
    assert not place.root.find("**/*.txt", scan_limit=7).is_complete


def test_write_that_the_system_cuts_short_leaves_the_old_file(place: Place):
    script = (
        "import resource, signal, sys; from ergaster_support_paths import Root\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: Root(sys.argv[1]).write_bytes('notes/a.txt', b'x' * 5000)\n"
        "except OSError as error: print(error.filename)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(place.path)], capture_output=True, text=True, check=True)

    assert done.stdout == "notes/a.txt\n"
    assert [path.name for path in (place.path / "notes").iterdir()] == ["a.txt"]
    assert place.root.read_bytes("notes/a.txt") == b"alpha"


def test_root_that_is_missing_is_a_plain_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        Root(tmp_path / "missing").find()
