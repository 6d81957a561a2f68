"""Personal data in texts: found by shape and check digits, masked or blocked."""

from ergaster_pii.finders import Kind
from ergaster_pii.guardrail import PersonalData

__all__ = ["Kind", "PersonalData"]
