"""What a tool gave, as the model reads it."""

from __future__ import annotations

import json

from ergaster.contracts.toolkit import ToolOutput
from ergaster.errors import InvalidInput, ToolError
from ergaster.messages import Audio, File, Image, Json, MediaPart, Video

__all__ = ["MEDIA", "as_json", "to_output"]

MEDIA = (Image, Audio, Video, File)


def as_json(value: object, what: str) -> Json:
    """Return a value of a tool as JSON; *what* names it in the error."""
    from ergaster.schema import dump

    try:
        return dump(value)
    except InvalidInput as error:
        raise ToolError(f"{what} of the tool cannot become JSON: {'; '.join(error.problems)}") from error


def to_output(value: object) -> ToolOutput:
    """Return what a tool gave as a `ToolOutput`.

    Text is content as it is; None is `done`, since providers refuse empty results; a JSON value, and an object that can
    become one, is its compact JSON text, and `data` for programs; media and bytes are media, and a list may mix media
    with the rest.

    Raises:
        ToolError: If it cannot become JSON.
    """
    if isinstance(value, ToolOutput):
        return value
    if isinstance(value, str):
        return ToolOutput(value if type(value) is str else str.__str__(value))
    if value is None:
        return ToolOutput("done")
    if isinstance(value, bytes):
        value = File(value)
    if isinstance(value, MEDIA):
        value = [value]
    if isinstance(value, list | tuple) and (media := tuple(item for item in value if isinstance(item, MEDIA))):
        texts = [to_output(item).content for item in value if not isinstance(item, MEDIA)]
        return ToolOutput("\n".join([*texts, *map(_media_text, media)]), media=media)
    data = as_json(value, "the result")
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return ToolOutput(text, data=data)


def _media_text(item: MediaPart) -> str:
    name = f" {item.name!r}" if item.name else ""
    return f"[{type(item).__name__.lower()}{name}, {item.media_type}]"
