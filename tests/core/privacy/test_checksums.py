"""Numbers that their issuers print as examples, and the same with one digit off."""

import pytest

from aitk.core.privacy import checksums as c

VALID = [
    (c.is_card, "4111111111111111"),
    (c.is_card, "378282246310005"),
    (c.is_card, "6011111111111117"),
    (c.is_iban, "GB82WEST12345698765432"),
    (c.is_iban, "DE89370400440532013000"),
    (c.is_chinese_resident, "11010519491231002X"),
    (c.is_spanish, "12345678Z"),
    (c.is_spanish, "X1234567L"),
    (c.is_french, "255081416802538"),
    (c.is_german_tax, "86095742719"),
    (c.is_aadhaar, "234123412346"),
    (c.is_italian, "RSSMRA85T10A562S"),
    (c.is_brazilian, "52998224725"),
    (c.is_korean, "8001011234560"),
]


@pytest.mark.parametrize(("check", "number"), VALID)
def test_a_printed_example_is_valid(check, number):
    if check is c.is_korean:  # none is printed: the check digit is worked out by hand
        weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
        total = sum(int(each) * weight for each, weight in zip(number, weights, strict=False))
        number = number[:12] + str((11 - total % 11) % 10)
    assert check(number)


@pytest.mark.parametrize(("check", "number"), VALID[:-1])
def test_every_single_wrong_digit_is_noticed(check, number):
    at = [place for place, each in enumerate(number) if each.isdigit()][-1]
    others = [number[:at] + digit + number[at + 1 :] for digit in "0123456789"]
    assert [other for other in others if check(other)] == [number]


def test_blocks_that_are_never_given_out_are_no_social_security_numbers():
    assert c.is_ssn("536221234")
    assert not any(map(c.is_ssn, ("000221234", "666221234", "900221234", "536001234", "536220000")))
    assert c.is_british("AB123456C")
    assert not c.is_british("GB123456C")
