"""Runs a service's app by uvicorn, as every installation does: `python -m redress_chassis.serving redress_intake.main:app`.

uvicorn wakes ten times a second to see whether it is to end, which is half of what an idle service does. Here a signal wakes it. The limits
that it lacks are in `edge/connections.py`. The environment says the rest: TLS, proxies, limits, a port for operations (`http_settings.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from pydantic import ValidationError
from starlette.types import ASGIApp

from redress_chassis.api.streams import ENDING
from redress_chassis.edge import logs
from redress_chassis.edge.connections import Port
from redress_chassis.edge.forwarded import ForwardedPrefix
from redress_chassis.http_settings import HttpSettings, server_tls
from redress_chassis.settings import BadSettings, Settings

TICK = 1.0  # seconds: how old the date of an answer may be, and how late a connection is closed whose time is up
GRACE = 10  # seconds that requests have to end when the process is told to
NOT_STARTED = 3  # uvicorn's exit code of an app that could not start
RENEWED_EVERY = 60.0  # seconds between two looks at the certificate's files
OTHER_FILES = 256  # descriptors for the database, Kafka, files and connections that are just being closed
log = structlog.get_logger()


class Server(uvicorn.Server):
    """A uvicorn that sleeps until it is told to end, or the date changes. It listens at one port or two."""

    def __init__(
        self, config: uvicorn.Config, ports: Sequence[Port], certificate: Certificate | None = None, proxies: Sequence[str] = ()
    ) -> None:
        super().__init__(config)
        self._ports = ports
        self._certificate = certificate
        self._proxies = proxies
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()
        self._ending = asyncio.Event()

    async def startup(self, sockets: object = None) -> None:
        """The app, then the ports. Connections are made of the app that the configuration names then."""
        await super().startup(sockets=[])
        self.lifespan.state[ENDING] = self._ending
        if self._proxies:
            self.config.loaded_app = ForwardedPrefix(self.config.loaded_app, self._proxies)
        try:
            for port in self._ports:
                await self._listen(port)
        except OSError as error:
            logging.getLogger("uvicorn.error").error(error)
            await self.lifespan.shutdown()
            sys.exit(NOT_STARTED)

    async def _listen(self, port: Port) -> None:
        config = self.config
        listening = await asyncio.get_running_loop().create_server(
            lambda: port.connection(config, self.server_state, self.lifespan.state),
            port.host,
            port.number,
            ssl=config.ssl,
            backlog=config.backlog,
            ssl_handshake_timeout=port.limits.header_seconds if config.ssl else None,
        )
        self.servers.append(listening)
        scheme, number = "https" if config.ssl else "http", listening.sockets[0].getsockname()[1]
        log.info("listening", host=port.host, port=number, scheme=scheme, ops=port.ops)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            now = self._loop.time()
            for port in self._ports:
                port.sweep(now)
            if self._certificate is not None:
                self._certificate.renew(now)
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._told.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)
            self._loop.call_soon_threadsafe(self._ending.set)


class Certificate:
    """What the server shows itself by. When its files are renewed, whoever connects from then on sees the new one."""

    def __init__(self, cert_file: Path, key_file: Path | None) -> None:
        self._files = cert_file, key_file
        self.context = server_tls(cert_file, key_file)
        self._seen = self._written()
        self._looked = 0.0

    def renew(self, now: float) -> None:
        """now: seconds. Files that do not belong together, as while they are written, are looked at again; the certificate in use stays."""
        if now - self._looked < RENEWED_EVERY:
            return
        self._looked = now
        try:
            written = self._written()
            if written == self._seen:
                return
            server_tls(*self._files)  # first elsewhere: a half of the two would spoil the one in use
            self.context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            log.error("certificate-not-renewed", error=type(error).__name__, file=str(self._files[0]))
            return
        self._seen = written
        log.info("certificate-renewed", file=str(self._files[0]))

    def _written(self) -> list[int]:
        return [file.stat().st_mtime_ns for file in self._files if file is not None]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    asked = argparse.ArgumentParser(prog="python -m redress_chassis.serving", description=__doc__)
    asked.add_argument("app", help="the app's module and name, as redress_intake.main:app")
    asked.add_argument("--host", default="127.0.0.1", help="the address to listen at (%(default)s)")
    asked.add_argument("--port", type=int, default=8000, help="its port; 0 for a free one (%(default)s)")
    options = asked.parse_args(arguments)
    module, _, _ = options.app.partition(":")
    logs.configure(module.partition(".")[0].removeprefix("redress_").replace("_", "-"))  # until the app is there, which does it again
    try:
        settings = told(options.port)
    except BadSettings as error:
        for line in str(error).splitlines():
            log.error("bad-setting", reason=line)
        return NOT_STARTED
    server = served(options.app, options.host, options.port, settings)
    with suppress(KeyboardInterrupt):  # it ended in order, and raises the signal again
        server.run()
    return 0 if server.started else NOT_STARTED


def served(app: str | ASGIApp, host: str, port: int, settings: HttpSettings) -> Server:
    """A server of this app, by its module and name or itself, that is not started."""
    ports = [Port(host, port, settings)]
    if settings.ops_port is not None:
        ports.append(Port(host, settings.ops_port, settings, ops=True))
    _make_room(len(ports) * settings.max_connections + OTHER_FILES)
    certificate = Certificate(settings.tls_cert_file, settings.tls_key_file) if settings.tls_cert_file else None
    config = uvicorn.Config(
        app,
        access_log=False,  # the front door writes better lines
        server_header=False,
        ws="none",
        root_path=settings.root_path or "",
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies,
        ssl_context_factory=(lambda _config, _default: certificate.context) if certificate else None,
        timeout_keep_alive=settings.idle_seconds,
        timeout_graceful_shutdown=GRACE,
    )
    return Server(config, ports, certificate, settings.proxies)


def told(port: int) -> HttpSettings:
    """Raises BadSettings, which names what is wrong of the other settings too."""
    try:
        settings = HttpSettings()
    except ValidationError:
        return Settings.read()  # it is wrong there too
    if settings.ops_port == port:
        raise BadSettings(f"REDRESS_OPS_PORT: It must differ from the service's own, {port}.")
    return settings


def _make_room(files: int) -> None:
    """So many descriptors, where the system allows it. It matters that connections reach their own limit first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < files:
        log.warning("few-files", allowed=wanted, wanted=files, cure="Raise the limit of open files, or lower REDRESS_MAX_CONNECTIONS.")


if __name__ == "__main__":
    sys.exit(main())
