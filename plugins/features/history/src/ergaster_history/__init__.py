"""Session history for Ergaster agents."""
