"""Groq models for Ergaster."""
