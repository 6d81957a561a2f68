"""What shapes a request beyond the settings that every model has."""

from __future__ import annotations

import re
from typing import Literal

from attrs import frozen

from ergaster.messages import JsonObject

__all__ = ["MessagesOptions", "default_max_tokens"]

_SHORT_ANSWERS = re.compile(r"claude-(2|instant|3-(opus|sonnet|haiku))")
_MIDDLING_ANSWERS = re.compile(r"claude-3-5")


@frozen(kw_only=True)
class MessagesOptions:
    """Options of the Messages API.

    Attributes:
        max_tokens: Longest answer where no setting says one; the API wants a number.
        thinking: `adaptive`, `between_tools`, `disabled`, or the API's own object; None leaves the model's default.
        thinking_display: `summarized` or `omitted`; None leaves the model's default.
        cache: Mark the stable prefix (tools, instructions, conversation) for the prompt cache, for five minutes or
            as long as it says.
        citations: Have the model cite the documents of the request.
        strict_tools: Hold the model to the schemas of tools.
        native_tools: Tools of Anthropic's own, such as `{"type": "web_search_20260209", "name": "web_search"}`.
    """

    max_tokens: int = 32_000
    thinking: str | JsonObject | None = None
    thinking_display: Literal["summarized", "omitted"] | None = None
    cache: bool | Literal["5m", "1h"] = False
    citations: bool = False
    strict_tools: bool = False
    native_tools: tuple[JsonObject, ...] = ()


def default_max_tokens(model: str) -> int:
    """Return the longest answer to ask *model* for: the API refuses a number above the model's own limit."""
    if _SHORT_ANSWERS.match(model):
        return 4096
    return 8192 if _MIDDLING_ANSWERS.match(model) else 32_000
