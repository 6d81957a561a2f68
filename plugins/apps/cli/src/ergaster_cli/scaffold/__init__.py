"""New plugins and new agents: a folder of small files that work at once.

`create_plugin` and `create_agent` write files and nothing else; the commands around them say what comes next.
"""

from ergaster_cli.scaffold.create import PLUGIN_KINDS, PluginNames, create_agent, create_plugin

__all__ = ["PLUGIN_KINDS", "PluginNames", "create_agent", "create_plugin"]
