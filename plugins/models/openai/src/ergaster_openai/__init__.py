"""OpenAI models for Ergaster, over the Responses and the Chat Completions API."""
