"""The table: the least and the median of each figure, and its ratio to the bare SDK's in the same round."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from statistics import median
from typing import Any

from plan import CONTESTANTS, Row

TITLES = {
    "openai_sdk": "`openai` SDK",
    "agno_agents": "agno",
    "ergaster_openai": "Ergaster, `openai`",
    "ergaster_compatible": "Ergaster, `openai_compatible`",
}


def circumstances() -> dict[str, Any]:
    """Return when and on what it was measured; nothing that tells one machine from another of its kind."""
    memory = 0.0
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory),
        "python": platform.python_version(),
        "load": load,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def ratio(found: dict[str, list[dict[str, float]]], name: str, column: str) -> float | None:
    """Return the median, over the rounds, of a contestant's figure over the first one's."""
    base = next(iter(found))
    if name == base:
        return None
    return median(mine[column] / theirs[column] for mine, theirs in zip(found[name], found[base], strict=True))


def table(result: dict[str, Any], rows: list[Row]) -> str:
    circumstances = (
        f"Measured on {result['date']}: {result['cores']} cores, {result['memory_gib']} GiB, Python {result['python']}, "
        f"openai {result['versions']['openai']}, agno {result['versions']['agno']}; load at the end {result['load']}."
    )
    lines = [
        circumstances,
        "Each cell: least / median (ratio to the row's first figure, median over the rounds).",
        "",
        "| | " + " | ".join(TITLES[name] for name in CONTESTANTS) + " |",
        "|---|" + "---|" * len(CONTESTANTS),
    ]
    for row in rows:
        if row.key not in result["samples"]:
            continue
        found = result["samples"][row.key]
        for column, unit in row.columns.items():
            cells = [_cell(found, name, column, row.scale) for name in CONTESTANTS]
            lines.append(f"| {row.key}, {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def progress(row: Row, found: dict[str, list[dict[str, float]]]) -> None:
    column = next(iter(row.columns))
    figures = ", ".join(f"{name} {_cell(found, name, column, row.scale)}" for name in found)
    print(f"{row.key} [{row.columns[column]}]: {figures}", file=sys.stderr, flush=True)


def _cell(found: dict[str, list[dict[str, float]]], name: str, column: str, scale: int) -> str:
    if name not in found:
        return "-"
    values = [sample[column] / scale for sample in found[name]]
    best = max(values) if column == "per_s" else min(values)
    text = f"{_short(best)} / {_short(median(values))}"
    compared = ratio(found, name, column)
    return text if compared is None else f"{text} ({compared:.2f}x)"


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
