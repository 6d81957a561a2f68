"""The model contract, for Together AI."""

from ergaster.testing import ModelContract


class TestTogetherAI(ModelContract):
    ref = "together:openai/gpt-oss-20b"
