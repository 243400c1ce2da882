"""Signatures of messages, as Standard Webhooks defines them: an HMAC-SHA256 over id, time and body. (standardwebhooks.com, 1.0.0)"""

from __future__ import annotations

import base64
import binascii
import hmac
import os

PREFIX = "whsec_"
BYTES = 24, 64  # of a secret, at least and at most


def new_secret() -> str:
    """`whsec_` and the base64 of 24 random bytes."""
    return PREFIX + base64.b64encode(os.urandom(BYTES[0])).decode()


def key_of(secret: str) -> bytes:
    """The bytes behind a secret. Raises ValueError with a message."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not BYTES[0] <= len(key) <= BYTES[1]:
        raise ValueError(f"A secret is {PREFIX} and the base64 of {BYTES[0]} to {BYTES[1]} bytes.")
    return key


def signed(secret: str, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers. timestamp: epoch seconds, of this very attempt: receivers refuse old ones."""
    content = b"%s.%d.%s" % (message.encode(), timestamp, body)
    signature = base64.b64encode(hmac.digest(key_of(secret), content, "sha256")).decode()
    return {"webhook-id": message, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}
