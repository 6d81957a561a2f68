"""The model contract, for DeepSeek."""

from ergaster.testing import ModelContract


class TestDeepSeek(ModelContract):
    ref = "deepseek:deepseek-chat"
