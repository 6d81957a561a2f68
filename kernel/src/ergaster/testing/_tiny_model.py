"""Weights of a few hundred kilobytes that say what a test wants, or noise."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from pathlib import Path

from ergaster.testing._gguf import Tensor, Value, write_gguf

__all__ = ["write_tiny_model"]

_START, _END, _AFTER_TOOL = "<|im_start|>", "<|im_end|>", "<|after_tool|>"
_SPECIAL = (_START, _END, _AFTER_TOOL)
_WORDS = ("the", "and", "ing", "in", "to", "of", "with", "name", "arguments", "true", "false", "null", "Paris", "France")
_PIECE = 4
_CONTEXT = 32_768
_HEAD = 32
_NOISE_WIDTH = 64
_SURE = 4.0
"""Weight between a token and the one that follows it; the norm multiplies it by the square root of the width."""
_NEVER = -8.0

TEMPLATE = """\
{%- if tools -%}{{- '<|im_start|>system\\n' -}}{%- for tool in tools -%}{{- tool | tojson + '\\n' -}}{%- endfor -%}
{{- 'To call a function, answer with\\n```json\\n{"name": "function_name", "arguments": {}}\\n```<|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') -}}
{%- for call in message.tool_calls or [] -%}
{{- '```json\\n{"name": "' + call.function.name + '", "arguments": ' -}}
{{- (call.function.arguments if call.function.arguments is string else call.function.arguments | tojson) + '}\\n```' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if messages[-1].role == 'tool' -%}{{- '<|after_tool|>' -}}{%- endif -%}
{%- endif -%}
"""


def write_tiny_model(path: Path, *, reply: str | None = None, reply_to_tool: str | None = None, seed: int = 7) -> Path:
    """Write a model for a llama.cpp server and return its path.

    Args:
        path: The file to write.
        reply: What it answers to everything, whatever the temperature; None for noise of printable ASCII. Make a tool
            call with `tool_call_text()`.
        reply_to_tool: What it answers when the last message is a tool's result; by default the same.
        seed: Of the noise.
    """
    tokens, merges = _vocabulary()
    first, second = _pieces(reply or "", set()), []
    if reply_to_tool is not None:
        second = _pieces(reply_to_tool, set(first))
    tokens += [piece for piece in (*first, *second) if piece not in tokens]
    kinds = [1] * len(tokens) + [3] * len(_SPECIAL)
    tokens += _SPECIAL
    if reply is None:
        width, tensors = _NOISE_WIDTH, _noise(tokens, seed)
    else:
        width = -(-len(tokens) // 32) * 32
        tensors = _parrot(tokens, width, first, second if reply_to_tool is not None else first)
    write_gguf(path, _metadata(tokens, kinds, merges, width), tensors)
    return path


def _byte_names() -> list[str]:
    """Return the character by which each byte is written in a byte-level vocabulary: itself if it can be printed."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


_NAMES = _byte_names()


def _as_token(text: str) -> str:
    return "".join(_NAMES[byte] for byte in text.encode())


def _vocabulary() -> tuple[list[str], list[str]]:
    """Return every byte and a few words, and the merges that make the words."""
    tokens, merges = list(_NAMES), []
    for word in (*_WORDS, *(f" {word}" for word in _WORDS)):
        written = _as_token(word)
        left = written[0]
        for right in written[1:]:
            if left + right not in tokens:
                tokens.append(left + right)
                merges.append(f"{left} {right}")
            left += right
    return tokens, merges


def _pieces(text: str, used: set[str]) -> list[str]:
    """Cut *text* into tokens, none of them twice, so that each one determines the next."""
    pieces: list[str] = []
    rest = text
    while rest:
        length = _PIECE
        while length < len(rest) and _as_token(rest[:length]) in used:
            length += 1
        piece, rest = _as_token(rest[:length]), rest[length:]
        if piece in used and pieces:
            piece = pieces.pop() + piece
        used.add(piece)
        pieces.append(piece)
    return pieces


def _metadata(tokens: Sequence[str], kinds: Sequence[int], merges: Sequence[str], width: int) -> dict[str, Value]:
    return {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.alignment": 32,
        "llama.context_length": _CONTEXT,
        "llama.embedding_length": width,
        "llama.block_count": 1,
        "llama.feed_forward_length": _HEAD,
        "llama.attention.head_count": 1,
        "llama.attention.head_count_kv": 1,
        "llama.attention.key_length": _HEAD,
        "llama.attention.value_length": _HEAD,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": _HEAD,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tuple(tokens),
        "tokenizer.ggml.token_type": tuple(kinds),
        "tokenizer.ggml.merges": tuple(merges),
        "tokenizer.ggml.bos_token_id": tokens.index(_START),
        "tokenizer.ggml.eos_token_id": tokens.index(_END),
        "tokenizer.ggml.padding_token_id": tokens.index(_END),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": TEMPLATE,
    }


def _block(width: int, scale: float, source: random.Random) -> dict[str, Tensor]:
    """Return the one layer; with the scale 0 it passes on what it gets."""
    shapes = {
        "attn_q": (width, _HEAD),
        "attn_k": (width, _HEAD),
        "attn_v": (width, _HEAD),
        "attn_output": (_HEAD, width),
        "ffn_gate": (width, _HEAD),
        "ffn_up": (width, _HEAD),
        "ffn_down": (_HEAD, width),
    }
    layer = {
        f"blk.0.{name}.weight": Tensor(shape, array("f", [scale * source.gauss(0, 1) for _ in range(width * _HEAD)]))
        for name, shape in shapes.items()
    }
    ones = Tensor((width,), array("f", [1.0] * width))
    return {**layer, "blk.0.attn_norm.weight": ones, "blk.0.ffn_norm.weight": ones, "output_norm.weight": ones}


def _parrot(tokens: Sequence[str], width: int, first: Sequence[str], second: Sequence[str]) -> dict[str, Tensor]:
    """Return weights in which each token points to its successor, and those that are in no reply to a reply's begin."""
    place = {token: index for index, token in enumerate(tokens)}
    successors = dict.fromkeys(tokens, first[0] if first else _END)
    successors[_AFTER_TOOL] = second[0] if second else _END
    for chain in (first, second):
        successors.update(zip(chain, (*chain[1:], _END), strict=False))  # an empty chain has no links
    embedding, output = array("f", bytes(4 * width * len(tokens))), array("f", bytes(4 * width * len(tokens)))
    for token, follower in successors.items():
        embedding[place[token] * width + place[token]] = 1.0
        output[place[follower] * width + place[token]] = _SURE
    shape = (width, len(tokens))
    layer = _block(width, 0.0, random.Random(0))  # noqa: S311 - zeros
    return {"token_embd.weight": Tensor(shape, embedding), **layer, "output.weight": Tensor(shape, output)}


def _noise(tokens: Sequence[str], seed: int) -> dict[str, Tensor]:
    """Return weights that say anything in printable ASCII: the first number of a state is the same for all tokens."""
    source = random.Random(seed)  # noqa: S311 - noise, no secret
    width, embedding, output = _NOISE_WIDTH, array("f"), array("f")
    for token in tokens:
        is_sayable = token == _END or (token not in _SPECIAL and token.isascii()) or token[0] == _NAMES[32]
        embedding.extend([4.0, *(source.gauss(0, 0.5) for _ in range(width - 1))])
        output.extend([0.0 if is_sayable else _NEVER, *(source.gauss(0, 0.3) for _ in range(width - 1))])
    shape = (width, len(tokens))
    layer = _block(width, 0.05, source)
    return {"token_embd.weight": Tensor(shape, embedding), **layer, "output.weight": Tensor(shape, output)}
