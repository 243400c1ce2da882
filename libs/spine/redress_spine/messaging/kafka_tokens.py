"""Tokens by which clients of Kafka say who they are (SASL OAUTHBEARER, KIP-255): asked for at a token endpoint, or read from a file.

A token is sent when a connection is made. One that ends ends none of them, unless the broker closes connections then
(`connections.max.reauth.ms`); the next ones are made with a new token.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from redress_spine.processing.clock import monotonic

TIMEOUT = 5.0  # seconds for the endpoint to answer
USED = 0.8  # of a token's life: then the next one is asked for
SHORT = 60.0  # seconds that a token is taken to live whose endpoint does not say


class NoToken(AuthenticationFailedError):  # type: ignore[misc]
    """There is no token to show. The message says why."""


class KafkaTokens(AbstractTokenProvider):  # type: ignore[misc]
    """What aiokafka asks for each connection."""

    @abstractmethod
    async def token(self) -> str:
        """Raises NoToken."""


class TokenFile(KafkaTokens):
    """A token that somebody else keeps fresh, as Kubernetes does with those of its service accounts."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def token(self) -> str:
        try:
            token = self._file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise NoToken(f"The file of the token cannot be read: {why}. See REDRESS_KAFKA_TOKEN_FILE.") from None
        if not token:
            raise NoToken("The file of the token is empty. See REDRESS_KAFKA_TOKEN_FILE.")
        return token


class ClientCredentials(KafkaTokens):
    """Tokens of a client with a secret (RFC 6749, 4.4), kept for most of their life.

    url: the token endpoint. secret: asked for with each token, for it may have been renewed."""

    def __init__(self, url: str, client: str, secret: Callable[[], str], scope: str | None = None) -> None:
        self._url = url
        self._client = client
        self._secret = secret
        self._scope = {"scope": scope} if scope else {}
        self._token = ""
        self._until = float("-inf")

    async def token(self) -> str:
        if monotonic() >= self._until:
            self._token, lives = await self._fetched()
            self._until = monotonic() + USED * lives
        return self._token

    async def _fetched(self) -> tuple[str, float]:
        import httpx  # here: who has no such tokens needs no client in memory

        who = quote(self._client, safe=""), quote(self._secret(), safe="")  # RFC 6749, 2.3.1
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT) as client:
                answer = await client.post(self._url, data={"grant_type": "client_credentials", **self._scope}, auth=who)
                found = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise NoToken(f"The token endpoint does not answer: {type(error).__name__}. See REDRESS_KAFKA_TOKEN_URL.") from error
        if answer.is_success and isinstance(found, dict) and isinstance(token := found.get("access_token"), str):
            lives = found.get("expires_in", SHORT)
            return token, float(lives) if isinstance(lives, int | float) else SHORT
        code = found.get("error") if isinstance(found, dict) else None
        said = f"{answer.status_code} {code}" if isinstance(code, str) and code.isprintable() else str(answer.status_code)
        raise NoToken(
            f"The token endpoint gives the client {self._client} no token: {said[:80]}. "
            "See REDRESS_KAFKA_USERNAME, REDRESS_KAFKA_PASSWORD and REDRESS_KAFKA_TOKEN_SCOPE."
        )
