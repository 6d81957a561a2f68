"""A contestant's process: reads one measurement per line, `{"measure": …, …}`, and answers with its figures."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys

import measures


async def main(name: str, url: str) -> None:
    contestant = importlib.import_module(f"contestants.{name}")
    loop = asyncio.get_running_loop()
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints must not look like an answer
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        figures = await getattr(measures, asked.pop("measure"))(contestant, url, **asked)
        answers.write(json.dumps(figures) + "\n")
        answers.flush()


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    asyncio.run(main(*sys.argv[1:]))
