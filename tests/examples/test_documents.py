"""Every example of the documentation is executed, as a reader would."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ergaster.config import load_config

ROOT = Path(__file__).parents[2]
RUNNER = Path(__file__).with_name("page.py")


def _load_runner():
    spec = importlib.util.spec_from_file_location("page", RUNNER)
    module = sys.modules["page"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


read_blocks = _load_runner().read_blocks
DOCUMENTS = [ROOT / "README.md", ROOT / "kernel" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
READMES = sorted(ROOT.glob("plugins/*/*/README.md"))


def _ids(paths):
    return [path.relative_to(ROOT).as_posix() for path in paths]


def _blocks(path, language):
    return [block for block in read_blocks(path.read_text(encoding="utf-8")) if block.language == language]


def _is_executed(path):
    """Say whether a page is executed: all documents, and the plugins' READMEs that say what a model answers."""
    blocks = _blocks(path, "python")
    return bool(blocks) and (path in DOCUMENTS or any(block.script is not None for block in blocks))


EXECUTED = [path for path in [*DOCUMENTS, *READMES] if _is_executed(path)]


@pytest.mark.parametrize("path", EXECUTED, ids=_ids(EXECUTED))
def test_examples_run(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(RUNNER), str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == done.returncode, done.stderr


@pytest.mark.parametrize("path", READMES, ids=_ids(READMES))
def test_examples_of_plugins_are_python(path):
    for block in _blocks(path, "python"):
        compile("\n" * (block.line - 1) + block.code, str(path), "exec")


@pytest.mark.parametrize("path", [*DOCUMENTS, *READMES], ids=_ids([*DOCUMENTS, *READMES]))
def test_configurations_are_accepted(path, tmp_path, monkeypatch):
    for number, block in enumerate(_blocks(path, "toml")):
        tomllib.loads(block.code)
        for variable in re.findall(r"\$\{env:(\w+)\}", block.code):
            monkeypatch.setenv(variable, "value")  # the reader has set it
        if re.search(r"^\[(agents|models|teams)\.", block.code, re.MULTILINE):
            config = tmp_path / f"{number}.toml"
            config.write_text(block.code, encoding="utf-8")
            load_config(config)


def test_a_page_that_fails_says_where(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nvalue = 1\n```\n\nText.\n\n```python\nassert value == 2\n```\n")
    done = subprocess.run([sys.executable, str(RUNNER), str(page)], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert f'"{page}", line 10' in done.stderr


def test_a_page_may_not_leave_replies_unused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- scripted model:\nsay Hello\n-->\n```python\nvalue = 1\n```\n")
    done = subprocess.run([sys.executable, str(RUNNER), str(page)], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "was not asked for ['Hello']" in done.stderr
