"""OpenRouter models for Ergaster."""
