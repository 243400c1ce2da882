"""Checking bearer tokens: RS256 or ES256 by the issuer's keys, then issuer, audience and times; remembered until they expire."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError

from redress_chassis.auth.callers import Caller, bad_token, caller_of
from redress_chassis.auth.jwks import STALE_AFTER, Jwks

ALGORITHMS = ("RS256", "ES256")  # never `none`, and no HS256: a public key must not serve as a shared secret (RFC 8725, 3.1)
LEEWAY = 60  # seconds that clocks may differ
LATEST = 1e11  # epoch seconds: whoever writes milliseconds writes tokens that live for ever
REMEMBERED = 4096  # tokens
UNREADABLE = (JoseError, ValueError, TypeError, RecursionError)  # what joserfc raises for what is no token


class Tokens:
    """Verified tokens of one issuer for one audience. now: epoch seconds by the wall clock, also where business time is stepped."""

    def __init__(self, jwks: Jwks, issuer: str, audience: str, now: Callable[[], float] = time.time) -> None:
        self._jwks = jwks
        self._issuer: jwt.ClaimsOption = {"essential": True, "value": issuer}
        self._audience: jwt.ClaimsOption = {"essential": True, "value": audience}
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

    async def _verified(self, token: str) -> dict[str, Any]:
        try:
            header = jws.extract_compact(token.encode()).headers()
        except UNREADABLE:
            raise bad_token("The Authorization header holds no JSON Web Token.") from None
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
        except UNREADABLE:
            raise bad_token("The token's signature is wrong.") from None

    def _check(self, claims: dict[str, Any], now: float) -> float:
        """Issuer, audience and times. → the instant of expiry, epoch seconds."""
        registry = jwt.JWTClaimsRegistry(int(now), LEEWAY, iss=self._issuer, aud=self._audience, exp={"essential": True})
        try:
            registry.validate(claims)
        except ExpiredTokenError:
            raise _expired() from None
        except ClaimError as error:
            raise bad_token(f"The token cannot be used: {error.description}.") from None
        expiry: float = claims["exp"]
        if expiry > LATEST:
            raise bad_token("The token's time of expiry is not in seconds.")
        return expiry


def _expired() -> Exception:
    return bad_token("The token has expired.", code="expired-token")
