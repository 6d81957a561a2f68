"""Execute the Python examples of a page from top to bottom, in one namespace: `python page.py README.md`.

Models are not called: every reference to a model means a scripted one. Its replies stand in an HTML comment before the
block, one to a line, so that readers of the page do not see them:

    <!-- scripted model:
    call calculate {"expression": "2 + 2"}
    say It is 4.
    -->
"""

from __future__ import annotations

import re
import sys
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import field, frozen

import ergaster.kernel
from ergaster.catalog import Spec
from ergaster.contracts.model import Model, ModelRequest
from ergaster.hookspecs import hookimpl
from ergaster.kernel import Kernel
from ergaster.messages import ToolCall
from ergaster.plugins import PluginManager
from ergaster.testing import ScriptedModel
from ergaster.testing.scripted import Reply

__all__ = ["Block", "read_blocks", "run_page"]

_BLOCK = re.compile(
    r"(?:^<!-- scripted model:\n(?P<script>.*?)\n?-->\n+)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@frozen
class Block:
    """A fenced block: its language, its first line's number, its text, and what a scripted model says in it."""

    language: str
    line: int
    code: str = field(repr=False)
    script: tuple[str, ...] | None = None


def read_blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    return [
        Block(
            found["language"],
            text.count("\n", 0, found.start("code")) + 1,
            found["code"],
            None if found["script"] is None else tuple(found["script"].splitlines()),
        )
        for found in _BLOCK.finditer(text)
    ]


def run_page(path: Path) -> None:
    """Execute the page's Python blocks; an example that fails raises, with the page's own line numbers.

    Raises:
        AssertionError: If a block leaves replies of its scripted model unused.
    """
    replies: deque[Reply] = deque()
    ergaster.kernel._default = _scripted_kernel(replies)  # what the page's own `Agent(…)` will find
    module = sys.modules["__main__"] = ModuleType("__main__")
    for block in read_blocks(path.read_text(encoding="utf-8")):
        if block.language == "python":
            replies.extend(_read_reply(line, number) for number, line in enumerate(block.script or ()))
            code = compile("\n" * (block.line - 1) + block.code, str(path), "exec")
            exec(code, module.__dict__)
            assert not replies, f"{path}:{block.line}: the scripted model was not asked for {list(replies)}"


def _read_reply(line: str, number: int) -> Reply:
    verb, _, rest = line.partition(" ")
    if verb == "say":
        return rest
    name, _, arguments = rest.partition(" ")
    if verb != "call":
        raise ValueError(f"a scripted model can 'say <text>' or 'call <tool> <arguments>', not {line!r}")
    return ToolCall(f"call_{number}", name, arguments or "{}")


def _scripted_kernel(replies: deque[Reply]) -> Kernel:
    def answer(request: ModelRequest) -> Reply:
        if not replies:
            raise AssertionError(
                f"the page says no reply to {request.messages[-1].text!r}; write one in a comment before the block"
            )
        return replies.popleft()

    class Doubles:
        @hookimpl
        def ergaster_resolve_ref(self, kind: str, ref: str) -> str | None:
            return "scripted" if kind == "model" and ref != "scripted" else None

        @hookimpl
        def ergaster_models(self) -> list[Spec[Model]]:
            def make(ref: object, settings: Any) -> Model:
                return ScriptedModel(answer)

            return [Spec("scripted", make, auto="scripted")]

    kernel = Kernel(plugins=PluginManager(trust=["examples"]))
    kernel.register(Doubles(), "examples")
    return kernel


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
