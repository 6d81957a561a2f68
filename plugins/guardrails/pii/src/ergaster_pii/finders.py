"""Where personal data stands in a text. Every search takes time in proportion to the text, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import ip_address
from itertools import accumulate
from typing import Final, Literal, TypeAlias

from attrs import frozen

from ergaster_pii.numbers import IBAN_LENGTHS, is_dni, is_iban

__all__ = ["Kind", "Span", "find"]

Kind: TypeAlias = Literal["email", "phone", "card", "iban", "ip", "us_ssn", "uk_nino", "es_dni"]


@frozen
class Span:
    """A piece of personal data: from `start` up to, and without, `end`."""

    start: int
    end: int
    kind: Kind


# In each pattern a repeated class is followed by a character that it does not hold, or it is bounded: nothing is tried twice.
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]*\w")
_DIGITS = re.compile(r"\d[\d -]*\d")
_PHONE = re.compile(r"(?<![\w+])(?:\+|\()?\d[\d ().\-/]{5,20}\d(?!\w)")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d[A-Za-z0-9 ]{11,42}")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\.?\w)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{3,42}(?!\w)")
_SSN = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_NINO = re.compile(
    r"(?<![A-Za-z0-9])[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D](?![A-Za-z0-9])", re.IGNORECASE
)
_DNI = re.compile(r"(?<![A-Za-z0-9])\d{8}-?[A-Za-z](?![A-Za-z0-9])")
_CARD_LENGTHS: Final = (19, 16, 15, 14)


def find(text: str, kinds: Collection[Kind]) -> tuple[Span, ...]:
    """Return what *text* holds, in order; of two that overlap, the one whose kind can be told more surely."""
    taken = bytearray(len(text))
    spans = []
    for kind, finder in _FINDERS.items():
        if kind not in kinds:
            continue
        for start, end in finder(text):
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                spans.append(Span(start, end, kind))
    return tuple(sorted(spans, key=lambda span: span.start))


def _emails(text: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        yield from (match.span() for match in _EMAIL.finditer(text))


def _cards(text: str) -> Iterator[tuple[int, int]]:
    """Yield runs of digits, grouped or not, that are as long as a card's number and have its check digit."""
    for run in _DIGITS.finditer(text):
        places = [index for index in range(*run.span()) if text[index].isdecimal()]
        if len(places) < _CARD_LENGTHS[-1]:
            continue
        yield from _cards_among(text, places)


def _cards_among(text: str, places: list[int]) -> Iterator[tuple[int, int]]:
    digits = [int(text[place]) for place in places]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits]
    even = list(accumulate((doubled[i] if i % 2 == 0 else digit for i, digit in enumerate(digits)), initial=0))
    odd = list(accumulate((doubled[i] if i % 2 else digit for i, digit in enumerate(digits)), initial=0))
    starts = [0, *(i for i in range(1, len(places)) if places[i] - places[i - 1] > 1)]
    ends = {*starts[1:], len(places)}
    after = 0
    for start in starts:
        if start < after or not 2 <= digits[start] <= 6:
            continue
        for length in _CARD_LENGTHS:
            end = start + length
            sums = even if (end - 2) % 2 == 0 else odd  # the last digit is not doubled, the one before it is
            if end in ends and (sums[end] - sums[start]) % 10 == 0:
                yield places[start], places[end - 1] + 1
                after = end
                break


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in _PHONE.finditer(text):
        number = match[0]
        digits = sum(character.isdecimal() for character in number)
        is_international = number.startswith(("+", "00")) and 8 <= digits <= 17
        is_national = 9 <= digits <= 12 and (number.startswith(("0", "(")) or (digits >= 10 and not number.isdecimal()))
        if is_international or is_national:
            yield match.span()


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(match[0][:2].upper(), 0)
        places = [index for index in range(*match.span()) if text[index] != " "][:length]
        if length and len(places) == length and is_iban("".join(text[place] for place in places)):
            yield places[0], places[-1] + 1


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    for match in _IPV4.finditer(text):
        if _is_address(match[0]):
            yield match.span()
    if text.count(":") < 2:
        return
    for match in _IPV6.finditer(text):
        address = match[0].rstrip(".:")
        if len(address) >= 6 and _is_address(address):
            yield match.start(), match.start() + len(address)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _matches(pattern: re.Pattern[str], check: Callable[[str], bool] = bool) -> Callable[[str], Iterator[tuple[int, int]]]:
    return lambda text: (match.span() for match in pattern.finditer(text) if check(match[0]))


_FINDERS: Final[Mapping[Kind, Callable[[str], Iterator[tuple[int, int]]]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "us_ssn": _matches(_SSN),
    "uk_nino": _matches(_NINO),
    "es_dni": _matches(_DNI, is_dni),
    "ip": _addresses,
    "phone": _phones,
}
"""By kind, the surest first."""
