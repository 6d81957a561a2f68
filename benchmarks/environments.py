"""Virtual environments of the benchmark's own, under the user's cache folder; the workspace stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
PARTS = (
    "kernel",
    "plugins/models/openai",
    "plugins/models/openai_compatible",
    "plugins/storages/sqlite",
    "plugins/features/history",
    "plugins/support/http",
    "plugins/support/openai-wire",
    "plugins/support/sql",
    "plugins/support/storage",
)


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ergaster-benchmarks"


def prepare(cache: Path) -> dict[str, str]:
    """Make the environments and return the Python of each: `peers` and `ergaster`."""
    peers, ours = cache / "peers", cache / "ergaster"
    requirements = (HERE / "requirements.txt").read_text()
    stamp = peers / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != requirements:
        _make(peers)
        _uv("pip", "install", "--python", str(_python(peers)), "--requirement", str(HERE / "requirements.txt"))
        stamp.write_text(requirements)
    if not _python(ours).exists():
        _make(ours)
    sdk = next(line for line in requirements.splitlines() if line.startswith("openai=="))
    fresh = [word for part in PARTS for word in ("--reinstall-package", _distribution(part))]
    paths = [str(ROOT / part) for part in PARTS]
    _uv("pip", "install", "--python", str(_python(ours)), *fresh, *paths, sdk)
    return {"peers": str(_python(peers)), "ergaster": str(_python(ours))}


def versions(python: str, *names: str) -> dict[str, str]:
    source = "import importlib.metadata as m, sys; print(*(m.version(name) for name in sys.argv[1:]))"
    answer = subprocess.run([python, "-c", source, *names], capture_output=True, text=True, check=True)
    return dict(zip(names, answer.stdout.split(), strict=True))


def _distribution(part: str) -> str:
    if part == "kernel":
        return "ergaster"
    folder = Path(part)
    return f"ergaster-{'support-' if folder.parent.name == 'support' else ''}{folder.name.replace('_', '-')}"


def _make(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--python", sys.executable, str(folder))


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _uv(*arguments: str) -> None:
    found = os.environ.get("UV") or shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if found is None:
        raise SystemExit("uv is missing: pip install uv")
    subprocess.run([found, *arguments, "--quiet"], check=True, cwd=ROOT)
