"""The table of kinds, and the `Spec` by which a plugin says what it provides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import field, frozen

from ergaster.refs import Ref

__all__ = ["KINDS", "Factory", "Kind", "Spec"]

T_co = TypeVar("T_co", covariant=True)

Factory: TypeAlias = Callable[[Ref, Any], T_co]
"""`factory(ref, settings)`: synchronous, no I/O. The settings are an instance of the Spec's own settings class, which
the type system cannot tie to it: hence the `Any`."""


@frozen
class Kind:
    """A kind of plugin.

    Attributes:
        name: What a reader calls it, singular: `vector_store`.
        group: The entry-point group.
        hook: The registration hook.
        contract: Module and class that its objects implement, as `module:Class`; empty when the owning app has it.
    """

    name: str
    group: str
    hook: str
    contract: str = ""


def _kind(name: str, contract: str) -> Kind:
    return Kind(name, f"ergaster.{name}s", f"ergaster_{name}s", f"ergaster.contracts.{contract}")


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind("model", "model:Model"),
        _kind("embedder", "embedder:Embedder"),
        _kind("reranker", "reranker:Reranker"),
        _kind("toolkit", "toolkit:Toolkit"),
        _kind("storage", "storage:Storage"),
        _kind("media_store", "media_store:MediaStore"),
        _kind("vector_store", "vector_store:VectorStore"),
        _kind("source", "source:Source"),
        _kind("reader", "reader:Reader"),
        _kind("chunker", "chunker:Chunker"),
        _kind("learner", "learner:Learner"),
        Kind("strategy", "ergaster.strategies", "ergaster_strategies", "ergaster.contracts.strategy:Strategy"),
        _kind("engine", "engine:Engine"),
        _kind("feature", "feature:Feature"),
        _kind("guardrail", "guardrail:Guardrail"),
        _kind("runnable", "runnable:Runnable"),
        Kind("sandbox", "ergaster.sandboxes", "ergaster_sandboxes", "ergaster.contracts.sandbox:Sandbox"),
    )
}
"""Every kind that the kernel knows; apps add theirs (interface, command, evaluator) through `ergaster_add_hookspecs`."""


@frozen
class Spec(Generic[T_co]):
    """What a plugin provides under one name.

    Attributes:
        name: The entry-point name, which users type.
        factory: Makes the object; synchronous, without I/O.
        settings: An attrs class with typed, documented fields and defaults; its fields are the options.
        summary: One line for `ergaster plugins list`.
        env: Environment variables that hold its key; without one of them set, it needs none or cannot work.
        auto: For a model, the reference that `model = "auto"` uses when the key is there; empty keeps it out. A model
            with `auto` and without `env` is the local fallback.
    """

    name: str
    factory: Factory[T_co]
    settings: type | None = field(default=None, kw_only=True)
    summary: str = field(default="", kw_only=True)
    env: tuple[str, ...] = field(default=(), kw_only=True)
    auto: str = field(default="", kw_only=True)
