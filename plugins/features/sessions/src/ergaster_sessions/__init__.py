"""What a session keeps besides its turns, as features of Ergaster agents."""

from ergaster_sessions.search import SessionSearch
from ergaster_sessions.state import SessionState
from ergaster_sessions.summaries import Summaries

__all__ = ["SessionSearch", "SessionState", "Summaries"]
