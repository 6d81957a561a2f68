"""In-memory storage for Ergaster."""
