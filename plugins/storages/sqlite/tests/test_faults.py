"""Killed processes, failing writes, full disks, foreign locks and forks: nothing acknowledged is lost, nothing is half."""

import asyncio
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

from ergaster.contracts.storage import Order, Table
from ergaster.errors import StorageFull, StorageUnavailable
from ergaster.testing import require_service
from ergaster_sqlite import SqliteSettings, SqliteStorage

TABLE = Table("runs", (("status", "text"), ("number", "integer")))

WRITER = """
import asyncio, os, resource, signal, sys
from ergaster.contracts.storage import Table
from ergaster.errors import StorageError
from ergaster_sqlite import SqliteStorage

async def main(path, limit):
    storage = SqliteStorage(path)
    try:
        await storage.open()
    except StorageError as error:
        os.write(1, f"{type(error).__name__}\\n".encode())
        return
    if limit > 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    table = Table("runs", (("status", "text"), ("number", "integer")))
    for number in range(-limit if limit < 0 else 100_000):
        seq = await storage.last_seq("t", "s")
        text = ['"%d %s"' % (number, "x" * 700)] * 3
        try:
            assert await storage.append("t", "s", text, expected_seq=seq) == seq + 3
            await storage.put(table, "t", f"r{seq}", {"status": "done", "number": seq})
        except StorageError as error:
            os.write(1, f"{type(error).__name__}\\n".encode())
            return
        os.write(1, f"{seq + 3}\\n".encode())

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def check(path, acknowledged):
    """Hold the database to its invariants: intact, gapless, whole appends, nothing acknowledged missing."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    storage = SqliteStorage(str(path))
    last = await storage.last_seq("t", "s")
    assert last % 3 == 0
    assert acknowledged <= last <= acknowledged + 3
    entries, after = [], 0
    while page := await storage.read("t", "s", after=after):
        entries += page
        after = page[-1].seq
    assert [entry.seq for entry in entries] == list(range(1, last + 1))
    for first in range(0, last, 3):
        assert len({entry.data for entry in entries[first : first + 3]}) == 1
    page = await storage.query(TABLE, "t", order=Order("number"), limit=1000)
    assert len(page.records) in {min(acknowledged // 3, 1000), min(last // 3, 1000)}
    assert await storage.append("t", "s", ["1", "2", "3"], expected_seq=last) == last + 3
    await storage.drop("t", "s")
    for record in page.records:
        await storage.delete(TABLE, "t", record.id)
    await storage.close()


def acknowledged(lines):
    numbers = [int(line) for line in lines if line.strip().isdigit()]
    return numbers[-1] if numbers else 0


async def test_killed_writer_leaves_whole_appends_and_loses_nothing(tmp_path):
    path = tmp_path / "a.db"
    chance = random.Random(7)
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "0"], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(chance.randint(1, 60))]
        process.kill()
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()

        await check(path, acknowledged(lines))


async def test_process_killed_while_it_creates_the_database_can_begin_again(tmp_path):
    chance = random.Random(11)
    for number in range(6):
        path = tmp_path / f"{number}.db"
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "0"], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.0002)
        time.sleep(chance.random() * 0.03)
        process.kill()
        process.wait()

        storage = SqliteStorage(str(path))
        assert await storage.append("t", "new", ["1"]) == 1
        await storage.close()


async def test_write_that_fails_anywhere_leaves_the_old_or_the_new_state(tmp_path):
    """The process may write files up to a size: whichever write crosses it is cut or refused, at many positions."""
    path, template = tmp_path / "a.db", tmp_path / "template"
    storage = SqliteStorage(str(template))
    await storage.put(TABLE, "t", "r", {})
    await storage.delete(TABLE, "t", "r")
    await storage.close()
    for limit in [*range(28_000, 60_000, 3_001), 200_000, 1_000_001]:
        for old in tmp_path.glob("a.db*"):
            old.unlink()
        shutil.copy(template, path)
        done = subprocess.run(
            [sys.executable, "-c", WRITER, str(path), str(limit)], capture_output=True, text=True, timeout=60, check=False
        )
        *lines, last = done.stdout.splitlines() or [""]
        assert last in {"StorageUnavailable", "StorageFull"}, done.stderr + done.stdout

        await check(path, acknowledged(lines))


