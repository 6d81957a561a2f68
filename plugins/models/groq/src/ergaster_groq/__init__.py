"""Groq models for Ergaster."""

from ergaster.contracts.model import Capabilities
from ergaster_support_openai_wire import CompatibleProvider, Quirks

__all__ = ["groq"]

groq = CompatibleProvider(
    "groq",
    base_url="https://api.groq.com/openai/v1",
    env_key="GROQ_API_KEY",
    # https://console.groq.com/docs/openai
    quirks=Quirks(max_tokens_field="max_completion_tokens", reasoning_field=("reasoning",)),
    capabilities=lambda model: Capabilities(images="llama-4" in model, reasoning=True),
    example="openai/gpt-oss-20b",
    summary="Models on Groq",
)
