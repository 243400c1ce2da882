"""Calls to addresses that callers chose: none of them reaches this machine or a private network, whatever its name resolves to.

What is looked at is what is connected to. A name is resolved once for each connection, every address that it has is judged, and the
connection goes to one of the judged addresses, not to the name. Redirects are not followed, environment proxies are not used, and an answer
is read no further than its first kilobytes. In the local profile, where everything runs on one machine, any address may be called.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpcore
import httpx

LONGEST_ADDRESS = 2_000  # characters
READ = 4 * 1024  # bytes of an answer
RESOLVE = 5.0  # seconds
# IPv6 addresses that anybody can reach are given out of this block alone. (RFC 4291, 2.4)
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# What Python's table of public networks lets through, or not, depending on its version: protocol assignments, and what carries an IPv4
# address to wherever that one is (6to4 with its relays, Teredo).
NEVER = [ipaddress.ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "2001::/23")]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(Exception):
    """This address is not called. The message says why; code: for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Unresolved(Exception):
    """The host's name has no address now."""


@dataclass(frozen=True, slots=True)
class ParsedAddress:
    """An address as it was read: what is called, and by which name."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == {"https": 443, "http": 80}[self.scheme] else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """retry_after: seconds, where the other side says so."""

    status: int
    retry_after: int | None = None


def parse(address: str, *, local: bool = False) -> ParsedAddress:
    """Raises Forbidden for what is no plain address of a web server, and for http outside the local profile."""
    wrong = Forbidden("bad-address", "This is not an address like https://example.com/path.")
    if len(address) > LONGEST_ADDRESS or not address.isascii() or not address.isprintable() or set(address) & set(' \\"<>^`{|}'):
        raise wrong
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("https", "http") or not host or port == 0 or len(host) > 253:
        raise wrong
    if parts.scheme == "http" and not local:
        raise Forbidden("not-https", "The address must begin with https://.")
    if parts.username is not None or parts.password is not None or parts.fragment or "#" in address:
        raise Forbidden("bad-address", "The address must have no user, no password and no fragment.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return ParsedAddress(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may call it: not this machine, no private, shared, link-local, reserved or multicast network, and
    no IPv6 address that stands for an IPv4 one."""
    if any(address in each for each in NEVER) or (address.version == 6 and address not in GLOBAL_UNICAST):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not _is_ours(address)


def _is_ours(address: Address) -> bool:
    """Whether an interface of this machine has it: only such an address can be bound to."""
    family = socket.AF_INET6 if isinstance(address, ipaddress.IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as bound:
            bound.bind((str(address), 0))
    except OSError:
        return False
    return True


async def addresses_of(host: str, port: int) -> list[Address]:
    """All that a name stands for, as the system's resolver reads it: decimal, octal and short forms too. Raises Unresolved."""
    try:
        async with asyncio.timeout(RESOLVE):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        raise Unresolved(host) from None
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    if not addresses:
        raise Unresolved(host)
    return list(dict.fromkeys(addresses))


async def checked(target: ParsedAddress, *, local: bool = False) -> list[Address]:
    """The addresses that may be connected to. Raises Forbidden where any of them may not, and Unresolved."""
    addresses = await addresses_of(target.host, target.port)
    if not local and not all(is_public(each) for each in addresses):
        raise Forbidden("address-not-public", "The address belongs to a private network, or to this machine.")
    return addresses


@dataclass
class Outbound:
    """Posts to such addresses. local: the profile. trusted: what stands for the public certificates; for tests."""

    local: bool = False
    trusted: ssl.SSLContext | None = None
    _ssl: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        self._ssl = self.trusted or httpx.create_ssl_context(trust_env=False)

    async def post(self, address: str, headers: Mapping[str, str], content: bytes, timeout: float) -> OutboundResponse:
        """Raises Forbidden, Unresolved, and httpcore's errors where nobody answers in time. timeout: seconds for each step of it."""
        target = parse(address, local=self.local)
        url = httpcore.URL(scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode())
        sent = [(b"host", target.host_header.encode()), (b"content-length", b"%d" % len(content))]
        sent += [(name.encode(), value.encode()) for name, value in headers.items()]
        limits = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        async with (
            httpcore.AsyncConnectionPool(ssl_context=self._ssl, network_backend=_Pinned(target, self.local)) as pool,
            pool.stream("POST", url, headers=sent, content=content, extensions={"timeout": limits}) as response,
        ):
            read = 0
            async for part in response.aiter_stream():  # politeness: a short answer is read to its end
                read += len(part)
                if read >= READ:
                    break
            return OutboundResponse(response.status, _seconds(response.headers))


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were judged, one after the other, and to nothing else."""

    def __init__(self, target: ParsedAddress, local: bool) -> None:
        self._target = target
        self._local = local
        self._real = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception | None = None
        for address in await checked(self._target, local=self._local):
            try:
                return await self._real.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("no address")


def _seconds(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    for name, value in headers:
        if name.lower() == b"retry-after" and value.isdigit() and len(value) < 10:
            return int(value)
    return None
