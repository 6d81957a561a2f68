"""Units of measurement for Ergaster agents."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import define, field, validators

from ergaster import tool
from ergaster.contracts.toolkit import Toolkit
from ergaster.errors import ToolError
from ergaster_units.table import UNITS, Unit

__all__ = ["UNITS", "Unit", "Units"]


@define
class Units(Toolkit):
    """Converts between units of measurement. Every field is an option: `{ use = "units", digits = 6 }`.

    Attributes:
        digits: Significant digits of a result, 1 to 28.
        extra: More units, each as a number of another: `{ smoot = "1.7018 m" }`.
    """

    digits: int = field(default=10, validator=[validators.ge(1), validators.le(28)], kw_only=True)
    extra: Mapping[str, str] = field(factory=dict, kw_only=True)
    _units: Mapping[str, Unit] = field(init=False, repr=False)

    instructions = "Use convert_units for units of measurement; never convert in your head."

    def __attrs_post_init__(self) -> None:
        self._units = {**UNITS, **{name: _read(name, text) for name, text in self.extra.items()}}

    @tool(idempotent=True, blocking=False)
    def convert_units(self, value: float, from_unit: str, to_unit: str) -> str:
        """Convert a measurement to another unit.

        Args:
            value: The number to convert.
            from_unit: Its unit, such as "km", "lb", "C" or "mph".
            to_unit: The unit to convert to, such as "mi", "kg", "F" or "m/s".
        """
        source, target = self._find(from_unit), self._find(to_unit)
        if source.kind != target.kind:
            raise ToolError(f"{from_unit} measures {source.kind} and {to_unit} {target.kind}; give two units of one kind")
        exact = (Decimal(repr(value)) * source.size + source.zero - target.zero) / target.size
        rounded = Decimal(format(exact, f".{self.digits}g")).normalize()
        return f"{rounded:f} {to_unit}" if abs(rounded.adjusted()) <= 20 else f"{rounded} {to_unit}"

    @tool(idempotent=True, blocking=False)
    def list_units(self, kind: str = "") -> str:
        """List the units that convert_units knows.

        Args:
            kind: What they measure, such as "length" or "mass"; leave it out to list all.
        """
        kinds = sorted({unit.kind for unit in self._units.values()})
        if kind and kind not in kinds:
            raise ToolError(f"there are no units of {kind[:40]!r}; the kinds are {', '.join(kinds)}")
        chosen = [kind] if kind else kinds
        lists = {each: [name for name, unit in self._units.items() if unit.kind == each] for each in chosen}
        return "\n".join(f"{each}: {', '.join(names)}" for each, names in lists.items())

    def _find(self, name: str) -> Unit:
        unit = self._units.get(name.strip()) or self._units.get(name.strip().lower())
        if unit is None:
            raise ToolError(f"the unit {name[:40]!r} is not known; list_units shows the known ones")
        return unit


def _read(name: str, text: str) -> Unit:
    number, _, base = text.partition(" ")
    if base not in UNITS or not number.replace(".", "", 1).isdecimal():
        raise ValueError(f"the option extra says {name} = {text!r}; write a number and a known unit, as in '1.7018 m'")
    return Unit(UNITS[base].kind, Decimal(number) * UNITS[base].size)
