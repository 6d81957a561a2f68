"""The `ergaster` command: run and chat with agents, look at plugins and sessions, make new ones, and the demo.

The console script is `ergaster_cli.main:main`. Other plugins add commands through the entry-point group
`ergaster.commands`; see `ergaster_cli.commands`.
"""

__all__: list[str] = []
