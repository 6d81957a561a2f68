"""File tools for Ergaster agents, confined to one folder."""
