"""Arithmetic tools for Ergaster agents."""

from ergaster.contracts.toolkit import Toolkit
from ergaster.tools import tool
from ergaster_calculator.arithmetic import evaluate

__all__ = ["Calculator", "evaluate"]


class Calculator(Toolkit):
    """Exact arithmetic: one tool, `calculate`."""

    instructions = "Use calculate for every calculation; never work out numbers yourself."

    @tool(idempotent=True)
    async def calculate(self, expression: str) -> str:
        """Calculate an arithmetic expression exactly and return the number.

        Args:
            expression: For example "17 * (25 + 0.5) / 3". Numbers, + - * / // % ** and parentheses; functions sqrt, abs,
                round(x, places), floor, ceil, min, max, sum, mean, factorial, gcd, exp, log, log10, sin, cos, tan
                (radians); constants pi, e.
        """
        return evaluate(expression)
