"""Agents that learn, made of plugins.

from ergaster import Agent
print(Agent(model="openai:gpt-5-mini", tools=["calculator"]).run("What is 17 * 23?").text)
"""

from __future__ import annotations

from ergaster.agent import Agent
from ergaster.catalog import Spec
from ergaster.contracts.context import Resolve, RunContext, ToolContext
from ergaster.contracts.feature import Feature, Stage
from ergaster.contracts.model import Model, ModelRequest, ModelResponse, ModelSettings
from ergaster.contracts.storage import Storage
from ergaster.contracts.toolkit import Tool, Toolkit, ToolOutput
from ergaster.errors import ErgasterError, PauseRun, RetryTool, StopRun, ToolError
from ergaster.hookspecs import hookimpl
from ergaster.kernel import Kernel
from ergaster.limits import Limits
from ergaster.messages import Audio, Citation, File, Image, Message, Reasoning, Text, ToolCall, ToolResult, Usage, Video
from ergaster.policy import Policy
from ergaster.results import RunResult
from ergaster.secrets import Secret
from ergaster.sync import wait
from ergaster.team import Team
from ergaster.tools import Inject, tool

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Audio",
    "Citation",
    "ErgasterError",
    "Feature",
    "File",
    "Image",
    "Inject",
    "Kernel",
    "Limits",
    "Message",
    "Model",
    "ModelRequest",
    "ModelResponse",
    "ModelSettings",
    "PauseRun",
    "Policy",
    "Reasoning",
    "Resolve",
    "RetryTool",
    "RunContext",
    "RunResult",
    "Secret",
    "Spec",
    "Stage",
    "StopRun",
    "Storage",
    "Team",
    "Text",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolError",
    "ToolOutput",
    "ToolResult",
    "Toolkit",
    "Usage",
    "Video",
    "hookimpl",
    "tool",
    "wait",
]
