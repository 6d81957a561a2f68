"""Cold starts: a fresh interpreter for each sample, without and with two hundred installed plugins in its sight."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

PLUGINS = 200
GROUPS = ("models", "toolkits", "storages", "vector_stores", "features", "embedders", "readers", "guardrails")

BEFORE = "import resource, sys, time\n"
AFTER = """
figures = {"ms": time.process_time() * 1e3, "modules": len(sys.modules)}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
figures["mib"] = peak()
import asyncio, json
async def both():
    await first()
    figures["first_ms"] = time.process_time() * 1e3
    figures["first_mib"] = peak()
asyncio.run(both())
print(json.dumps(figures))
"""
SHOW = "import importlib; print(importlib.import_module('contestants.' + __import__('sys').argv[1]).COLD)"


def script_of(python: str, contestant: str) -> str:
    """Return the program that imports a contestant, builds an agent with one tool, and runs it for the first time."""
    shown = subprocess.run(
        [python, "-c", SHOW, contestant], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    return BEFORE + shown.stdout + AFTER


def start(python: str, script: str, url: str, *, plugins: Path | None = None) -> dict[str, float]:
    """Return processor time and peak memory until the agent is there, and until its first reply (`first_…`)."""
    environment = {**os.environ, **({"PYTHONPATH": str(plugins)} if plugins else {})}
    done = subprocess.run([python, "-c", script, url], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"a cold start failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def install_plugins(folder: Path) -> Path:
    """Write two hundred distributions as an installer leaves them."""
    for number in range(PLUGINS):
        info = folder / f"made_{number:03}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: made-{number:03}\nVersion: 1.0\nSummary: One of many\n")
        (info / "entry_points.txt").write_text(f"[ergaster.{GROUPS[number % 8]}]\nmade{number:03} = made_{number:03}:Plugin\n")
        (folder / f"made_{number:03}.py").write_text("raise ImportError('nobody named this plugin')\n")
    return folder
