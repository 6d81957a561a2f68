"""Models behind any OpenAI-compatible URL, for Ergaster."""

from ergaster.contracts.model import Capabilities
from ergaster_support_openai_wire import CompatibleProvider

__all__ = ["openai_compatible"]

openai_compatible = CompatibleProvider(
    "openai_compatible",
    key_required=False,
    capabilities=Capabilities(reasoning=True),
    summary="Any model behind an OpenAI-compatible URL",
)
