"""The model contract, for a model behind any OpenAI-compatible URL, on every transport."""

from typing import Any

from ergaster.contracts.model import Model
from ergaster.testing import ModelContract
from ergaster_support_http import Httpx2Transport


class TestOpenAICompatible(ModelContract):
    ref = "openai_compatible:some-model"


class TestOverHttpx2(ModelContract):
    ref = "openai_compatible:some-model"

    def make_model(self, base_url: str, **options: Any) -> Model:
        return super().make_model(base_url, transport=Httpx2Transport(), **options)


class TestWithEveryAbility(ModelContract):
    ref = "openai_compatible:some-model"

    def make_model(self, base_url: str, **options: Any) -> Model:
        abilities = {"images": True, "audio": True, "video": True, "files": True}
        return super().make_model(base_url, **{**abilities, **options})
