"""What this distribution provides."""

from __future__ import annotations

from ergaster.catalog import Spec
from ergaster.contracts.model import Model
from ergaster.hookspecs import hookimpl
from ergaster_anthropic.models import ENV, EXAMPLE, NAME, AnthropicSettings, make_model

__all__ = ["ergaster_models"]


@hookimpl
def ergaster_models() -> list[Spec[Model]]:
    """Provide the models `anthropic:<model>`."""
    return [
        Spec(
            NAME,
            make_model,
            settings=AnthropicSettings,
            summary="Anthropic's models",
            env=(ENV,),
            auto=f"{NAME}:{EXAMPLE}",
        )
    ]
