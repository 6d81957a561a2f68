"""Wheels and clean environments; `nox -s wheels` builds what these tests look at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

DIST = os.environ.get("ERGASTER_DIST")
if DIST is None:
    collect_ignore_glob = ["test_*.py"]  # there is nothing to look at; the session that builds wheels says where they are


@frozen
class Environment:
    """A virtual environment with nothing in it but what a test installs."""

    folder: Path

    def run(self, command: str, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> str:
        """Run a program of the environment, away from this repository, and return its output; a failure raises."""
        scripts = self.folder / ("Scripts" if os.name == "nt" else "bin")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("ERGASTER_", "PYTEST_", "VIRTUAL_ENV"))
        }
        done = subprocess.run(
            [str(scripts / command), *map(str, arguments)],
            cwd=cwd or self.folder,
            env=kept | {"PYTHONSAFEPATH": "1"} | variables,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert 0 == done.returncode, f"{command} {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self, *requirements: str | Path) -> None:
        """Install what a user would, our own wheels from the folder of wheels."""
        self.run("pip", "install", "--quiet", "--find-links", DIST, *requirements)


@pytest.fixture(scope="session")
def dist():
    """The folder of wheels."""
    return Path(DIST)


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory):
    """Return a function that makes a new environment."""

    def make(name: str) -> Environment:
        folder = tmp_path_factory.mktemp(name) / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
        return Environment(folder)

    return make


@pytest.fixture(scope="session")
def standard(make_environment):
    """An environment into which somebody installed `ergaster[standard]`."""
    environment = make_environment("standard")
    environment.install("ergaster[standard]")
    return environment
