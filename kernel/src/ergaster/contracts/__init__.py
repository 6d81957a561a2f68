"""The contracts: one small file for each kind of plugin."""
