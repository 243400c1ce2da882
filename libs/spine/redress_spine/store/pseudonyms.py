"""Who decided, as strangers see it: on a public topic a person has a pseudonym in the place of their name.

It is a keyed digest of the name. The key is derived from the first master key, so that whoever has the topic and a list of all names can
match none of them. A person has the same one in all their roles. An exchange of the master key keeps it; only where that was lost all get
new ones.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from redress_events.vocabulary import PUBLIC_TOPICS

DIGEST_BYTES = 12  # of HMAC-SHA256's 32: 16 characters, and no two of a million people share one


def pseudonym_key(root: bytes) -> bytes:
    """Derived from the root (HKDF, SHA-256), and of no other use."""
    return HKDF(SHA256(), 32, salt=None, info=b"redress: names on public topics").derive(root)


def actor_on(topic: str, actor: str, key: bytes | None) -> str:
    """`agent:alice` → on a public topic `agent:~` and 16 characters. What is no person (`timer`, `rules@telecom-2`) is named everywhere.
    Raises ValueError where a person is to be named and there is no key."""
    role, colon, name = actor.partition(":")
    if not colon or topic not in PUBLIC_TOPICS:
        return actor
    if key is None:
        raise ValueError(f"{topic} is public and there is no key for the pseudonym of who decided.")
    return f"{role}:~{urlsafe_b64encode(hmac.digest(key, name.encode(), 'sha256')[:DIGEST_BYTES]).decode()}"
