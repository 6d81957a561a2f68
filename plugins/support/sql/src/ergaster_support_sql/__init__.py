"""SQL storage shared by Ergaster plugins."""
