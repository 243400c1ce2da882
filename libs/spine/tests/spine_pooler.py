"""PgBouncer in front of a test's PostgreSQL: it speaks TLS to its clients, which the server of the tests is built without."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from spine_certificates import Authority

from redress_local.places import free_ports
from redress_local.postgres import system_user
from redress_local.processes import start_child
from redress_local.provision import Databases

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
STARTED = 30.0  # seconds
INI = """\
[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
client_tls_sslmode = require
client_tls_cert_file = {folder}/server.pem
client_tls_key_file = {folder}/server.pem
pool_mode = {mode}
default_pool_size = 60
max_client_conn = 300
{more}
"""


class Pooler:
    """authority: signs its certificate."""

    def __init__(self, address: str, authority: Authority) -> None:
        self.address = address
        self.authority = authority

    def through(self, databases: Databases) -> Databases:
        """The same databases, reached by it: checked, and by TLS."""
        return replace(databases, owner_dsn=self._through(databases.owner_dsn), app_dsn=self._through(databases.app_dsn))

    def _through(self, dsn: str) -> str:
        parts = urlsplit(dsn)
        netloc = f"{parts.netloc.rpartition('@')[0]}@{self.address}"
        return urlunsplit(parts._replace(netloc=netloc, query=f"sslmode=verify-full&sslrootcert={quote(str(self.authority.file))}"))


@asynccontextmanager
async def pooler(mode: str, databases: Sequence[Databases], more: str = "") -> AsyncIterator[Pooler]:
    """It knows the roles of these databases. mode: its pool_mode. more: lines for its settings."""
    assert PROGRAM is not None
    server = urlsplit(databases[0].owner_dsn)
    (port,) = free_ports(1)
    user = system_user()  # as PostgreSQL, it does not run as root
    with tempfile.TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        authority = Authority(folder)
        authority.issue("server")
        where = {"host": server.hostname, "server_port": server.port or 5432, "port": port, "folder": folder, "mode": mode, "more": more}
        (folder / "pgbouncer.ini").write_text(INI.format(**where))
        roles = {(urlsplit(dsn).username, urlsplit(dsn).password) for each in databases for dsn in (each.owner_dsn, each.app_dsn)}
        (folder / "users").write_text("".join(f'"{role}" "{password}"\n' for role, password in roles))
        if user:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, user, user)
        child = start_child("pgbouncer", [PROGRAM, folder / "pgbouncer.ini"], folder / "log", foreground=True, folder=folder, user=user)
        try:
            await _listens(port)
            yield Pooler(f"127.0.0.1:{port}", authority)
        finally:
            child.kill()


async def _listens(port: int) -> None:
    async with asyncio.timeout(STARTED):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
