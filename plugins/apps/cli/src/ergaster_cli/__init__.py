"""The ergaster command."""
