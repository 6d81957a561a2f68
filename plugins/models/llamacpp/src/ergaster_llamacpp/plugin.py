"""What the distribution registers."""

from __future__ import annotations

from ergaster.catalog import Spec
from ergaster.contracts.model import Model
from ergaster.hookspecs import hookimpl
from ergaster_llamacpp.model import llamacpp
from ergaster_llamacpp.settings import LlamaCppSettings

__all__ = ["ergaster_models"]


@hookimpl
def ergaster_models() -> list[Spec[Model]]:
    """Provide the local model."""
    return [
        Spec(
            "llamacpp",
            llamacpp,
            settings=LlamaCppSettings,
            summary="Local models in a llama.cpp server, without a key",
            auto="llamacpp",  # without `env`: it needs no key, and serves where no provider's key is there
        )
    ]
