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
REFRESH_EVERY = 30.0  # seconds at least between two askings, or made-up key ids would make us hammer the issuer
RETRY_EVERY = 2.0  # seconds, while no key was ever seen
STALE_AFTER = 600.0  # seconds: a key that the issuer withdrew is trusted no longer than this
ISSUER_TIMEOUT = 5.0  # seconds for the issuer to answer
SMALLEST_RSA = 2048  # bits (NIST SP 800-131A)


class Jwks:
    """Keys for checking signatures, by algorithm and key id."""

    def __init__(self, source: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._monotonic = monotonic
        self._keys: list[tuple[str, str | None, IssuerKey]] = []  # algorithm, kid
        self._asked = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, algorithm: str, kid: str | None) -> IssuerKey | None:
        """The key that a token names; without a name the only one for its algorithm. Raises a 503 while no key was ever seen."""
        found = self._find(algorithm, kid)
        if self._monotonic() - self._asked >= self._pause(found):
            await self._refresh()
            found = self._find(algorithm, kid)
        if not self._keys:
            raise unavailable("The token issuer's keys cannot be had, so no token can be checked.", RETRY_EVERY)
        return found

    def _pause(self, found: IssuerKey | None) -> float:
        if not self._keys:
            return RETRY_EVERY
        return REFRESH_EVERY if found is None else STALE_AFTER

    def _find(self, algorithm: str, kid: str | None) -> IssuerKey | None:
        fitting = [key for alg, name, key in self._keys if alg == algorithm and (kid is None or name == kid)]
        return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None

    async def _refresh(self) -> None:
        before = self._asked
        async with self._lock:
            if self._asked != before:
                return  # somebody else just did
            try:
                self._keys = keys_in(await self._fetch()) or self._keys
            except (OSError, ValueError) as error:
                log.warning("jwks-not-read", error=type(error.__cause__ or error).__name__)  # the keys that are known go on
            self._asked = self._monotonic()

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
    except httpx.HTTPError as error:
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
