"""Ollama models for Ergaster, over its OpenAI-compatible endpoint."""
