"""Functions as tools: `@tool`, what it injects, and what becomes of results."""

from __future__ import annotations

from ergaster.tools.calling import Inject, thread_limiter
from ergaster.tools.collect import as_tools, schema_tool
from ergaster.tools.function import FunctionTool, ToolOptions, tool
from ergaster.tools.output import to_output

__all__ = ["FunctionTool", "Inject", "ToolOptions", "as_tools", "schema_tool", "thread_limiter", "to_output", "tool"]
