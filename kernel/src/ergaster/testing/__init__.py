"""What tests of agents and plugins need: contract kits, a scripted model, loopback peers. Never imported at run time."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ergaster.testing.calls import DetachedContext, call_tool
    from ergaster.testing.contract import Contract
    from ergaster.testing.feature import FeatureContract
    from ergaster.testing.model import ModelContract
    from ergaster.testing.recorder import RecordingModel, ReplayedModel
    from ergaster.testing.scripted import ScriptedModel
    from ergaster.testing.services import require_service
    from ergaster.testing.storage import StorageContract
    from ergaster.testing.toolkit import ToolkitContract

__all__ = [
    "Contract",
    "DetachedContext",
    "FeatureContract",
    "ModelContract",
    "RecordingModel",
    "ReplayedModel",
    "ScriptedModel",
    "StorageContract",
    "ToolkitContract",
    "call_tool",
    "require_service",
]

_HOMES = {
    "Contract": "contract",
    "DetachedContext": "calls",
    "FeatureContract": "feature",
    "ModelContract": "model",
    "RecordingModel": "recorder",
    "ReplayedModel": "recorder",
    "ScriptedModel": "scripted",
    "StorageContract": "storage",
    "ToolkitContract": "toolkit",
    "call_tool": "calls",
    "require_service": "services",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"ergaster.testing.{_HOMES[name]}"), name)
