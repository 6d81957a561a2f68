"""HTTP transport shared by Ergaster plugins."""
