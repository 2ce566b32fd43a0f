"""Signed messages: who knows the secret wrote them, and wrote them just now."""

import hashlib
import hmac
import re
from collections.abc import Iterable

_HEADER = re.compile(r"\s*(t|v1)\s*=\s*([0-9A-Fa-f]{1,128})\s*")


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """Return the value of the header: ``t=`` seconds since 1970, ``v1=`` the HMAC.

    HMAC-SHA256 in hexadecimal, over the timestamp, a point and the body as it is sent.
    """
    return f"t={timestamp},v1={_digest(body, secret, timestamp)}"


def is_signed(
    body: bytes, header: str, secrets: Iterable[str], now: int, tolerance: int
) -> bool:
    """Return whether one of ``secrets`` signed ``body`` within ``tolerance`` seconds.

    Several secrets let a sender change to a new one without a gap. All of them are
    tried, so that the time taken tells nothing.
    """
    parts = [_HEADER.fullmatch(part) for part in header.split(",")]
    if not all(parts):
        return False
    times = [match[2] for match in parts if match[1] == "t"]
    signatures = [match[2].lower() for match in parts if match[1] == "v1"]
    if len(times) != 1 or not times[0].isdecimal() or not signatures:
        return False
    timestamp = int(times[0])
    fits = False
    for secret in secrets:
        expected = _digest(body, secret, timestamp)
        for signature in signatures:
            fits |= hmac.compare_digest(expected, signature)
    return fits and abs(now - timestamp) <= tolerance


def _digest(body, secret, timestamp):
    message = b"%d." % timestamp + body
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
