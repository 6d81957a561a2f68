"""Prompt injection: hidden characters are removed, telling phrases noticed, texts from outside marked as data."""

from ergaster_injection.guardrail import Injection

__all__ = ["Injection"]
