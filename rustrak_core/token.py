"""API tokens: minted, masked, hashed and verified. Only a hash and the first four digits are ever kept."""

import hashlib
import hmac
import re
from datetime import datetime
from typing import NewType

import attrs

from rustrak_core.times import utc

TokenId = NewType("TokenId", int)

DESCRIPTION_MAX = 255
_TOKEN = re.compile(r"[0-9a-f]{40}")


@attrs.frozen(kw_only=True)
class Token:
    """What is kept of an API token.

    Attributes:
        prefix: Its first four digits.
        sha256: The SHA-256 of its 40 digits in ASCII; 32 bytes.
        scope: None reaches everything, as all tokens do for now.
        last_used_at: To the minute, or None if never used.
    """

    id: TokenId
    prefix: str
    sha256: bytes = attrs.field(repr=False)
    description: str | None
    created_at: datetime = attrs.field(validator=utc)
    last_used_at: datetime | None = attrs.field(default=None, validator=utc)
    scope: str | None = None

    @property
    def masked(self) -> str:
        """The token as lists show it, as in ``a1b2...****``."""
        return f"{self.prefix}...****"


def token_hash(token: str) -> bytes | None:
    """Return the SHA-256 of *token*, 32 bytes, or None if it cannot be a token (not 40 lower-case hex digits)."""
    return hashlib.sha256(token.encode()).digest() if _TOKEN.fullmatch(token) else None


def verify(token: str, sha256: bytes) -> bool:
    """Tell, in constant time, whether *token* is the one whose hash is *sha256*."""
    digest = token_hash(token)
    return digest is not None and hmac.compare_digest(digest, sha256)
