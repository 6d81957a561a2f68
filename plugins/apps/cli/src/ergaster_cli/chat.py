"""`ergaster chat`: talk with an agent."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from attrs import define
from cyclopts import Parameter

from ergaster_cli.driving import Driver
from ergaster_cli.exits import Exit
from ergaster_cli.progress import show_progress
from ergaster_cli.project import Project, open_project
from ergaster_cli.screen import Screen
from ergaster_cli.views import PlainView
from ergaster_cli.visible import escape_line

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from ergaster.agent import Agent

__all__ = ["chat"]

_HELP = """\
/new            begin a new session
/session        say which session this is
/session ID     go on with another session
/help           this text
/quit           leave (also Ctrl-D)
Enter sends; Alt-Enter, or a backslash at the end of the line, begins another line.
Ctrl-C stops the answer under way."""


def chat(
    agent: str = "",
    /,
    *,
    file: Annotated[str, Parameter(name=["--file", "-f"])] = "",
    session: Annotated[str, Parameter(name=["--session", "-s"])] = "",
    user: str = "",
    model: Annotated[str, Parameter(name=["--model", "-m"])] = "",
    yes: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Talk with an agent, message by message.

    Without a terminal each line of standard input is a message, and the answers alone go to standard output.

    Args:
        agent: The agent's name in ergaster.toml; not needed when there is only one.
        file: The configuration; the nearest ergaster.toml, upwards from here, when not given.
        session: A session to go on with; a new one when not given.
        user: Whose conversation it is.
        model: Use this model instead of the agent's.
        yes: Let every tool call run without asking.
    """
    screen = Screen()
    with open_project(file) as project, show_progress(screen):
        name = project.pick_agent(agent)
        talk = _Talk(project, name, _remembering(project, name, model), screen, session or _new_session(), user, yes)
        return talk.interactively() if screen.can_ask and screen.is_live else talk.by_lines()


def _remembering(project: Project, name: str, model: str) -> Agent:
    """Return the agent; one without a storage is given one for the length of the conversation."""
    agent = project.agent(name, model=model)
    names = project.kernel.plugins.names("storage")
    return agent.replace(storage="memory") if agent.storage is None and "memory" in names else agent


def _new_session() -> str:
    return f"chat-{uuid.uuid4().hex[:8]}"


@define
class _Talk:
    """A conversation under way."""

    project: Project
    agent_name: str
    agent: Agent
    screen: Screen
    session: str
    user: str
    says_yes: bool

    def by_lines(self) -> int:
        """Answer each line of standard input."""
        code = Exit.OK
        for line in sys.stdin:
            if not (text := line.strip()):
                continue
            if text.startswith("/"):
                if not self._obey(text):
                    break
                continue
            code = self._say(text)
            if code != Exit.OK:
                break
        return code

    def interactively(self) -> int:
        """Read messages at the terminal until the user leaves."""
        prompt = _prompt_session()
        self.screen.note(f"Talking with {self.agent_name}; session {self.session}. /help lists the commands.")
        for text in _typed(prompt):
            if text.startswith("/"):
                if not self._obey(text):
                    break
            elif text:
                self._say(text)
        return Exit.OK

    def _say(self, text: str) -> Exit:
        """Send a message, show the answer; errors are shown, and the conversation goes on."""
        from ergaster.errors import ErgasterError

        driver = Driver(
            agent=self.agent,
            screen=self.screen,
            view=self._view(),
            consent="yes" if self.says_yes else "ask",
            resume_command=self.project.resume_command(self.agent_name),
        )
        try:
            return driver.follow(self.agent.stream(text, session_id=self.session, user_id=self.user or None))
        except ErgasterError as error:
            self.screen.warn(f"error: {error}", "red")
            return Exit.FAILED

    def _view(self) -> PlainView:
        if not self.screen.is_live:
            return PlainView(self.screen)
        from rich.console import Console

        from ergaster_cli.markdown import MarkdownSink

        return PlainView(self.screen, sink=MarkdownSink(Console(emoji=False)))

    def _obey(self, text: str) -> bool:
        """Carry out a command of the conversation; say whether to go on."""
        command, _, rest = text.partition(" ")
        match command, rest.strip():
            case (("/quit" | "/exit"), _):
                return False
            case "/new", _:
                self.session = _new_session()
                self.screen.note(f"new session {self.session}")
            case "/session", "":
                self.screen.note(f"session {self.session}")
            case "/session", name:
                self.session = name
                self.screen.note(f"session {escape_line(name)}")
            case "/help", _:
                self.screen.warn(_HELP)
            case _:
                self.screen.warn(f"there is no command {escape_line(command)}; /help lists them")
        return True


def _prompt_session() -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

    from ergaster_cli.home import data_folder

    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.current_line_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def break_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    history = data_folder() / "chat_history"
    history.touch(mode=0o600)
    return PromptSession(history=FileHistory(history), key_bindings=keys, multiline=True, enable_suspend=True)


def _typed(prompt: PromptSession[str]) -> Iterator[str]:
    """Yield what is typed until Ctrl-D; Ctrl-C empties the line."""
    while True:
        try:
            yield prompt.prompt("> ").strip()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
