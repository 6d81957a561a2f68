"""SQLite storage for Ergaster."""
