"""Which addresses are called, and that the one that was looked at is the one that is called."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_chassis.edge import outbound
from redress_chassis.edge.outbound import READ, Forbidden, Outbound, OutboundResponse, Unresolved, checked, is_public, parse

PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"]
NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # where clouds tell their secrets
    "100.64.0.1",
    "192.0.0.8",
    "192.0.0.9",
    "192.88.99.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:1.1.1.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_what_anybody_may_call_is_called(address: str):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_belongs_to_a_private_network_or_this_machine_is_not(address: str):
    assert not is_public(ipaddress.ip_address(address))


def test_a_public_address_that_is_this_machines_own_is_not_called(monkeypatch: pytest.MonkeyPatch):
    assert outbound._is_ours(ipaddress.ip_address("127.0.0.1")) and not outbound._is_ours(ipaddress.ip_address("93.184.215.14"))
    monkeypatch.setattr(outbound, "_is_ours", lambda address: str(address) == "93.184.215.14")
    assert not is_public(ipaddress.ip_address("93.184.215.14"))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_never_reached_by_way_of_an_ipv6_one(address: ipaddress.IPv4Address):
    carried = (f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}", str(ipaddress.IPv6Address(0x2002 << 112 | int(address) << 80)))
    assert not any(is_public(ipaddress.ip_address(each)) for each in carried)


DECIMAL = ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "169.254.169.254"]
HOSTS = [*DECIMAL, "localhost", "[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]"]


@pytest.mark.parametrize("host", HOSTS)
async def test_every_way_to_write_a_private_address_is_refused(host: str):
    with pytest.raises((Forbidden, Unresolved)):
        await checked(parse(f"https://{host}/"))


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://example.com/", "not-https"),
        ("ftp://example.com/", "bad-address"),
        ("https:///path", "bad-address"),
        ("https://user:pass@example.com/", "bad-address"),
        ("https://user@example.com/", "bad-address"),
        ("https://example.com/#part", "bad-address"),
        ("https://example.com/#", "bad-address"),
        ("https://example.com:0/", "bad-address"),
        ("https://example.com:99999/", "bad-address"),
        ("https://exa mple.com/", "bad-address"),
        ("https://example.com\\@127.0.0.1/", "bad-address"),
        ("https://example.com/\r\nx: y", "bad-address"),
        ("https://münchen.example/", "bad-address"),
        ("https://[::1/", "bad-address"),
        ("file:///etc/passwd", "bad-address"),
        ("https://example.com/" + "x" * 2_000, "bad-address"),
    ],
)
def test_what_is_no_plain_address_of_a_web_server_is_refused(address: str, code: str):
    with pytest.raises(Forbidden) as refused:
        parse(address)
    assert refused.value.code == code


def test_an_address_is_taken_apart_once_and_called_by_its_parts():
    target = parse("https://Example.com:8443/hooks?a=b")
    assert (target.host, target.port, target.path, target.host_header) == ("example.com", 8443, "/hooks?a=b", "example.com:8443")
    assert parse("https://example.com").path == "/" and parse("https://example.com").host_header == "example.com"
    assert parse("http://[::1]:8000/", local=True).host_header == "[::1]:8000"


class Names:
    """A resolver that answers something else each time, as whoever attacks by DNS has it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.metadata = 0
        self._answers = answers

        async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            self.metadata += 1
            found = self._answers[min(self.metadata, len(self._answers)) - 1]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def test_a_name_of_which_any_address_is_private_is_refused(monkeypatch: pytest.MonkeyPatch):
    Names(monkeypatch, ["93.184.215.14", "10.0.0.1"])
    with pytest.raises(Forbidden, match="private network") as refused:
        await checked(parse("https://rebind.example/"))
    assert refused.value.code == "address-not-public"
    assert await checked(parse("https://rebind.example/"), local=True)


async def test_a_name_is_judged_at_each_connection_and_the_judged_address_is_connected_to(monkeypatch: pytest.MonkeyPatch):
    names = Names(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    await checked(parse("https://rebind.example/"))
    with pytest.raises(Forbidden):
        await Outbound().post("https://rebind.example/", {}, b"", 1.0)
    assert names.metadata == 2
    connected: list[str] = []

    async def connect(self: Any, host: str, *_: Any) -> Any:
        connected.append(host)
        raise httpcore.ConnectError("nobody")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    Names(monkeypatch, ["93.184.215.14", "1.1.1.1"], ["127.0.0.1"])
    with pytest.raises(httpcore.ConnectError):
        await Outbound().post("https://rebind.example/", {}, b"", 1.0)
    assert connected == ["93.184.215.14", "1.1.1.1"], "the name was resolved again, or left to the client"


async def test_a_name_without_an_address_is_told_apart():
    with pytest.raises(Unresolved):
        await checked(parse("https://no-such-host.invalid/"))


@asynccontextmanager
async def server(answer: bytes, endless: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            got.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            while endless:
                writer.write(b"x" * READ)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/hook?a=b", got
    listening.close()


async def test_a_redirect_is_an_answer_and_not_followed():
    async with server(b"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n") as (address, got):
        assert await Outbound(local=True).post(address, {"x-a": "b"}, b"{}", 5.0) == OutboundResponse(302, 7)
    (head,) = got
    assert head.startswith(b"POST /hook?a=b HTTP/1.1\r\n") and b"x-a: b\r\n" in head and head.lower().count(b"content-length: 2\r\n") == 1


async def test_an_answer_without_end_is_read_no_further_than_its_beginning():
    async with server(b"HTTP/1.1 200 X\r\n\r\n", endless=True) as (address, _):
        async with asyncio.timeout(10):
            assert await Outbound(local=True).post(address, {}, b"", 5.0) == OutboundResponse(200)
