"""Pytest fixtures for Ergaster."""
