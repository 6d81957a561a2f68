"""One entry for each thing a person does here: `nox -l` lists them, `nox -s tests -- kernel` hands paths on.

Every session works in the one environment `.venv`, which `uv sync` fills from `uv.lock`.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
ENVIRONMENT = ROOT / ".venv"
SCRIPTS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")

nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests", "lint", "types"]


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job: an agent on the embedded model, over the files of this repository."""
    sync(session, "--no-default-groups", "--group", "members", "--group", "services")
    run(session, "ergaster", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, or those of the paths given, on all cores."""
    sync(session)
    run(session, "pytest", "-n", "auto", "--dist", "loadgroup", *session.posargs)


@nox.session
def plugin(session: nox.Session) -> None:
    """Check one plugin: tests, lint and types; `nox -s plugin -- plugins/models/deepseek`."""
    if not session.posargs:
        session.error("name the plugin's folder: nox -s plugin -- plugins/models/deepseek")
    folder, *options = session.posargs
    sync(session)
    run(session, "ruff", "check", folder)
    run(session, "ruff", "format", "--check", folder)
    run(session, "mypy", f"{folder}/src")
    run(session, "pytest", folder, *options)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting; `nox -s lint -- --fix` mends what can be mended."""
    sync(session)
    if "--fix" in session.posargs:
        run(session, "ruff", "check", "--fix")
        run(session, "ruff", "format")
    else:
        run(session, "ruff", "check")
        run(session, "ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the kernel, of every plugin, and of a program that uses them."""
    sync(session)
    sources = [ROOT / "kernel" / "src", *ROOT.glob("plugins/*/*/src"), *ROOT.glob("contrib/*/src"), ROOT / "tests" / "typing"]
    run(session, "mypy", *(str(path.relative_to(ROOT)) for path in sorted(sources)), *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure Ergaster beside the vendor's client and a peer, and write the table; `nox -s bench -- --quick`."""
    sync(session)
    run(session, "python", "benchmarks/run.py", *session.posargs, env={"UV": uv()})


@nox.session
def docs(session: nox.Session) -> None:
    """Check the documentation: links, hooks, and every example, which is executed."""
    sync(session)
    run(session, "pytest", "tests/examples", "tests/architecture/test_documentation.py", *session.posargs)


@nox.session
def api(session: nox.Session) -> None:
    """Write the frozen public API anew; its diff is what a reviewer reads."""
    sync(session)
    run(session, "python", "tests/architecture/test_public_api.py")


@nox.session
def new_plugin(session: nox.Session) -> None:
    """Make a first-party plugin: `nox -s new_plugin -- models deepseek`."""
    sync(session)
    run(session, "python", "-m", "ergaster_cli.scaffold", *session.posargs)
    run(session, "ruff", "check", "--quiet", "--select", "I", "--fix", "plugins")
    session.run(uv(), "lock", external=True)
    sync(session)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build every wheel, look inside, and install them into clean environments."""
    sync(session)
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run(uv(), "build", "--all-packages", "--wheel", "--quiet", "--out-dir", str(dist), external=True)
    run(session, "pytest", "tests/packaging", *session.posargs, env={"ERGASTER_DIST": str(dist)})


def sync(session: nox.Session, *options: str) -> None:
    """Fill the environment from the lock file, which needs no resolution."""
    if "ERGASTER_NO_SYNC" not in os.environ:
        session.run(uv(), "sync", "--frozen", "--inexact", "--quiet", *options, external=True)


def run(session: nox.Session, command: str, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Run a command of the environment."""
    session.run(str(SCRIPTS / command), *arguments, env=env, external=True)


def uv() -> str:
    """Return the uv beside the Python that runs nox, else the one on PATH."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if found is None:
        raise SystemExit("uv is missing: pip install uv, beside nox")
    return found
