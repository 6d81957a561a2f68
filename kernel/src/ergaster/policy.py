"""Which effects of tools are allowed, asked about, or denied."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

from ergaster.contracts.toolkit import Tool

__all__ = ["Policy", "Ruling"]

Ruling: TypeAlias = Literal["allow", "ask", "deny"]
_ORDER: dict[Ruling, int] = {"allow": 0, "ask": 1, "deny": 2}


@frozen(kw_only=True)
class Policy:
    """A ruling for each effect; a tool with several effects gets the strictest.

    Attributes:
        read: Looking at files or data.
        write: Changing them. None stands for: allow inside the tool's workspace, ask outside.
        network: Reaching other machines.
        exec: Running programs.
        money: Spending.
    """

    read: Ruling = "allow"
    write: Ruling | None = None
    network: Ruling = "allow"
    exec: Ruling = "ask"
    money: Ruling = "ask"

    def rule(self, tool: Tool) -> Ruling:
        """Return what holds for a call of *tool*."""
        rulings: list[Ruling] = ["ask"] if tool.confirm else []
        for effect in tool.effects:
            ruling: Ruling | None = getattr(self, effect)
            rulings.append(ruling or ("allow" if tool.contained else "ask"))
        return max(rulings, key=_ORDER.__getitem__, default="allow")
