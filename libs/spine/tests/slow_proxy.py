"""A TCP proxy that lets each byte through later: what a database looks like whose disk, network or neighbour is slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class SlowProxy:
    """delay: seconds by which what the server says comes later. connections: open now; most: the most that ever were."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self.address = ""
        self.delay = 0.0
        self._over = asyncio.Event()
        self.connections = 0
        self.most = 0

    def slow(self, delay: float) -> None:
        self.delay = delay
        self._over.clear()

    def fast(self) -> None:
        """From now on, and for what is on its way."""
        self.delay = 0.0
        self._over.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.most = max(self.most, self.connections)
        try:
            from_server, to_server = await asyncio.open_connection(*self._target)
            ways = [asyncio.create_task(self._pass(reader, to_server, False)), asyncio.create_task(self._pass(from_server, writer, True))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            to_server.close()
        except OSError:
            pass  # whoever hung up first
        finally:
            self.connections -= 1
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: bool) -> None:
        """Bytes in their order, each as much later as the delay is when it comes, or until the delay is over."""
        while content := await reader.read(65_536):
            if late and self.delay:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.delay):
                        await self._over.wait()
            writer.write(content)
            await writer.drain()


@asynccontextmanager
async def slow_proxy(dsn: str) -> AsyncIterator[tuple[SlowProxy, str]]:
    """A proxy before this database, and the address that leads through it."""
    parts = urlsplit(dsn)
    proxy = SlowProxy(parts.hostname or "127.0.0.1", parts.port or 5432)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    login = parts.netloc.rpartition("@")[0]
    yield proxy, urlunsplit(parts._replace(netloc=f"{login}@{host}:{port}"))
    server.close()
