"""Phrases that try to give a model orders."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["signals"]

_WORD: Final = re.compile(r"\w+")
_REACH: Final = 6
"""Words between a verb and what it wants to be gone."""

_VERBS: Final = frozenset({
    "ignore", "disregard", "forget", "override", "bypass", "neglect", "ignoriere", "ignorieren", "vergiss", "missachte",
    "ignora", "ignorar", "ignorez", "ignorer", "olvida", "oublie", "oubliez", "dimentica", "ignorare", "esqueça",
})  # fmt: skip
_OBJECTS: Final = frozenset({
    "instruction", "instructions", "prompt", "prompts", "rules", "guidelines", "directions", "directives", "orders",
    "constraints", "policies", "anweisung", "anweisungen", "regeln", "vorgaben", "instrucciones", "reglas", "consignes",
    "règles", "istruzioni", "regole", "instruções", "regras",
})  # fmt: skip
_SAYINGS: Final = (
    "new instructions", "you are now", "from now on you", "system prompt", "developer mode", "do anything now",
    "do not tell the user", "don t tell the user", "without telling the user", "do not mention this to the user",
    "reveal your instructions", "repeat the text above", "print your instructions", "this is your new task",
    "your real task is", "the assistant must now", "ai assistant must", "important instructions for the ai",
)  # fmt: skip
_TOKENS: Final = (
    "<|im_start|>", "<|im_end|>", "<|system|>", "<|start_header_id|>", "[inst]", "[/inst]", "<<sys>>", "<system>", "</system>",
    "<|endoftext|>", "begin system message",
)  # fmt: skip


def signals(text: str) -> tuple[str, ...]:
    """Return what in a text without hidden characters looks like an order to the model, as words for a person."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = _WORD.findall(folded)
    found = []
    if _tells_to_ignore(words):
        found.append("asks to ignore instructions")
    spaced = f" {' '.join(words)} "
    found += [f"says {saying!r}" for saying in _SAYINGS if f" {saying} " in spaced]
    if any(token in folded for token in _TOKENS):
        found.append("holds marks of a chat template")
    return tuple(found)


def _tells_to_ignore(words: list[str]) -> bool:
    left = 0
    for word in words:
        if word in _VERBS:
            left = _REACH
        elif left and word in _OBJECTS:
            return True
        else:
            left = max(0, left - 1)
    return False
