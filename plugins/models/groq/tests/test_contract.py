"""The model contract, for Groq."""

from ergaster.testing import ModelContract


class TestGroq(ModelContract):
    ref = "groq:openai/gpt-oss-20b"
