"""vLLM models for Ergaster."""

from ergaster.contracts.model import Capabilities
from ergaster_support_openai_wire import CompatibleProvider, Quirks

__all__ = ["vllm"]

vllm = CompatibleProvider(
    "vllm",
    base_url="http://127.0.0.1:8000/v1",
    env_key="VLLM_API_KEY",
    # https://docs.vllm.ai/en/stable/features/reasoning_outputs/: the field used to be called reasoning_content.
    quirks=Quirks(reasoning_field=("reasoning", "reasoning_content")),
    capabilities=Capabilities(reasoning=True),
    key_required=False,
    example="Qwen/Qwen3-8B",
    summary="Models on a vLLM server",
)
