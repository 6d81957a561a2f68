"""`ergaster demo`: the main job on real components, and the proof that a killed run pays for no model call twice."""

__all__: list[str] = []
