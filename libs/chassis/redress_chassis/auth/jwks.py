"""The issuer's public keys: from a file or an address, kept, and asked for again when a token names one that is not known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from redress_chassis.edge.problems import unavailable

log = structlog.get_logger()
IssuerKey = RSAKey | ECKey
SEEK_EVERY = 2.0  # seconds at least between two askings for a key that is not known, or made-up ids would make us hammer the issuer
AGAIN_AFTER = 30.0  # seconds after an asking without success, while the keys that are known are good
RETRY_EVERY = 2.0  # seconds, while there are no keys to check by
STALE_AFTER = 600.0  # seconds: a key that the issuer withdrew is trusted no longer than this, while it can be asked
MAX_AGE = 3600.0  # seconds that keys are trusted without a word of the issuer, unless a setting says otherwise
ISSUER_TIMEOUT = 5.0  # seconds for the issuer to answer
SMALLEST_RSA = 2048  # bits (NIST SP 800-131A)


class Jwks:
    """Keys for checking signatures, by algorithm and key id. What the issuer publishes now counts, even if it is nothing; while it cannot
    be asked, what it published last, for `max_age` seconds."""

    def __init__(self, source: str, monotonic: Callable[[], float] = time.monotonic, max_age: float = MAX_AGE) -> None:
        self._source = source
        self._monotonic = monotonic
        self._max_age = max_age
        self._keys: list[tuple[str, str | None, IssuerKey]] = []  # algorithm, kid
        self._read = float("-inf")  # when the issuer was last heard
        self._asked = float("-inf")
        self._sought = float("-inf")  # when it was last asked for a key that was not known
        self._in_vain = False
        self._lock = asyncio.Lock()
        self._asking: asyncio.Task[None] | None = None

    async def key(self, algorithm: str, kid: str | None) -> IssuerKey | None:
        """The key that a token names; without a name the only one for its algorithm. Raises a 503 while no keys can be had."""
        found, now = self._find(algorithm, kid), self._monotonic()
        if self._due(found, now):
            if found is not None and self._fresh(now) and self._in_vain:
                self._ask_beside()
            else:
                await self._refresh()
                found, now = self._find(algorithm, kid), self._monotonic()
        if not self._fresh(now):
            raise unavailable("The token issuer's keys cannot be fetched, so no token can be checked.", RETRY_EVERY)
        return found

    def away(self) -> float:
        """Seconds since the issuer was last heard, if it was last asked without success; else 0."""
        return self._monotonic() - self._read if self._in_vain else 0.0

    def _fresh(self, now: float) -> bool:
        return now - self._read < self._max_age

    def _due(self, found: IssuerKey | None, now: float) -> bool:
        """Whether the issuer is to be asked. That it was asked in its turn does not keep us from asking for a key that it made since."""
        if not self._fresh(now):
            return now - self._asked >= RETRY_EVERY
        if found is None and now - self._sought >= SEEK_EVERY:
            self._sought = now
            return True
        pause = min(AGAIN_AFTER, self._max_age / 4) if self._in_vain else min(STALE_AFTER, self._max_age / 2)
        return now - self._asked >= pause

    def _ask_beside(self) -> None:
        """Nobody waits for an issuer that was away a moment ago, while the keys are still good."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._refresh(), name="jwks")

    def _find(self, algorithm: str, kid: str | None) -> IssuerKey | None:
        fitting = [key for alg, name, key in self._keys if alg == algorithm and (kid is None or name == kid)]
        return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None

    async def _refresh(self) -> None:
        before = self._asked
        async with self._lock:
            if self._asked != before:
                return  # somebody else just did
            now = self._monotonic()
            try:
                self._keys = keys_in(await self._fetch())
                self._read, self._in_vain = now, False
                if not self._keys:
                    log.warning("jwks-empty", reason="The issuer publishes no key that can be used: every token is refused.")
            except (OSError, ValueError) as error:
                self._in_vain = True  # the keys that are known go on for a while
                log.warning("jwks-not-read", error=type(error.__cause__ or error).__name__)
            self._asked = now

    async def _fetch(self) -> bytes:
        if not self._source.startswith(("http://", "https://")):
            return await asyncio.to_thread(Path(self._source).read_bytes)
        return await _fetched(self._source)


async def _fetched(address: str) -> bytes:
    """Raises ConnectionError."""
    import httpx  # here: who reads a file needs no client in memory

    try:
        async with httpx.AsyncClient(timeout=ISSUER_TIMEOUT) as client:
            return (await client.get(address)).raise_for_status().content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConnectionError(f"{type(error).__name__} while the issuer was asked") from error


def keys_in(document: bytes) -> list[tuple[str, str | None, IssuerKey]]:
    """The RS256 and ES256 keys of a JWKS document. Others, and keys for encryption, are passed over. Raises ValueError."""
    content = orjson.loads(document)
    listed = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JWKS document")
    return [found for item in listed if isinstance(item, dict) and (found := _key(item))]


def _key(item: Mapping[str, Any]) -> tuple[str, str | None, IssuerKey] | None:
    kid = item.get("kid")
    if item.get("use", "sig") != "sig" or not isinstance(kid, (str, type(None))):
        return None
    public = {name: value for name, value in item.items() if name in ("kty", "n", "e", "crv", "x", "y")}
    try:
        match item.get("kty"), item.get("alg"):
            case "RSA", "RS256" | None:
                key = RSAKey.import_key(public)
                return ("RS256", kid, key) if key.raw_value.key_size >= SMALLEST_RSA else None
            case "EC", "ES256" | None if item.get("crv") == "P-256":
                return "ES256", kid, ECKey.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None
