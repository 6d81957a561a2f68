"""Guardrails around an agent: what goes in, what comes out, and what tools are given and give."""

from ergaster_guardrails.feature import Guardrails

__all__ = ["Guardrails"]