@pytest.fixture
def tiny_disk(tmp_path):
    """Give a file system of 1 MiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        if os.environ.get("ERGASTER_REQUIRE_SERVICES") == "1" and os.getuid() == 0:
            pytest.fail("root could not mount a tmpfs")
        pytest.skip("mounting a file system needs more rights")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_full_disk_keeps_what_was_written_and_recovers(tiny_disk):
    storage = SqliteStorage(str(tiny_disk / "a.db"))
    await storage.open()
    await storage.put(TABLE, "t", "r", {"status": "before"})
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"x" * 300_000)
    written = 0
    error = None
    while error is None:
        try:
            written = await storage.append("t", "s", ['"' + "x" * 20_000 + '"'])
        except StorageFull as full:
            error = full
    assert "no space left" in str(error)
    assert written > 3

    assert await storage.last_seq("t", "s") == written
    record = await storage.get(TABLE, "t", "r")
    assert record is not None
    assert record.value == {"status": "before"}
    ballast.unlink()
    assert await storage.append("t", "s", ['"' + "x" * 20_000 + '"']) == written + 1
    await storage.close()
    with sqlite3.connect(tiny_disk / "a.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


async def test_disk_full_from_the_beginning_is_an_error(tiny_disk):
    (tiny_disk / "ballast").write_bytes(b"x" * (1024 * 1024 - 8192))
    storage = SqliteStorage(str(tiny_disk / "a.db"))
    with pytest.raises(StorageFull):
        await storage.open()

    (tiny_disk / "ballast").unlink()
    assert await storage.append("t", "s", ["1"]) == 1
    await storage.close()


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


@pytest.fixture
def lock_holder():
    """Give a function that starts another process which holds the write lock until told."""
    started = []

    def hold(path):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        release(process)


def release(process):
    """Let a lock holder commit and end; doing it again is fine."""
    if process.poll() is None:
        process.communicate("\n", timeout=30)


async def test_write_waits_for_another_process_while_reads_go_on(tmp_path, lock_holder):
    path = tmp_path / "a.db"
    storage = SqliteStorage(str(path))
    await storage.append("t", "s", ["1"])
    holder = lock_holder(path)

    write = asyncio.ensure_future(storage.append("t", "s", ["2"]))
    for _ in range(20):
        assert await storage.last_seq("t", "s") == 1
    assert not write.done()
    await asyncio.to_thread(release, holder)

    assert await write == 2
    await storage.close()


async def test_write_gives_up_after_busy_timeout_and_nothing_is_lost(tmp_path, lock_holder):
    path = tmp_path / "a.db"
    storage = SqliteStorage(str(path), SqliteSettings(busy_timeout=0.2))
    await storage.append("t", "s", ["1"])
    holder = lock_holder(path)

    writes = [storage.append("t", "s", [str(number)]) for number in range(10)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 10
    assert "busy_timeout" in str(outcomes[0])
    await asyncio.to_thread(release, holder)
    assert await storage.append("t", "s", ["2"], expected_seq=1) == 2
    await storage.close()


async def test_forked_child_works_on_connections_of_its_own(tmp_path):
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    code = f"""
import asyncio, os, warnings
warnings.simplefilter("ignore")
from ergaster_sqlite import SqliteStorage
storage = SqliteStorage({str(tmp_path / "a.db")!r})

async def write(name, count):
    for number in range(count):
        await storage.append("t", "s", ['"%s%d"' % (name, number)])

async def parent():
    await write("before", 3)
    running = [asyncio.ensure_future(write("parent", 50)) for _ in range(3)]
    await asyncio.sleep(0.002)
    child = os.fork()
    if not child:
        os._exit(in_child())
    await asyncio.gather(*running)
    await asyncio.to_thread(os.waitpid, child, 0)
    print(await storage.last_seq("t", "s"))
    await storage.close()

