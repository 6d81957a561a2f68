"""Check digits, and how long an account's number is in each country."""

from __future__ import annotations

from typing import Final

__all__ = ["IBAN_LENGTHS", "is_dni", "is_iban"]

_LENGTHS = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18
FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20
LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31
SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
"""
IBAN_LENGTHS: Final = {entry[:2]: int(entry[2:]) for entry in _LENGTHS.split()}
"""Characters of an IBAN by country, as its registry (ISO 13616) lists them."""


def is_iban(text: str) -> bool:
    """Say whether letters and digits without spaces have the check digits of an IBAN (ISO 7064, MOD 97-10)."""
    turned = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def is_dni(text: str) -> bool:
    """Say whether eight digits and a letter are a Spanish identity number."""
    return text[-1].upper() == "TRWAGMYFPDXBNJZSQVHLCKE"[int(text[:8]) % 23]
