"""Parts of messages as content blocks, each as JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import blake2b

from attrs import define

from ergaster.contracts.model import Capabilities
from ergaster.errors import BadRequest, Unsupported
from ergaster.messages import Image, Json, Media, Message, Reasoning, Text, ToolCall, ToolResult
from ergaster_support_openai_wire import DEFAULT_LIMITS, Limits, base64_text, check_media, dump, quote

__all__ = ["REDACTED", "BlockEncoder", "text_block"]

REDACTED = "redacted_thinking"
"""The `Reasoning.id` of thinking that came encrypted, without any text."""

_LEGAL_ID = re.compile(r"[A-Za-z0-9_-]+")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_TEXTUAL = re.compile(r"text/|application/(json|xml|x?-?yaml|toml|javascript|sql)\b|.*\+(json|xml)\Z")


@define(eq=False)
class BlockEncoder:
    """Encodes the parts of messages.

    Attributes:
        provider: The plugin's name; only state of this provider is replayed.
        origin: What errors call the model.
        capabilities: What the model reads.
        citations: Whether the model is to cite documents.
        limits: The largest part.
    """

    provider: str
    origin: str
    capabilities: Capabilities
    citations: bool = False
    limits: Limits = DEFAULT_LIMITS

    def user(self, message: Message) -> tuple[list[str], int]:
        """Return the blocks of what a user says, and how many media are among them."""
        blocks, media = [], 0
        for part in message.parts:
            if isinstance(part, Text):
                blocks += [text_block(part.text)] if part.text.strip() else []
            elif isinstance(part, Media):
                media += 1
                blocks.append(self.media(part))
        return blocks, media

    def results(self, message: Message) -> tuple[list[str], int]:
        """Return the blocks of a message with results of tools, and how many media are in them."""
        blocks, media = [], 0
        for part in message.parts:
            if not isinstance(part, ToolResult):
                raise BadRequest(f"a message of the role 'tool' holds a {type(part).__name__}; it takes tool results only")
            media += len(part.media)
            blocks.append(self._result(part))
        return blocks, media

    def assistant(self, message: Message) -> tuple[list[str], list[str]]:
        """Return the blocks of an answer, and its media, which the API does not take from an assistant."""
        media = [self.media(part) for part in message.parts if isinstance(part, Media)]
        own = message.provider_data.get(self.provider)
        kept = own.get("blocks") if isinstance(own, Mapping) else None
        if kept and _say_the_same(kept, message):
            calls = iter(message.tool_calls)
            return [_call(next(calls)) if block["type"] == "tool_use" else dump(block) for block in kept], media
        blocks = []
        for part in message.parts:
            if isinstance(part, Text):
                blocks += [text_block(part.text)] if part.text.strip() else []
            elif isinstance(part, ToolCall):
                blocks.append(_call(part))
            elif isinstance(part, Reasoning) and part.provider == self.provider and part.signature:
                blocks.append(_thinking(part, part.signature))
        return blocks, media

    def media(self, media: Media) -> str:
        """Return the block of a picture or document.

        Raises:
            Unsupported: If the API does not take it.
            BadRequest: If it is too large.
        """
        check_media(media, self.capabilities, self.limits, self.origin)
        if not isinstance(media, Image):
            return self._document(media)
        if media.url is not None:
            return dump({"type": "image", "source": {"type": "url", "url": media.url}})
        if media.media_type not in _PICTURES:
            raise Unsupported(f"{self.origin} reads no pictures of the type {media.media_type}; use {', '.join(_PICTURES)}")
        return f'{{"type":"image","source":{_base64(media)}}}'

    def _document(self, media: Media) -> str:
        if media.url is not None:
            source = dump({"type": "url", "url": media.url})
        elif media.media_type == "application/pdf":
            source = _base64(media)
        elif _TEXTUAL.match(media.media_type):
            source = dump({"type": "text", "media_type": "text/plain", "data": (media.data or b"").decode("utf-8", "replace")})
        else:
            raise Unsupported(f"{self.origin} reads no documents of the type {media.media_type}; give it a PDF or text")
        title = f',"title":{quote(media.name)}' if media.name else ""
        citations = ',"citations":{"enabled":true}' if self.citations else ""
        return f'{{"type":"document","source":{source}{title}{citations}}}'

    def _result(self, result: ToolResult) -> str:
        # An error without a word is refused by the API.
        text = result.content or ("the tool failed and gave no reason" if result.is_error else "")
        content = quote(text)
        if result.media:
            texts = [text_block(text)] if text.strip() else []
            content = f"[{','.join([*texts, *map(self.media, result.media)])}]"
        error = ',"is_error":true' if result.is_error else ""
        return f'{{"type":"tool_result","tool_use_id":{quote(_legal_id(result.call_id))},"content":{content}{error}}}'


def text_block(text: str) -> str:
    """Return a block of text."""
    return f'{{"type":"text","text":{quote(text)}}}'


def _thinking(part: Reasoning, signature: str) -> str:
    if part.id == REDACTED:
        return f'{{"type":"redacted_thinking","data":{quote(signature)}}}'
    return f'{{"type":"thinking","thinking":{quote(part.text)},"signature":{quote(signature)}}}'


def _call(call: ToolCall) -> str:
    """Return a block of a call; its arguments stay as the model wrote them, so that the prompt cache hits."""
    return f'{{"type":"tool_use","id":{quote(_legal_id(call.id))},"name":{quote(call.name)},"input":{_input(call.arguments)}}}'


def _input(arguments: str) -> str:
    """Return arguments as the object that the API wants, whatever they are."""
    try:
        is_object = isinstance(json.loads(arguments, parse_constant=_refuse), dict)
    except (ValueError, RecursionError):
        is_object = False
    return arguments if is_object else dump({"INVALID_JSON": arguments})


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON")


def _legal_id(call_id: str) -> str:
    """Return the id of a call in the letters that the API takes; ids of other providers may have more."""
    if _LEGAL_ID.fullmatch(call_id):
        return call_id
    return f"{_ILLEGAL.sub('_', call_id)}_{blake2b(call_id.encode('utf-8', 'replace'), digest_size=6).hexdigest()}"


def _base64(media: Media) -> str:
    return f'{{"type":"base64","media_type":{quote(media.media_type)},"data":"{base64_text(media)}"}}'


def _say_the_same(blocks: Json, message: Message) -> bool:
    """Say whether blocks that were kept as they came still say what the message's parts say, which may have been edited."""
    if not isinstance(blocks, list) or not all(isinstance(block, Mapping) and "type" in block for block in blocks):
        return False
    text = "".join(block.get("text") or "" for block in blocks if block["type"] == "text")
    names = [block.get("name") for block in blocks if block["type"] == "tool_use"]
    return text == message.text and names == [call.name for call in message.tool_calls]
