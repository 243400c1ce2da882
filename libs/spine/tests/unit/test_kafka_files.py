"""Certificates and tokens in files: a connection is made by what stands there then, and a file that is being written stops nobody."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import structlog
from spine_certificates import Authority

from redress_spine.messaging.kafka_tls import RenewedContext
from redress_spine.messaging.kafka_tokens import NoToken, TokenFile


class Server:
    """Asks its clients for a certificate, and shows one of its own."""

    def __init__(self, authority: Authority, name: str) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.issue(name))
        self.context.load_verify_locations(authority.file)
        self.context.verify_mode = ssl.CERT_REQUIRED

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._greet, "127.0.0.1", 0, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome")
        await writer.drain()
        writer.close()

    async def greets(self, context: ssl.SSLContext) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        try:
            return await reader.read(7) == b"welcome"
        except OSError:  # by TLS 1.3 a client learns here that its certificate is refused
            return False
        finally:
            writer.close()


async def test_a_connection_is_made_by_the_certificates_that_stand_there_now(tmp_path: Path) -> None:
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    ca.write_bytes(old.file.read_bytes())
    own.write_bytes(old.issue("client").read_bytes())
    context = RenewedContext.of(ca, own, None)
    async with Server(old, "first") as first, Server(new, "second") as second:
        assert await first.greets(context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await second.greets(context)

        ca.write_bytes(new.file.read_bytes())
        assert not await second.greets(context), "it does not know who signed ours"
        fresh = new.issue("client-2")
        fresh.replace(own)  # as a renewal exchanges files
        assert await second.greets(context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await first.greets(context)


async def test_a_certificate_that_is_just_being_written_is_not_used(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    whole = authority.issue("client").read_bytes()
    own = tmp_path / "own.pem"
    own.write_bytes(whole)
    context = RenewedContext.of(authority.file, own, None)
    async with Server(authority, "server") as server:
        for content in (whole[: len(whole) // 2], b"", None):
            own.unlink()
            if content is not None:
                own.write_bytes(content)
            with structlog.testing.capture_logs() as lines:
                assert await server.greets(context)
            assert [line["event"] for line in lines] == ["kafka-certificates-not-read"]
        own.write_bytes(authority.issue("another").read_bytes())
        with structlog.testing.capture_logs() as lines:
            assert await server.greets(context)
            assert await server.greets(context)
        assert [line["event"] for line in lines] == ["kafka-certificates-renewed"]


async def test_names_are_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = RenewedContext.of(authority.file, authority.issue("client"), None)
    async with Server(authority, "server") as server:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await asyncio.open_connection("localhost", server.port, ssl=context)


async def test_a_token_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = TokenFile(file)
    for content in ("one", "two\n"):
        file.write_text(content)
        assert await tokens.token() == content.strip()
    file.write_text("\n")
    with pytest.raises(NoToken, match="The file of the token is empty"):
        await tokens.token()
