from typing import ClassVar

from ergaster.testing import ToolkitContract


class TestUnits(ToolkitContract):
    ref = "units"
    examples: ClassVar = {
        "convert_units": {"value": 26.2, "from_unit": "mi", "to_unit": "km"},
        "list_units": {"kind": "length"},
    }
