"""The model contract, for a model behind any OpenAI-compatible URL."""

from ergaster.testing import ModelContract


class TestOpenAICompatible(ModelContract):
    ref = "openai_compatible:some-model"
