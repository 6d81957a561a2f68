"""`ergaster run`: one prompt, one answer."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from ergaster_cli.deciding import Consent
from ergaster_cli.driving import Driver
from ergaster_cli.exits import CommandFailed, UsageError
from ergaster_cli.progress import show_progress
from ergaster_cli.project import open_project, owner_has_gone
from ergaster_cli.screen import STDIN, Screen
from ergaster_cli.views import JsonView, PlainView, View

__all__ = ["read_command", "run"]

_PATIENCE = 3.0  # seconds without the end of standard input after which the user is told what is waited for


def run(
    *words: str,
    file: Annotated[str, Parameter(name=["--file", "-f"])] = "",
    session: Annotated[str, Parameter(name=["--session", "-s"])] = "",
    user: str = "",
    model: Annotated[str, Parameter(name=["--model", "-m"])] = "",
    resume: str = "",
    force: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    no: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
) -> int:
    """Run an agent on a prompt and print its answer.

    Write `ergaster run "PROMPT"`, or `ergaster run AGENT "PROMPT"`; what is piped in is added to the prompt, and a lone
    `-` reads all of it from there. The answer goes to standard output, tool calls and questions to standard error.
    Exit codes: 0 answered, 1 the run failed, 2 wrong usage or configuration, 3 paused for a decision, 130 Ctrl-C.

    Args:
        words: The agent's name, when ergaster.toml has several, and the prompt.
        file: The configuration; the nearest ergaster.toml, upwards from here, when not given.
        session: Go on with this session, or begin it.
        user: Whose run it is.
        model: Use this model instead of the agent's.
        resume: Continue the run of this id instead of beginning one.
        force: With --resume: take the run over although its owner gave a sign of life seconds ago.
        yes: Let every tool call run without asking.
        no: Refuse every tool call that would have to be asked for.
        json: Print every event as one line of JSON.
        quiet: Show nothing but the answer and what has to be decided.
    """
    if yes and no:
        raise UsageError("--yes and --no exclude each other")
    screen = Screen(is_quiet=quiet) if not json else Screen(is_quiet=quiet, can_ask=False, is_live=False)
    view: View = JsonView(screen) if json else PlainView(screen)
    consent: Consent = "yes" if yes else "no" if no else "ask"
    with open_project(file) as project, show_progress(screen):
        if resume:
            record, prompt = project.find_run(resume), ""
            agent_name = project.pick_agent(words[0] if words else str(record.value["runnable"]))
            force = force or owner_has_gone(record)
        else:
            name, prompt = read_command(words, project.agent_names, piped=_read_piped(words, screen))
            agent_name = project.pick_agent(name)
        agent = project.agent(agent_name, model=model)
        driver = Driver(
            agent=agent,
            screen=screen,
            view=view,
            consent=consent,
            resume_command=project.resume_command(agent_name),
            run_id=resume,
            preface=str if json else project.model_choice,
        )
        if resume:
            return _follow_again(driver, force=force)
        return driver.follow(agent.stream(prompt, session_id=session or None, user_id=user or None))


def _follow_again(driver: Driver, *, force: bool) -> int:
    from ergaster.errors import RunBusy

    try:
        return driver.follow(driver.agent.resume_stream(driver.run_id, force=force))
    except RunBusy as error:
        raise CommandFailed(
            f"run {driver.run_id} is at work in another process; wait for it, or take it over with --force"
        ) from error


def _read_piped(words: Sequence[str], screen: Screen) -> str:
    """Return what was piped in; nothing is waited for at a terminal, unless `-` asks for it."""
    if sys.stdin is None or (sys.stdin.isatty() and STDIN not in words):
        return ""
    hint = threading.Timer(_PATIENCE, screen.note, ("waiting for the end of standard input; add </dev/null if nothing comes",))
    hint.daemon = True
    hint.start()
    try:
        return sys.stdin.read()
    finally:
        hint.cancel()


def read_command(words: Sequence[str], agents: Sequence[str], *, piped: str) -> tuple[str, str]:
    """Return the agent's name, empty when none was typed, and the prompt.

    The first word is an agent's name when the configuration has that agent and something else makes the prompt.

    Raises:
        UsageError: If there is no prompt, or several words that begin with no agent's name.
    """
    typed = [word for word in words if word != STDIN]
    name = ""
    if typed and typed[0] in agents and (len(typed) > 1 or piped.strip()):
        name = typed.pop(0)
    if len(typed) > 1 and agents:
        known = ", ".join(agents)
        raise UsageError(
            f"{typed[0]!r} is no agent of this configuration (it has: {known}); put a prompt of several words in quotes"
        )
    prompt = "\n\n".join(part for part in (" ".join(typed), piped.strip("\n")) if part.strip())
    if not prompt:
        raise UsageError('there is no prompt; write: ergaster run "PROMPT", or pipe one in')
    return name, prompt
