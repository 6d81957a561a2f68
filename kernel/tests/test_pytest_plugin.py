"""The pytest plugin, as a stranger's project meets it: a folder of its own, a pytest process of its own."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def run_pytest(tmp_path):
    """Write a test module and run it; return the process and its output."""

    def run(code, *arguments, **variables):
        (tmp_path / "test_it.py").write_text(code)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ERGASTER_", "PYTEST_"))}
        command = [sys.executable, "-m", "pytest", "-q", "-rsf", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment | variables, capture_output=True, text=True, check=False, timeout=60
        ).stdout

    return run


def test_scripted_model_is_a_fixture(run_pytest):
    code = """
async def _ask(model):
    from ergaster.contracts.model import ModelRequest
    return (await model.generate(ModelRequest(messages=()))).message.text

def test_it(scripted_model):
    import asyncio
    assert "Hello" == asyncio.run(_ask(scripted_model("Hello")))
"""

    assert "1 passed" in run_pytest(code)


def test_projects_that_do_not_use_it_keep_their_anyio_backend(run_pytest):
    [line] = [line for line in run_pytest("", "--fixtures", "-v").splitlines() if line.startswith("anyio_backend ")]

    assert "anyio/pytest_plugin.py" in line


def test_kits_run_asynchronous_tests_without_settings(run_pytest):
    code = """
from ergaster.testing.contract import Contract

class TestIt(Contract):
    async def test_it(self): import asyncio; await asyncio.sleep(0)
"""

    assert "1 passed" in run_pytest(code, "-W", "error")


MISSING = """
from ergaster.testing.services import require_service

def test_it():
    require_service("PostgreSQL", False, "start one on port 5432"{more})
"""


def test_a_missing_service_skips_with_its_reason(run_pytest):
    output = run_pytest(MISSING.format(more=""))

    assert "1 skipped" in output
    assert "PostgreSQL is missing: start one on port 5432" in output


def test_a_missing_service_fails_where_services_are_required(run_pytest):
    assert "1 failed" in run_pytest(MISSING.format(more=""), ERGASTER_REQUIRE_SERVICES="1")


def test_a_download_that_vanished_skips_even_there(run_pytest):
    assert "1 skipped" in run_pytest(MISSING.format(more=", may_vanish=True"), ERGASTER_REQUIRE_SERVICES="1")


def test_loading_the_plugin_loads_no_kit():
    script = "import sys, ergaster.testing.pytest_plugin; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert ["ergaster.testing.pytest_plugin"] == [name for name in loaded if name.startswith("ergaster.testing.")]
