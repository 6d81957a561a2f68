"""Anthropic models for Ergaster, over the Messages API."""

from ergaster_anthropic.models import AnthropicModel, AnthropicSettings
from ergaster_anthropic.transport import SdkOptions, SdkTransport

__all__ = ["AnthropicModel", "AnthropicSettings", "SdkOptions", "SdkTransport"]
