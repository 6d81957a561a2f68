"""The path guard shared by Ergaster plugins."""
