"""Tokens that are refused before they expire: those that the operator lists, and those that the issuer, asked, no longer knows."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import orjson
import structlog

from redress_chassis.auth.jwks import ISSUER_TIMEOUT
from redress_chassis.auth.layouts import TokenReading
from redress_chassis.edge.problems import unavailable

if TYPE_CHECKING:
    import httpx

log = structlog.get_logger()
LOOK_EVERY = 1.0  # seconds between two looks at the list
KINDS = ("jti", "sub", "client")
KEPT = 4096  # tokens of which the issuer's answer is kept
RETRY_AFTER = 2.0  # seconds


class DenyList:
    """A file with a line for each that is refused: `jti …` for one token, `sub …` for a caller's id as it is read here, `client …` for a
    program and all that it asks for. Read again when it was changed. One that cannot be read then leaves the last one in force."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises OSError and ValueError."""
        self._path = path
        self._monotonic = monotonic
        self._looked = monotonic()
        self._stamp = self._now_stamp()
        self._denied = denied_in(path.read_text("utf-8"))

    def holds(self, reading: TokenReading) -> bool:
        if self._monotonic() - self._looked >= LOOK_EVERY:
            self._look()
        named = (("jti", reading.jti), ("sub", reading.caller.sub), ("client", reading.client))
        return any(each in self._denied for each in named)

    def _look(self) -> None:
        self._looked = self._monotonic()
        try:
            if (stamp := self._now_stamp()) != self._stamp:
                self._denied, self._stamp = denied_in(self._path.read_text("utf-8")), stamp
                log.info("deny-list-read", denied=len(self._denied))
        except (OSError, ValueError) as error:  # UnicodeDecodeError is one
            log.error("deny-list-not-read", error=type(error).__name__, reason="The last one that could be read stays in force.")

    def _now_stamp(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size


def denied_in(text: str) -> frozenset[tuple[str, str]]:
    """Raises ValueError, which names the line and not what is in it."""
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, _, value = line.strip().partition(" ")
        if kind not in KINDS or not value.strip():
            raise ValueError(f"Line {number} is none of: jti …, sub …, client …")
        found.add((kind, value.strip()))
    return frozenset(found)


class Introspection:
    """Asks the issuer whether a token is still good (RFC 7662). An answer is kept for a while; without one nobody is let in.

    keep: seconds. secret_file: read at each asking, so that it may be changed."""

    def __init__(self, address: str, client: str, secret_file: Path, keep: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._client = client
        self._secret_file = secret_file
        self._keep = keep
        self._monotonic = monotonic
        self._known: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()  # digest → good, until when that is believed
        self._asking: dict[bytes, asyncio.Task[bool]] = {}
        self._http: httpx.AsyncClient | None = None

    async def is_good(self, token: str, digest: bytes) -> bool:
        """Raises a 503 while the issuer does not answer. digest: of the token."""
        if (known := self._known.get(digest)) and self._monotonic() < known[1]:
            return known[0]
        if (asking := self._asking.get(digest)) is None:  # whoever comes meanwhile with the same token waits for the same answer
            asking = self._asking[digest] = asyncio.create_task(self._ask(token, digest), name="introspection")
            asking.add_done_callback(lambda _: self._asking.pop(digest, None))
        return await asyncio.shield(asking)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _ask(self, token: str, digest: bytes) -> bool:
        import httpx  # here: who does not ask needs no client in memory

        try:
            secret = (await asyncio.to_thread(self._secret_file.read_text, "utf-8")).rstrip("\r\n")
            if self._http is None:
                self._http = httpx.AsyncClient(timeout=ISSUER_TIMEOUT)
            answer = await self._http.post(
                self._address,
                data={"token": token, "token_type_hint": "access_token"},
                headers={"accept": "application/json"},
                auth=(quote_plus(self._client), quote_plus(secret)),  # RFC 6749, 2.3.1
            )
            good = _good(answer.raise_for_status().content)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            log.warning("introspection-failed", error=type(error).__name__)
            raise unavailable("The token issuer does not say whether this token is still good.", RETRY_AFTER) from None
        self._known[digest] = good, self._monotonic() + self._keep
        self._known.move_to_end(digest)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return good


def _good(content: bytes) -> bool:
    answer = orjson.loads(content)
    if not isinstance(answer, dict) or not isinstance(answer.get("active"), bool):
        raise ValueError("no answer of RFC 7662")
    return bool(answer["active"])
