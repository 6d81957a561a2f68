"""What a user gets: `pip install "ergaster[standard]"`, the command, and a plugin of one's own."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zipfile import ZipFile

import pytest


def test_the_kernel_alone_is_small(make_environment):
    environment = make_environment("kernel")
    environment.install("ergaster")
    installed = json.loads(environment.run("pip", "list", "--format", "json"))

    assert ["ergaster"] == [item["name"] for item in installed if item["name"].startswith("ergaster")]
    assert "Agent" in environment.run("python", "-c", "import ergaster; print(ergaster.Agent.__name__)")


def test_standard_brings_its_plugins_and_the_command(standard):
    listed = standard.run("ergaster", "plugins", "list")

    assert [] == [name for name in ("calculator", "files", "history", "llamacpp", "openai", "sqlite") if name not in listed]
    assert "chat" in standard.run("ergaster", "--help")


def test_what_was_installed_is_what_was_built(standard, dist):
    script = "import importlib.metadata as m; print(*(d.name for d in m.distributions() if d.name.startswith('ergaster')))"
    names = standard.run("python", "-c", script).split()
    [site] = standard.folder.glob("[Ll]ib/**/site-packages")

    assert "ergaster" in names
    for name in names:
        [path] = dist.glob(f"{name.replace('-', '_')}-*.whl")
        with ZipFile(path) as archive:
            code = [info for info in archive.infolist() if ".dist-info/" not in info.filename and not info.is_dir()]
            assert all(archive.read(info) == (site / info.filename).read_bytes() for info in code), (
                f"{name} came from elsewhere"
            )


def test_nothing_conflicts(standard):
    assert "No broken requirements" in standard.run("pip", "check")


def test_an_unknown_plugin_gets_its_install_line(standard):
    script = "import ergaster\ntry: ergaster.Agent(model='deepseek:x')\nexcept ergaster.ErgasterError as error: print(error)"

    assert 'pip install "ergaster[deepseek]"' in standard.run("python", "-c", script).replace("'", '"')


class _Provider(BaseHTTPRequestHandler):
    """A server of Chat Completions that calls `weather_greet` once and then repeats what the tool said."""

    requests: list[dict]

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(request)
        results = [message for message in request["messages"] if message["role"] == "tool"]
        message = {"role": "assistant", "content": f"The tool said: {results[-1]['content']}"} if results else _CALL
        reason = "stop" if results else "tool_calls"
        if request.get("stream"):
            self._stream(message, reason)
        else:
            self._send("application/json", json.dumps(_reply("chat.completion", "message", message, reason)))

    def _stream(self, message, reason):
        calls = [{"index": number, **call} for number, call in enumerate(message.get("tool_calls", ()))]
        delta = {**message, "tool_calls": calls} if calls else message
        chunks = [_reply("chat.completion.chunk", "delta", delta, None), _reply("chat.completion.chunk", "delta", {}, reason)]
        self._send("text/event-stream", "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n")

    def _send(self, media_type, text):
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


_CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather_greet", "arguments": '{"name": "Ada"}'}}],
}


def _reply(kind, field, value, reason):
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choices = [{"index": 0, field: value, "finish_reason": reason}]
    return {"id": "1", "object": kind, "created": 0, "model": "test", "choices": choices, "usage": usage}


@pytest.fixture
def provider():
    """The address of a running provider, and the requests that it got."""
    _Provider.requests = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", _Provider.requests
        server.shutdown()


CONFIG = """
[agents.assistant]
model = {{ use = "openai_compatible:test", base_url = "{url}", api_key = "none" }}
tools = ["weather"]
"""


@pytest.fixture(scope="session")
def weather(standard, make_environment, tmp_path_factory):
    """A fresh environment with a plugin that the command made, built and installed as a stranger would, and its folder."""
    folder = tmp_path_factory.mktemp("made") / "ergaster-weather"
    standard.run("ergaster", "new", "plugin", "toolkit", "weather", cwd=folder.parent)
    standard.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder.parent, folder)
    environment = make_environment("weather")
    environment.install(*folder.parent.glob("*.whl"), "ergaster[standard]", "pytest")
    return environment, folder


def test_the_tests_of_a_new_plugin_pass(weather):
    environment, folder = weather
    output = environment.run("python", "-m", "pytest", "-q", "-W", "error", cwd=folder)

    assert " passed" in output
    assert "failed" not in output


def test_a_new_plugin_is_used_by_its_name(weather, provider, tmp_path):
    environment, _ = weather
    url, requests = provider
    (tmp_path / "ergaster.toml").write_text(CONFIG.format(url=url))
    output = environment.run("ergaster", "run", "assistant", "My name is Ada.", cwd=tmp_path)

    assert "The tool said: Hello, Ada!" in output
    assert ["weather_greet"] == [tool["function"]["name"] for tool in requests[0]["tools"]]
    assert "weather" in environment.run("ergaster", "plugins", "list")
