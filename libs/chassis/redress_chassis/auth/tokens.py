"""Checking bearer tokens: RS256 or ES256 by the issuer's keys, then issuer, audience and times; remembered until they expire."""

from __future__ import annotations

import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson
from joserfc import jwt
from joserfc.errors import JoseError

from redress_chassis.auth.callers import Caller, bad_token, caller_of
from redress_chassis.auth.jwks import STALE_AFTER, Jwks

ALGORITHMS = ("RS256", "ES256")  # never `none`, and no HS256: a public key must not serve as a shared secret (RFC 8725, 3.1)
LEEWAY = 60.0  # seconds that clocks may differ
REMEMBERED = 4096  # tokens


class Tokens:
    """Verified tokens of one issuer for one audience. now: epoch seconds by the wall clock, also where business time is stepped."""

    def __init__(self, jwks: Jwks, issuer: str, audience: str, now: Callable[[], float] = time.time) -> None:
        self._jwks = jwks
        self._issuer = issuer
        self._audience = audience
        self._now = now
        self._known: OrderedDict[bytes, tuple[Caller, float, float]] = OrderedDict()  # digest → caller, expiry, end of trust in the key

    async def caller(self, token: str) -> Caller:
        """Whose token this is. Raises the 401s `bad-token` and `expired-token`, and a 503 while no key can be had."""
        digest = hashlib.sha256(token.encode()).digest()
        now = self._now()
        if known := self._known.get(digest):
            caller, expiry, trusted = known
            if now >= expiry + LEEWAY:
                raise _expired()
            if now < trusted:
                self._known.move_to_end(digest)
                return caller
        claims = await self._verified(token)
        expiry = self._check(claims, now)
        try:
            caller = caller_of(claims)
        except ValueError as error:
            raise bad_token(f"The token cannot be used: {error}.") from None
        self._known[digest] = caller, expiry, now + STALE_AFTER
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return caller

    async def _verified(self, token: str) -> Mapping[str, Any]:
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise bad_token("The token is not signed by RS256 or ES256.")
        if not isinstance(kid, (str, type(None))):
            raise bad_token("The token's header is malformed.")
        key = await self._jwks.key(algorithm, kid)
        if key is None:
            raise bad_token("The token is signed by a key that the issuer does not publish.")
        try:
            return jwt.decode(token, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            raise bad_token("The token's signature is wrong.") from None

    def _check(self, claims: Mapping[str, Any], now: float) -> float:
        """Issuer, audience and times. → the instant of expiry, epoch seconds."""
        if claims.get("iss") != self._issuer:
            raise bad_token("The token is from another issuer.")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise bad_token("The token is for another audience.")
        if not _is_instant(claims.get("exp")):
            raise bad_token("The token has no time of expiry.")
        for name in ("nbf", "iat"):
            if (instant := claims.get(name)) is not None and (not _is_instant(instant) or instant > now + LEEWAY):
                raise bad_token("The token is not valid yet.")
        expiry = cast(float, claims["exp"])
        if now >= expiry + LEEWAY:
            raise _expired()
        return expiry


def _header(token: str) -> Mapping[str, Any]:
    try:
        first = token.split(".", 1)[0]
        header = orjson.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise bad_token("The Authorization header holds no JSON Web Token.")
    return header


def _is_instant(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e11


def _expired() -> Exception:
    return bad_token("The token has expired.", code="expired-token")
