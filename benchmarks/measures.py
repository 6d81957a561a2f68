"""What is measured, one function each: it takes a contestant's module and returns the figures of one sample.

Times are processor time of the whole process, threads included, unless a name says otherwise. Whatever is built once
is kept in `kept`, so that later samples find it warm.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tempfile
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter, process_time
from types import ModuleType
from typing import Any

from replies import STREAM_LENGTHS

kept: dict[object, Any] = {}
WARM_UP = 15


async def run(contestant: ModuleType, url: str, *, model: str, count: int) -> dict[str, float]:
    """Return µs per run against the server; of `loop-50`, of all its steps together."""
    once = await _warm(("run", model), lambda: contestant.runner(url, model))
    return {"us": await _cpu(once, count)}


async def in_process(contestant: ModuleType, _: str, *, calls: int, count: int) -> dict[str, float]:
    """Return µs per run on a model that is an object of this process."""
    once = await _warm(("in_process", calls), lambda: contestant.in_process(calls))
    return {"us": await _cpu(once, count)}


async def stream(contestant: ModuleType, url: str, *, count: int) -> dict[str, float]:
    """Return µs per streamed token: a long stream's time less a short one's, over the tokens between."""
    short, long = [
        await _cpu(await _warm(("stream", tokens), lambda tokens=tokens: contestant.streamer(url, f"stream-{tokens}")), count)
        for tokens in STREAM_LENGTHS
    ]
    return {"us": (long - short) / (STREAM_LENGTHS[1] - STREAM_LENGTHS[0])}


async def concurrent(contestant: ModuleType, url: str, *, at_once: int, each: int) -> dict[str, float]:
    """Return wall-clock throughput and the 99th percentile of *at_once* runs of one tool call, at 50 ms latency."""
    once = await _warm(("concurrent",), lambda: contestant.runner(url.replace("/v1", "/delay/50/v1"), "tool"))
    waits: list[float] = []

    async def client() -> None:
        for _ in range(each):
            started = perf_counter()
            await once()
            waits.append(perf_counter() - started)

    await asyncio.gather(*(once() for _ in range(at_once)))
    began, cpu = perf_counter(), process_time()
    await asyncio.gather(*(client() for _ in range(at_once)))
    wall, cpu, total = perf_counter() - began, process_time() - cpu, at_once * each
    return {"per_s": total / wall, "p99_ms": sorted(waits)[int(total * 0.99)] * 1e3, "us": cpu / total * 1e6}


async def build(contestant: ModuleType, url: str, *, count: int) -> dict[str, float]:
    """Return µs and KiB of an agent with one tool."""
    make = contestant.builder(url)
    agents = [make() for _ in range(100)]
    gc.collect()
    started = process_time()
    for _ in range(count):
        make()
    took = process_time() - started
    tracemalloc.start()
    agents = [make() for _ in range(500)]
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return {"us": took / count * 1e6, "kib": size / len(agents) / 1024}


async def durable(contestant: ModuleType, _: str, *, messages: int, count: int) -> dict[str, float]:
    """Return what keeping a run costs, as ms and bytes written, in a session that has *messages* already.

    The time of the same run without a storage, taken in turns with it, is subtracted.
    """
    key = ("durable", messages)
    if key not in kept:
        kept[key] = await _sessions(contestant, messages, count)
    runs, sessions = kept[key]
    plain = await _warm(("fleeting",), contestant.fleeting, "")
    spent = bare = written = 0.0
    for number in range(count):
        started, before = process_time(), _bytes_written()
        await runs(sessions[number % len(sessions)])
        middle, after = process_time(), _bytes_written()
        await plain("")
        spent, bare, written = spent + middle - started, bare + process_time() - middle, written + after - before
    return {"ms": (spent - bare) / count * 1e3, "kib_written": written / count / 1024}


async def _sessions(contestant: ModuleType, messages: int, count: int) -> tuple[Callable[[str], Awaitable[Any]], list[str]]:
    """Return a durable runner and sessions of about *messages* messages; short ones are many, so that they stay short."""
    folder = tempfile.TemporaryDirectory(prefix="ergaster-bench-")
    kept[("folder", messages)] = folder
    run_once = contestant.durable(str(Path(folder.name) / "bench.db"))
    sessions = [f"s{number}" for number in range(count if messages <= 100 else 1)]
    for session in sessions:
        for _ in range(messages // 2):
            await run_once(session)
    return run_once, sessions


def _bytes_written() -> int:
    """Return the bytes that this process has handed to write calls; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])
    return 0


async def _warm(key: object, make: Callable[[], Any], *arguments: str) -> Any:
    if key not in kept:
        kept[key] = once = make()
        for _ in range(WARM_UP if "loop" not in str(key) else 1):
            await once(*arguments)
    return kept[key]


async def _cpu(once: Callable[[], Awaitable[Any]], count: int) -> float:
    """Return µs of processor time per call, after one that is not counted (an idle connection may have to be opened)."""
    await once()
    gc.collect()
    started = process_time()
    for _ in range(count):
        await once()
    return (process_time() - started) / count * 1e6
