"""The path guard shared by Ergaster plugins."""

from ergaster_support_paths.names import check_name, parse_path, show_path
from ergaster_support_paths.patterns import Pattern, parse_pattern
from ergaster_support_paths.root import Entry, Listing, Root

__all__ = ["Entry", "Listing", "Pattern", "Root", "check_name", "parse_path", "parse_pattern", "show_path"]
