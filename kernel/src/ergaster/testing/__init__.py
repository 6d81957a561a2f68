"""Contract kits."""
