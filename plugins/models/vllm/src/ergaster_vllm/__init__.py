"""vLLM models for Ergaster."""
