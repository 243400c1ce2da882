"""A TCP proxy that speaks TLS as PostgreSQL does, for the server of the tests is built without it: its clients are all that is tried."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from slow_proxy import SlowProxy

SSL_REQUEST = struct.pack(">II", 8, 80877103)
# What a server answers whose pg_hba.conf has `hostssl` alone.
NO_ENTRY = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for this host, no encryption\0\0"


class TlsProxy(SlowProxy):
    """It refuses whoever does not begin with TLS."""

    def __init__(self, host: str, port: int, certificate: Path) -> None:
        super().__init__(host, port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(8) != SSL_REQUEST:
                writer.write(b"E" + struct.pack(">I", 4 + len(NO_ENTRY)) + NO_ENTRY)
                await writer.drain()
                writer.close()
                return
            writer.write(b"S")
            await writer.start_tls(self._context)
        except (OSError, asyncio.IncompleteReadError):  # a client that does not trust the certificate hangs up
            writer.close()
            return
        await super().serve(reader, writer)


@asynccontextmanager
async def tls_proxy(dsn: str, certificate: Path) -> AsyncIterator[str]:
    """Where this database's server is reached through the proxy, as `host:port`."""
    parts = urlsplit(dsn)
    proxy = TlsProxy(parts.hostname or "127.0.0.1", parts.port or 5432, certificate)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"{host}:{port}"
    server.close()
