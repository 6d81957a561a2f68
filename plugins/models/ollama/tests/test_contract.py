"""The model contract, for Ollama."""

from ergaster.testing import ModelContract


class TestOllama(ModelContract):
    ref = "ollama:qwen3"
