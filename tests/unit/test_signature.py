"""Signed messages: only the right secret, only now."""

import pytest
from billing_rules.signature import is_signed, sign

BODY, NOW = b'{"events": []}', 1_800_000_000


def test_signed_now_with_one_of_the_secrets():
    header = sign(BODY, "new", NOW)
    assert is_signed(BODY, header, ["old", "new"], NOW + 300, 300)
    assert is_signed(BODY, header, ["new"], NOW - 300, 300)


@pytest.mark.parametrize(
    ("body", "header", "secrets", "now"),
    [
        (BODY + b" ", sign(BODY, "s", NOW), ["s"], NOW),
        (BODY, sign(BODY, "s", NOW), ["other"], NOW),
        (BODY, sign(BODY, "s", NOW), [], NOW),
        (BODY, sign(BODY, "s", NOW), ["s"], NOW + 301),
        (BODY, sign(BODY, "s", NOW).replace(str(NOW), str(NOW + 1)), ["s"], NOW),
        (BODY, sign(BODY, "s", NOW) + f",t={NOW}", ["s"], NOW),
        (BODY, f"t={NOW}", ["s"], NOW),
        (BODY, "", ["s"], NOW),
        (BODY, "t=,v1=", ["s"], NOW),
        (BODY, "t=abc,v1=00", ["s"], NOW),
        (BODY, f"t={NOW},v1=ümlaut", ["s"], NOW),
    ],
)
def test_anything_else_is_not(body, header, secrets, now):
    assert not is_signed(body, header, secrets, now, 300)


def test_known_value():
    """What any sender can check its own code with."""
    digest = "1122767b193110cfec322b6f199b599edbf608ed087f2d27afb0b97d99523908"
    assert sign(b"{}", "secret", 1) == f"t=1,v1={digest}"
