"""Writing files in the GGUF format, version 3, with tensors of 32-bit floats; the standard library is enough."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

__all__ = ["Tensor", "Value", "write_gguf"]

Value: TypeAlias = bool | int | float | str | Sequence[int] | Sequence[str]

_ALIGNMENT = 32
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = range(4, 10)
_F32 = 0


@frozen
class Tensor:
    """Numbers with a shape.

    Attributes:
        shape: The lengths of the dimensions, the fastest one first.
        numbers: As many 32-bit floats as the shape holds.
    """

    shape: tuple[int, ...]
    numbers: array[float]


def write_gguf(path: Path, values: Mapping[str, Value], tensors: Mapping[str, Tensor]) -> None:
    """Write a file with these key-value pairs and tensors."""
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(values))]
    head += [_string(key) + _typed(value) for key, value in values.items()]
    offset = 0
    for name, tensor in tensors.items():
        shape = tensor.shape
        head.append(_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, _F32, offset))
        offset += len(_padded(tensor.numbers.tobytes()))
    with path.open("wb") as file:
        file.write(_padded(b"".join(head)))
        for tensor in tensors.values():
            numbers = tensor.numbers[:]
            if sys.byteorder == "big":
                numbers.byteswap()
            file.write(_padded(numbers.tobytes()))


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // _ALIGNMENT) * _ALIGNMENT, b"\0")


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(value: Value) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", _FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _string(value)
    if value and isinstance(value[0], str):
        return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + b"".join(_string(str(item)) for item in value)
    return struct.pack(f"<IIQ{len(value)}i", _ARRAY, _INT32, len(value), *(int(item) for item in value))
