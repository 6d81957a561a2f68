"""The model contract, for OpenRouter."""

from ergaster.testing import ModelContract


class TestOpenRouter(ModelContract):
    ref = "openrouter:openai/gpt-5-mini"
