"""Models behind any OpenAI-compatible URL, for Ergaster."""
