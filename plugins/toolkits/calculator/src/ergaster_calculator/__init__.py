"""Arithmetic tools for Ergaster agents."""
