"""Checking bearer tokens: RS256 or ES256 by the issuer's keys, then what they are, issuer, audience, times and whether they were revoked.

What was verified is remembered, for no longer than its key is published.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError

from redress_chassis.auth.callers import Caller, bad_token
from redress_chassis.auth.jwks import IssuerKey, Jwks
from redress_chassis.auth.layouts import ClaimReader, TokenReading
from redress_chassis.auth.revocation import DenyList, Introspection
from redress_events.event import SKEW

ALGORITHMS = ("RS256", "ES256")  # never `none`, and no HS256: a public key must not serve as a shared secret (RFC 8725, 3.1)
LEEWAY = int(SKEW.total_seconds())  # the issuer's clock and its clients' may be as far from ours
REMEMBERED = 4096  # tokens
TYPES = frozenset({"jwt", "at+jwt"})  # of the header, in small letters; a token that has none is a jwt
OF_ID_TOKENS = ("nonce", "at_hash", "c_hash")  # claims (OpenID Connect Core 1.0, 2 and 3.3.2.11)
UNREADABLE = (JoseError, ValueError, TypeError, RecursionError)  # what joserfc raises for what is no token


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What is asked of every token. longest: seconds that one may live from now on. remembered: seconds until a signature is checked again.
    types: of the header that are let in."""

    longest: float = 86_400.0
    remembered: float = 3600.0
    types: frozenset[str] = TYPES


@dataclass(frozen=True, slots=True)
class _Verified:
    """until: epoch seconds."""

    reading: TokenReading
    algorithm: str
    kid: str | None
    key: IssuerKey
    expiry: float
    until: float


class Tokens:
    """Verified tokens of one issuer for one audience. now: epoch seconds by the wall clock, also where business time is stepped."""

    def __init__(
        self,
        jwks: Jwks,
        issuer: str,
        audience: str,
        now: Callable[[], float] = time.time,
        *,
        reader: ClaimReader | None = None,
        rules: TokenRules | None = None,
        denied: DenyList | None = None,
        introspection: Introspection | None = None,
    ) -> None:
        self._jwks = jwks
        self._issuer: jwt.ClaimsOption = {"essential": True, "value": issuer}
        self._audience: jwt.ClaimsOption = {"essential": True, "value": audience}
        self._now = now
        self._reader = reader or ClaimReader(audience=audience)
        self._rules = rules or TokenRules()
        self._denied = denied
        self._introspection = introspection
        self._known: OrderedDict[bytes, _Verified] = OrderedDict()  # by digest

    async def caller(self, token: str) -> Caller:
        """Whose token this is. Raises the 401s `bad-token`, `expired-token` and `revoked-token`, and a 503 while the issuer cannot be asked
        what must be asked."""
        return (await self.reading(token)).caller

    async def reading(self, token: str) -> TokenReading:
        """The same, with all that is known of it."""
        digest = hashlib.sha256(token.encode()).digest()
        now = self._now()
        known = self._known.get(digest)
        if known and now >= known.expiry + LEEWAY:
            raise _expired()
        # A key that was withdrawn, or published again, is another object.
        if known is None or now >= known.until or await self._jwks.key(known.algorithm, known.kid) is not known.key:
            self._known.pop(digest, None)
            known = await self._verified(token, now)
        self._known[digest] = known
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        if self._denied is not None and self._denied.holds(known.reading):
            raise _revoked()
        if self._introspection is not None and not await self._introspection.is_good(token, digest):
            raise _revoked()
        return known.reading

    def issuer_away(self) -> float:
        """Seconds since the issuer was last heard, if it was last asked for its keys without success; else 0."""
        return self._jwks.away()

    async def close(self) -> None:
        if self._introspection is not None:
            await self._introspection.close()

    async def _verified(self, token: str, now: float) -> _Verified:
        header = header_of(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise bad_token("The token is not signed with RS256 or ES256.")
        if not isinstance(kid, (str, type(None))):
            raise bad_token("The token's header is malformed.")
        key = await self._jwks.key(algorithm, kid)
        if key is None:
            raise bad_token("The token is signed with a key that the issuer does not publish.")
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        except UNREADABLE:
            raise bad_token("The token's signature is wrong.") from None
        check_type(header, claims, self._rules.types)
        expiry = self._check(claims, now)
        try:
            reading = self._reader.read(claims)
        except ValueError as error:
            raise bad_token(f"The token cannot be used: {error}.") from None
        return _Verified(reading, algorithm, kid, key, expiry, now + self._rules.remembered)

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
        if expiry > now + self._rules.longest + LEEWAY:  # whoever writes milliseconds writes tokens that live forever
            raise bad_token(f"The token is valid for too long: it may expire {self._rules.longest:.0f} seconds from now at the latest.")
        return expiry


def header_of(token: str) -> dict[str, Any]:
    """Unverified. Raises a 401."""
    try:
        return jws.extract_compact(token.encode()).headers()
    except UNREADABLE:
        raise bad_token("The Authorization header holds no JSON Web Token.") from None


def check_type(header: Mapping[str, Any], claims: Mapping[str, Any], types: frozenset[str]) -> None:
    """An issuer signs more than access tokens with one key: what is for the client alone, or for a logout, opens nothing here. Raises a
    401."""
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in types:
        raise bad_token("The token's type is not one that access tokens have here.")
    said = claims.get("typ", "Bearer")  # Keycloak's: ID, Refresh, Logout, and DPoP, which is worth nothing without its proof
    if not isinstance(said, str) or said.lower() != "bearer":
        raise bad_token("The token is not an access token: it says that it is of another type.")
    if any(claim in claims for claim in OF_ID_TOKENS):
        raise bad_token("The token is an ID token. Send the access token.")


def _expired() -> Exception:
    return bad_token("The token has expired.", code="expired-token")


def _revoked() -> Exception:
    return bad_token("The token was revoked.", code="revoked-token")
