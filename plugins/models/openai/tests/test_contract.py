"""The model contract, over both protocols and the vendor's own SDK."""

from typing import Any

from ergaster.contracts.model import Model
from ergaster.testing import ModelContract
from ergaster.testing.model import KEY
from ergaster_openai import OpenAIChat, OpenAIResponses


class TestResponses(ModelContract):
    ref = "openai:gpt-5-mini"


class TestChat(ModelContract):
    ref = "openai:gpt-4.1-mini"

    def make_model(self, base_url: str, **options: Any) -> Model:
        return super().make_model(base_url, api="chat", **options)


class TestResponsesClass(ModelContract):
    ref = "openai:gpt-5-mini"

    def make_model(self, base_url: str, **options: Any) -> Model:
        return OpenAIResponses("gpt-5-mini", base_url=base_url, api_key=KEY, **options)


class TestChatOfSounds(ModelContract):
    ref = "openai:gpt-audio"

    def make_model(self, base_url: str, **options: Any) -> Model:
        return OpenAIChat("gpt-audio", base_url=base_url, api_key=KEY, **options)