def in_child():
    import threading
    failed = []
    def work():
        try:
            asyncio.run(write("child", 50))
            asyncio.run(storage.close())
        except BaseException as error:
            failed.append(error)
            os.write(2, repr(error).encode())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return len(failed)

asyncio.run(parent())
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

        assert (done.stdout, done.stderr) == ("203\n", "")
        (tmp_path / "a.db").unlink()


async def test_two_processes_race_for_versions_without_losing_any(tmp_path):
    """D11 in small: whoever loses the race reads on and tries again."""
    path = str(tmp_path / "a.db")
    code = """
import asyncio, sys
from ergaster.errors import StorageConflict
from ergaster_sqlite import SqliteStorage
async def main(path, name):
    storage = SqliteStorage(path)
    for number in range(200):
        while True:
            try:
                await storage.append("t", "s", ['"%s%d"' % (name, number)], expected_seq=await storage.last_seq("t", "s"))
            except StorageConflict:
                continue
            break
    await storage.close()
asyncio.run(main(*sys.argv[1:]))
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, path, name]) for name in ("a", "b")]
    assert [process.wait(timeout=100) for process in processes] == [0, 0]

    storage = SqliteStorage(path)
    written = [entry.data for entry in await storage.read("t", "s")]
    assert sorted(written) == sorted(f'"{name}{number}"' for name in "ab" for number in range(200))
    for name in "ab":
        assert [data for data in written if name in data] == [f'"{name}{number}"' for number in range(200)]
    await storage.close()


async def test_file_that_was_removed_while_in_use_begins_anew(tmp_path):
    path = tmp_path / "a.db"
    storage, other = SqliteStorage(str(path)), SqliteStorage(str(path))
    await storage.append("t", "s", ["1"] * 3)
    await storage.put(TABLE, "t", "r", {"status": "old"})
    assert await other.last_seq("t", "s") == 3
    for part in tmp_path.iterdir():
        part.unlink()

    assert await storage.append("t", "s", ["2"]) == 1

    assert [entry.data for entry in await other.read("t", "s")] == ["2"]
    assert (await other.query(TABLE, "t")).records == ()
    await storage.close()
    await other.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM ergaster_entries").fetchone() == (1,)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


INJECTIONS = [
    *(f"pwrite64:signal=KILL:when={number}" for number in (1, 2, 3, 6, 11, 40)),
    *(f"pwrite64:error=EIO:when={number}" for number in (1, 2, 4, 9, 30)),
    *(f"pwrite64:error=ENOSPC:when={number}" for number in (2, 7)),
    *(f"fdatasync:error=EIO:when={number}" for number in (1, 2, 5)),
]


@pytest.mark.parametrize("injection", INJECTIONS)
async def test_fault_in_the_nth_system_call_leaves_the_old_or_the_new_state(tmp_path, injection):
    """A tracer makes the n-th write or sync of the writer fail, or kills the process in it."""
    strace = shutil.which("strace")
    can_trace = strace is not None and not subprocess.run([strace, "-f", "true"], capture_output=True, check=False).returncode
    require_service("strace", can_trace, "install strace, and allow it to trace")
    path = tmp_path / "a.db"
    storage = SqliteStorage(str(path))
    await storage.put(TABLE, "t", "r", {})
    await storage.delete(TABLE, "t", "r")
    await storage.close()
    call = injection.partition(":")[0]
    command = [strace, "-f", "-o", str(tmp_path / "trace"), "-e", f"trace={call}", "-e", f"inject={injection}"]

    done = subprocess.run(
        [*command, sys.executable, "-c", WRITER.replace("SqliteStorage(path)", FULL), str(path), "-60"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    lines = done.stdout.splitlines()
    assert re.search("INJECTED|KILL", (tmp_path / "trace").read_text()), done.stderr
    # SQLite tries some writes again, and some syncs only help a later one: then all of them were acknowledged.
    assert "KILL" in injection or lines[-1] in {"StorageUnavailable", "StorageFull", "180"}, done.stderr
    await check(path, acknowledged(lines))


FULL = "__import__('ergaster_sqlite').SqliteStorage(path, __import__('ergaster_sqlite').SqliteSettings(durability='full'))"
