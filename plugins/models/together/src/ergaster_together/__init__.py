"""Together models for Ergaster."""
