"""OpenAI models for Ergaster, over the Responses and the Chat Completions API."""

from ergaster_openai.models import OpenAIChat, OpenAIResponses, OpenAISettings
from ergaster_openai.transport import SdkOptions, SdkTransport

__all__ = ["OpenAIChat", "OpenAIResponses", "OpenAISettings", "SdkOptions", "SdkTransport"]
