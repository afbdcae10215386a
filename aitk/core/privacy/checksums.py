"""Validation of personal, account and card numbers. Standard library only.

Each function takes the number without spaces and returns whether it is plausible: shape, embedded
dates and check digits. Numbers without check digits (US social security, UK national insurance) are
validated by their shape and by blocks that are never issued.
"""

from __future__ import annotations

import re
from collections import Counter

# Dihedral group D5 and the permutation of Verhoeff 1969, "Error Detecting Decimal Codes".
_VERHOEFF_PRODUCT = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_PERMUTATION = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip
_CARD_LENGTHS = {
    # First digits of the networks, with their lengths (ISO/IEC 7812).
    "4": (13, 16, 19), "51": (16,), "52": (16,), "53": (16,), "54": (16,), "55": (16,),
    "22": (16,), "23": (16,), "24": (16,), "25": (16,), "26": (16,), "27": (16,), "34": (15,),
    "37": (15,), "30": (14,), "36": (14,), "38": (14,), "35": (16,), "60": (16,), "62": (16, 17,
    18, 19), "64": (16,), "65": (16,), "50": (12, 13, 16, 19), "56": (16,), "58": (16,),
    "63": (16,), "67": (16, 18, 19), "81": (16,),
}  # fmt: skip
#: Length of an IBAN by country (SWIFT's registry).
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30,
    "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28,
    "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHECKS = "10X98765432"
_FISCAL_ODD = {
    **dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)),
    **dict(zip("ABCDEFGHIJ", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)),
    **dict(zip("KLMNOPQRSTUVWXYZ",
               (2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23), strict=True)),
}  # fmt: skip
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, Annex B."""
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """A payment card: a network's first digits and length, and the Luhn digit."""
    lengths = _CARD_LENGTHS.get(digits[0], ()) or _CARD_LENGTHS.get(digits[:2], ())
    return len(digits) in lengths and len(set(digits)) > 1 and luhn(digits)


def is_iban(text: str) -> bool:
    """An account number by ISO 13616: its country's length, and the remainder 1 modulo 97."""
    text = text.upper()
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(each, 36)) for each in text[4:] + text[:4])) % 97 == 1


def is_ssn(digits: str) -> bool:
    """US social security: no check digit, but blocks that are never given out."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in ("000", "666") or area >= "900" or group == "00" or serial == "0000":
        return False
    return digits not in ("078051120", "219099999", "123456789")  # printed as examples


def is_chinese_resident(text: str) -> bool:
    """Citizen number of GB 11643: province, date of birth, check by ISO 7064 MOD 11-2."""
    text = text.upper()
    if not "11" <= text[:2] <= "82" or not _is_date(text[6:10], text[10:12], text[12:14]):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_RESIDENT_WEIGHTS, text, strict=False))
    return _RESIDENT_CHECKS[total % 11] == text[17]


def is_spanish(text: str) -> bool:
    """DNI, or NIE of foreigners: the letter is the number modulo 23."""
    text = text.upper()
    number = text[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return _DNI_LETTERS[int(number) % 23] == text[-1]


def is_french(text: str) -> bool:
    """NIR (social security): 97 minus the number modulo 97; Corsica's letters stand for 19, 18."""
    number = text[:-2].upper().replace("2A", "19").replace("2B", "18")
    month = int(text[3:5])
    known_month = 1 <= month <= 12 or 20 <= month <= 42 or month >= 50
    return number.isdigit() and known_month and 97 - int(number) % 97 == int(text[-2:])


def is_german_tax(digits: str) -> bool:
    """Steuer-ID: one digit of the first ten comes twice or three times, ISO 7064 MOD 11,10."""
    counts = sorted(Counter(digits[:10]).values(), reverse=True)
    if digits[0] == "0" or counts[0] not in (2, 3) or counts[1] != 1:
        return False
    product = 10
    for digit in map(int, digits[:10]):
        product = 2 * ((digit + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(digits[10])


def is_aadhaar(digits: str) -> bool:
    """India's Aadhaar: does not begin with 0 or 1, check digit by Verhoeff."""
    if digits[0] in "01" or len(set(digits)) == 1:
        return False
    check = 0
    for place, digit in enumerate(reversed(digits)):
        permuted = _VERHOEFF_PERMUTATION[place % 8][int(digit)]
        check = int(_VERHOEFF_PRODUCT[check][int(permuted)])
    return check == 0


def is_italian(text: str) -> bool:
    """Codice fiscale: the last letter is the sum of the others modulo 26."""
    text = text.upper()
    total = sum(
        _FISCAL_ODD[each] if place % 2 == 0 else int(each, 36) - (10 if each.isalpha() else 0)
        for place, each in enumerate(text[:15])
    )
    return chr(ord("A") + total % 26) == text[15]


def is_brazilian(digits: str) -> bool:
    """CPF: two check digits modulo 11."""
    if len(set(digits)) == 1:
        return False
    for length in (9, 10):
        total = sum(
            (length + 1 - place) * int(digit) for place, digit in enumerate(digits[:length])
        )
        if total * 10 % 11 % 10 != int(digits[length]):
            return False
    return True


def is_british(text: str) -> bool:
    """National insurance: no check digit, but prefixes that are never given out."""
    return re.fullmatch(
        r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", text.upper()
    ) is not None  # fmt: skip


def is_korean(digits: str) -> bool:
    """Resident registration: date of birth, one digit of century and sex, a check modulo 11.

    Numbers given out since October 2020 have no check digit; they pass by their shape only.
    """
    century = {"1": "19", "2": "19", "3": "20", "4": "20", "5": "19", "6": "19", "7": "20",
               "8": "20"}.get(digits[6])  # fmt: skip
    if century is None or not _is_date(century + digits[:2], digits[2:4], digits[4:6]):
        return False
    if (century + digits[:6]) >= "20201000":
        return True
    total = sum(
        int(digit) * weight
        for digit, weight in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=False)
    )
    return (11 - total % 11) % 10 == int(digits[12])


def _is_date(year: str, month: str, day: str) -> bool:
    return (
        "1900" <= year <= "2099"
        and 1 <= int(month) <= 12
        and 1 <= int(day) <= _DAYS[int(month) - 1]
    )
