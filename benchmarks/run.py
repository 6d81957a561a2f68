"""Measure Ergaster beside the bare `openai` SDK and agno, interleaved in one run, and write the table.

python benchmarks/run.py            everything; about ten minutes
python benchmarks/run.py --quick    fewer samples, and no session of 10,000 messages; about two minutes
python benchmarks/run.py --only run stream --json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cold
import environments
import report
from plan import CONTESTANTS, Row, rows

HERE = Path(__file__).parent


def start(command: list[str]) -> subprocess.Popen[str]:
    """Start a process that ends with its standard input, in a session of its own: Ctrl-C is for this process to handle."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=HERE, start_new_session=True)


class Worker:
    """A contestant's process, which stays warm between samples."""

    def __init__(self, python: str, contestant: str, url: str) -> None:
        command = [python, str(HERE / "worker.py"), contestant, url]
        self.process = start(command)

    def ask(self, question: dict[str, Any]) -> dict[str, float]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.process.args} ended at {question}")
        figures: dict[str, float] = json.loads(answer)
        return figures

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()


@contextmanager
def serving(python: str) -> Iterator[str]:
    """Run the loopback server in a process of its own and give its address."""
    server = start([python, str(HERE / "server.py")])
    assert server.stdin
    assert server.stdout
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    finally:
        server.stdin.close()
        server.wait(10)


def measure(options: argparse.Namespace, pythons: dict[str, str]) -> dict[str, Any]:
    """Return every sample: by row, by contestant, a list of figures, one per round."""
    samples: dict[str, Any] = {}
    with ExitStack() as stack:
        url = stack.enter_context(serving(pythons["ergaster"]))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ergaster-bench-")))
        plugins = cold.install_plugins(folder / "plugins")
        workers: dict[str, Worker] = {}
        for name, environment in CONTESTANTS.items():
            if name in options.contestants:
                workers[name] = Worker(pythons[environment], name, url)
                stack.callback(workers[name].close)
        scripts = {name: cold.script_of(pythons[CONTESTANTS[name]], name) for name in workers}

        def sample(row: Row, name: str) -> dict[str, float]:
            if row.measure == "cold":
                visible = plugins if row.arguments["plugins"] else None
                return cold.start(pythons[CONTESTANTS[name]], scripts[name], url, plugins=visible)
            return workers[name].ask({"measure": row.measure, **row.arguments})

        for row in rows(quick=options.quick):
            if options.only and row.measure not in options.only:
                continue
            names = [name for name in row.contestants if name in workers]
            found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
            for number in range(options.rounds or row.rounds):
                for name in names if number % 2 == 0 else reversed(names):
                    found[name].append(sample(row, name))
            samples[row.key] = found
            report.progress(row, found)
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of the table")
    parser.add_argument(
        "--only", nargs="+", metavar="MEASURE", help="cold, build, run, stream, concurrent, in_process, durable"
    )
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS), metavar="NAME")
    parser.add_argument("--rounds", type=int, help="samples per row")
    parser.add_argument("--cache", type=Path, default=environments.cache_folder(), help="where the environments are kept")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="the folder of the tables")
    options = parser.parse_args()
    pythons = environments.prepare(options.cache)
    try:
        samples = measure(options, pythons)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; nothing was written") from None
    peers = environments.versions(pythons["peers"], "agno", "openai")
    result = {**report.circumstances(), "versions": peers, "samples": samples}
    table = report.table(result, rows(quick=options.quick))
    options.results.mkdir(exist_ok=True)
    (options.results / "latest.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.results / "latest.md").write_text(table)
    print(json.dumps(result) if options.json else table)


if __name__ == "__main__":
    sys.exit(main())
