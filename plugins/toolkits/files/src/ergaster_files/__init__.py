"""File tools for Ergaster agents, confined to one folder."""

from ergaster_files.toolkit import Files

__all__ = ["Files"]
