"""The model contract, over Messages and the vendor's own SDK."""

from typing import Any

from ergaster.contracts.model import Model
from ergaster.testing import ModelContract
from ergaster.testing.model import KEY
from ergaster_anthropic import AnthropicModel
from ergaster_support_http import AiohttpTransport


class TestAnthropic(ModelContract):
    ref = "anthropic:claude-sonnet-5-5"
    sampling = False
    arguments_as_objects = True


class TestAnthropicCaching(ModelContract):
    sampling = False
    arguments_as_objects = True

    def make_model(self, base_url: str, **options: Any) -> Model:
        return AnthropicModel("claude-opus-4-1", base_url=base_url, api_key=KEY, cache="1h", citations=True, **options)


class TestAnthropicWithoutSdk(ModelContract):
    sampling = False
    arguments_as_objects = True

    def make_model(self, base_url: str, **options: Any) -> Model:
        transport = AiohttpTransport()
        return AnthropicModel("claude-sonnet-5-5", base_url=base_url, api_key=KEY, transport=transport, **options)
