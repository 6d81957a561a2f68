"""`ergaster demo`: puts the stage up, plays the parts, prints what was found out."""

from __future__ import annotations

import secrets
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ergaster_cli.exits import CommandFailed, Exit, UsageError
from ergaster_cli.screen import Screen
from ergaster_cli.tables import print_json

if TYPE_CHECKING:
    from ergaster import Kernel
    from ergaster_cli.demo.report import Report
    from ergaster_cli.demo.stage import Stage

__all__ = ["demo"]

Flag = Annotated[bool, Parameter(negative="")]


def demo(*, folder: Path | None = None, files: Path | None = None, yes: Flag = False, json: Flag = False) -> int:
    """Watch an agent work, be killed, and go on; every claim is checked, and nothing is canned.

    It reads real files with a tool, remembers across processes, asks before it writes, and survives a SIGKILL without
    paying for a finished model call again. It uses the provider whose key is in the environment, else a model that runs
    on this machine and is downloaded on first use. Exit code 0 when every claim held, 1 when not.

    Args:
        folder: Where the configuration, the database and the notes go; a new temporary folder when not given.
        files: What the agent reads; the project around the working directory, else Ergaster's own files.
        yes: Approve the tool that writes without asking; so it is where there is no terminal.
        json: Print the report as JSON.
    """
    from ergaster import Kernel, wait

    screen = Screen()
    place = _make_folder(folder)
    source = _choose_files(files)
    config = _write_config(place, source)
    kernel = Kernel.from_file(config)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no process of the demo is left behind
    try:
        report = _play(kernel, place, source, screen, says_yes=yes or not screen.can_ask)
        if json:
            print_json(screen, report.as_json())
        else:
            report.show(screen)
    except KeyboardInterrupt:
        screen.warn(f"interrupted; what was done so far is in {place}")
        return Exit.INTERRUPTED
    finally:
        wait(kernel.aclose())
    return Exit.OK if report.held else Exit.FAILED


def _make_folder(folder: Path | None) -> Path:
    place = Path(tempfile.mkdtemp(prefix="ergaster-demo-")) if folder is None else folder.absolute()
    if place.exists() and any(place.iterdir()):
        raise UsageError(f"{place} is not empty; the demo needs a folder of its own")
    (place / "notes").mkdir(parents=True)
    return place


def _choose_files(files: Path | None) -> Path:
    if files is not None:
        if not files.is_dir():
            raise UsageError(f"{files} is no folder")
        return files.absolute()
    for here in (Path.cwd(), *Path.cwd().parents):
        if (here / ".git").exists() and (here / "README.md").is_file():
            return here
    import ergaster

    return Path(ergaster.__file__).parent


def _write_config(place: Path, source: Path) -> Path:
    template = Path(__file__).with_name("ergaster.toml.template").read_text(encoding="utf-8")
    path = place / "ergaster.toml"
    path.write_text(Template(template).substitute(files=source.as_posix()), encoding="utf-8")
    return path


def _play(kernel: Kernel, place: Path, source: Path, screen: Screen, *, says_yes: bool) -> Report:
    """Put the stage up, play the parts, and return what was found out."""
    from ergaster_cli.demo.report import Report
    from ergaster_cli.demo.stage import Stage
    from ergaster_cli.demo.store import Store
    from ergaster_cli.progress import show_progress

    report = Report(str(place), str(source))
    begin = time.monotonic()
    with show_progress(screen):
        count = _prepare_model(kernel)
    report.model, _, report.why = kernel.auto_choice.partition(", ")
    report.preparation = round(time.monotonic() - begin, 2)
    screen.note(f"The model is {kernel.auto_choice}.", "bold")
    store = Store(kernel.storage(f"sqlite:///{place / 'demo.db'}"), place / "demo.db")
    stage = Stage(folder=place, files=source, store=store, screen=screen, says_yes=says_yes, count_requests=count)
    try:
        _play_parts(stage, report)
    except CommandFailed as failure:
        report.problem = str(failure)
    report.stored = store.measure()
    return report


def _play_parts(stage: Stage, report: Report) -> None:
    from ergaster_cli.demo.kill import survive_a_kill
    from ergaster_cli.demo.parts import answer_with_a_tool, ask_before_writing, recall

    _announce(stage, 1, "an agent answers with a tool, over the files of", str(stage.files))
    part, word = answer_with_a_tool(stage, f"demo-{secrets.token_hex(3)}")
    report.parts.append(part)
    report.model = f"{report.model} ({part.model})"
    _announce(stage, 2, "a second process continues the session and recalls what was said")
    report.parts.append(recall(stage, str(part.facts["session"]), word))
    _announce(stage, 3, "a tool that writes asks for approval first")
    report.parts.append(ask_before_writing(stage))
    _announce(stage, 4, "a run is killed half-way, and another process carries it on")
    report.parts.append(survive_a_kill(stage))


def _announce(stage: Stage, number: int, *words: str) -> None:
    stage.screen.note(f"\n{number}. {' '.join(words)}", "bold")


def _prepare_model(kernel: Kernel) -> Callable[[], int] | None:
    """Have the model ready, downloaded and started, and return how to count its server's requests, if one can.

    A model may have `open()`, which does what the first call would, and `request_count()`, its server's own count.
    """
    from ergaster import wait
    from ergaster.errors import Unsupported

    model = kernel.model("auto")
    if (prepare := getattr(model, "open", None)) is not None:
        wait(prepare())
    count: Callable[[], int] | None = getattr(model, "request_count", None)
    if count is None:
        return None
    try:
        count()
    except Unsupported:
        return None
    return count
