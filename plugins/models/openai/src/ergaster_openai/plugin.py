"""What this distribution provides."""

from __future__ import annotations

from ergaster.catalog import Spec
from ergaster.contracts.model import Model
from ergaster.hookspecs import hookimpl
from ergaster_openai.models import ENV, NAME, OpenAISettings, make_model

__all__ = ["ergaster_models"]


@hookimpl
def ergaster_models() -> list[Spec[Model]]:
    """Provide the models `openai:<model>`."""
    return [Spec(NAME, make_model, settings=OpenAISettings, summary="OpenAI's models", env=(ENV,))]
