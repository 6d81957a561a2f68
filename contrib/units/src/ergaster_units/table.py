"""The units: exact by definition wherever a definition exists."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen

__all__ = ["UNITS", "Unit"]


@frozen
class Unit:
    """A unit of measurement.

    Attributes:
        kind: What it measures.
        size: How many of the kind's first unit it is.
        zero: Where its zero lies on the scale of the kind's first unit; for temperatures.
    """

    kind: str
    size: Decimal
    zero: Decimal = Decimal(0)


# By kind: name and size, in metres, kilograms, seconds, square metres, litres, metres per second, joules, pascals, bytes.
_SIZES: Mapping[str, Mapping[str, str]] = {
    "length": {"m": "1", "mm": "0.001", "cm": "0.01", "km": "1000", "in": "0.0254", "ft": "0.3048", "yd": "0.9144"}
    | {"mi": "1609.344", "nmi": "1852", "ly": "9460730472580800"},
    "mass": {"kg": "1", "mg": "0.000001", "g": "0.001", "t": "1000", "oz": "0.028349523125", "lb": "0.45359237"}
    | {"st": "6.35029318"},
    "time": {"s": "1", "ms": "0.001", "min": "60", "h": "3600", "d": "86400", "week": "604800"},
    "area": {"m2": "1", "cm2": "0.0001", "ha": "10000", "km2": "1000000", "ft2": "0.09290304", "acre": "4046.8564224"},
    "volume": {"l": "1", "ml": "0.001", "cl": "0.01", "m3": "1000", "cup": "0.2365882365", "pint": "0.473176473"}
    | {"gal": "3.785411784", "tsp": "0.00492892159375", "tbsp": "0.01478676478125"},
    "speed": {"m/s": "1", "km/h": "0.2777777777777777777777777778", "mph": "0.44704", "kn": "0.5144444444444444444444444444"},
    "energy": {"J": "1", "kJ": "1000", "cal": "4.184", "kcal": "4184", "Wh": "3600", "kWh": "3600000"},
    "pressure": {"Pa": "1", "kPa": "1000", "bar": "100000", "atm": "101325", "psi": "6894.757293168361336722673445"},
    "data": {"B": "1", "kB": "1000", "MB": "1000000", "GB": "1000000000", "KiB": "1024", "MiB": "1048576", "GiB": "1073741824"},
}

UNITS: Mapping[str, Unit] = {
    **{name: Unit(kind, Decimal(size)) for kind, sizes in _SIZES.items() for name, size in sizes.items()},
    "K": Unit("temperature", Decimal(1)),
    "C": Unit("temperature", Decimal(1), Decimal("273.15")),
    "F": Unit("temperature", Decimal(5) / Decimal(9), Decimal("459.67") * 5 / 9),
}
"""Every known unit by its usual sign."""
