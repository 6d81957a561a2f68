"""What a session keeps besides its turns, as features of Ergaster agents."""

from ergaster_sessions.state import SessionState

__all__ = ["SessionState"]
