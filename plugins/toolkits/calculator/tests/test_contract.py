from typing import ClassVar

from ergaster.testing import ToolkitContract


class TestCalculator(ToolkitContract):
    ref = "calculator"
    examples: ClassVar = {"calculate": {"expression": "17 * (25 + 0.5)"}}
