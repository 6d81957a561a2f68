"""DeepSeek models for Ergaster."""
