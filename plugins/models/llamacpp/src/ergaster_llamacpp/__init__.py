"""Embedded local models for Ergaster, in a llama.cpp server."""
