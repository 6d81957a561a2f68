"""Agents that learn, made of plugins."""
