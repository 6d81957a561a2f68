"""The model contract, for vLLM."""

from ergaster.testing import ModelContract


class TestvLLM(ModelContract):
    ref = "vllm:Qwen/Qwen3-8B"
