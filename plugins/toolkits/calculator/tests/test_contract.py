from ergaster.testing import ToolkitContract


class TestCalculator(ToolkitContract):
    ref = "calculator"
    examples = {"calculate": {"expression": "17 * (25 + 0.5)"}}
