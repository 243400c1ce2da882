"""The one place where connections to PostgreSQL are made: of services, of migrations, of the operator's tools.

TLS is said in the address, as PostgreSQL's own programs have it: `?sslmode=verify-full&sslrootcert=/etc/redress/postgres-ca.pem`. Files
that the address names are read for each new connection, so a certificate that was renewed is used by the next one.

Settings of a session are set once it is there, and not asked for at its start: a pooler refuses those that it does not know, or forgets
them, as it was told to (PgBouncer's `ignore_startup_parameters`).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
FIT_FOR_HOSTS = re.compile(r"[\w.:%-]+")  # of IPv6 too
CLOSE = 2.0  # seconds for a connection to end in order
# Of one session, for as long as a server's process lives.
SESSION = "SELECT pid, backend_start FROM pg_stat_get_activity(pg_backend_pid())"
# What a client of a pooler is told whose statements go to other sessions: prepared ones are not there, or are another's.
ANOTHERS = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
SHARED = (
    "is reached through a pooler that gives one session of the server to several clients, and Redress holds locks and settings for as long "
    "as a session lives. Set pool_mode = session for it (PgBouncer), or let the address name the server itself."
)


class SharedSession(Exception):
    """Between us and the server stands a pooler in transaction mode, or in statement mode."""

    def __init__(self) -> None:
        super().__init__(f"The database {SHARED}")


class NoPassword(OSError):
    """The file of the password cannot be read, or holds none."""


def wrong_database(dsn: str) -> str | None:
    """What is wrong with a database's address, as far as it tells by itself; never its password."""
    try:
        parts = urlsplit(dsn)
        hosts = parts.netloc.rpartition("@")[2]
        query = parse_qs(parts.query)
    except ValueError:
        return "The address cannot be read: a host in square brackets must be a whole IPv6 address."
    for each in hosts.split(",") if hosts else ():
        host, port = _host_and_port(each)
        if not _names_a_host(host):
            return "The host in the address is invalid: it has an empty part, one of more than 63 characters, or a wrong character."
        if port is not None and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
            return "The port in the address is not a number from 1 to 65535."
    modes = query.get("sslmode", [])
    if any(mode not in SSL_MODES for mode in modes):
        return f"sslmode in the address is one of {', '.join(SSL_MODES)}."
    return None


def _host_and_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, _, rest = text.partition("]")
        return host[1:], rest[1:] if rest.startswith(":") else None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _names_a_host(host: str) -> bool:
    host = unquote(host)
    if host.startswith("/"):  # the folder of a socket
        return host.isprintable()
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return not host or FIT_FOR_HOSTS.fullmatch(host) is not None


async def connect(
    dsn: str,
    role: str = "tools",
    *,
    password_file: Path | None = None,
    server_settings: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    command_timeout: float | None = None,
) -> asyncpg.Connection:
    """One connection, known to the server as `redress-<role>`. password_file: read now, where the address has no password. timeout,
    command_timeout: seconds for the connection and for a statement. Raises what asyncpg raises, and NoPassword."""
    connection = await asyncpg.connect(
        dsn,
        ssl=_by_the_machine(dsn),
        password=password_in(password_file) if password_file else None,
        timeout=timeout,
        command_timeout=command_timeout,
        server_settings={"application_name": f"redress-{role}"},
    )
    try:
        await _set(connection, server_settings)
    except BaseException:
        connection.terminate()
        raise
    return connection


def pool(
    dsn: str,
    role: str = "tools",
    *,
    min_size: int,
    max_size: int,
    server_settings: Mapping[str, str] | None = None,
    connect: Any = None,
    reset: Any = None,
    **options: Any,
) -> asyncpg.Pool:
    """A pool of so many connections, to be awaited or entered. connect: makes each, where that is not done as above. reset: what is done
    with one that is given back. options: asyncpg's."""

    async def made(*_: Any, **__: Any) -> asyncpg.Connection:
        return await _connect(dsn, role, server_settings=server_settings)

    async def set_again(connection: asyncpg.Connection) -> None:
        await connection.execute(connection.get_reset_query())
        await _set(connection, server_settings)

    return asyncpg.create_pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        connect=connect or made,
        reset=reset or (set_again if server_settings else None),
        **options,
    )


_connect = connect  # by the name that a parameter of `pool` has


async def _set(connection: asyncpg.Connection, settings: Mapping[str, str] | None) -> None:
    if settings:
        quoted = (f"set_config('{name}', '{value.replace(chr(39), chr(39) * 2)}', false)" for name, value in settings.items())
        await connection.execute(f"SELECT {', '.join(quoted)}")


def _by_the_machine(dsn: str) -> ssl.SSLContext | None:
    """libpq's `sslrootcert=system`, which asyncpg would look for as a file: whoever the machine trusts, for this name alone."""
    asked = {name: values[-1] for name, values in parse_qs(urlsplit(dsn).query).items()}
    if asked.get("sslrootcert") != "system":
        return None
    if asked.get("sslmode", "verify-full") != "verify-full":
        raise asyncpg.ClientConfigurationError("sslrootcert=system is for sslmode=verify-full alone")
    context = ssl.create_default_context()
    if "sslcert" in asked:
        context.load_cert_chain(asked["sslcert"], asked.get("sslkey"), password=asked.get("sslpassword", ""))
    return context


async def demand_sessions(dsn: str, role: str = "tools", *, password_file: Path | None = None, timeout: float = 60.0) -> None:
    """A client's session must be its own from its first statement to its end. Two are looked at: a pooler that shares them hands the
    second one what the first has just used, or gives the first another one each time. Raises SharedSession, and what `connect` raises."""
    how: dict[str, Any] = {"password_file": password_file, "timeout": timeout}
    async with _opened(dsn, role, **how) as first, _opened(dsn, role, **how) as second:
        try:
            for _ in range(2):
                own = {await first.fetchrow(SESSION), await first.fetchrow(SESSION)}
                if len(own) > 1 or await second.fetchrow(SESSION) in own:  # before a transaction, which statement mode ends by hanging up
                    raise SharedSession
                async with second.transaction():
                    others = await second.fetchrow(SESSION)
                    if others in own or await first.fetchrow(SESSION) not in own:
                        raise SharedSession
        except (*ANOTHERS, asyncpg.ProtocolViolationError) as error:
            raise SharedSession from error


@asynccontextmanager
async def _opened(dsn: str, role: str, **how: Any) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(dsn, role, **how)
    try:
        yield connection
    finally:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=CLOSE)


def password_in(file: Path) -> Callable[[], str]:
    """What asyncpg asks for each connection. The end of the last line does not count. It raises NoPassword."""

    def read() -> str:
        try:
            password = file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise NoPassword(f"The file of the password, {file}, cannot be read: {why}.") from None
        if not password:
            raise NoPassword(f"The file of the password, {file}, is empty.")
        return password

    return read


def refusal(error: BaseException) -> str | None:
    """Why a server that answers does not let us in: a message about certificates or passwords, None where neither is at fault."""
    match error:
        case SharedSession() | asyncpg.InvalidSQLStatementNameError() | asyncpg.DuplicatePreparedStatementError():
            return SHARED
        case NoPassword():
            return f"is not asked: {error}"
        case ssl.SSLCertVerificationError():
            return f"has a certificate that is not trusted: {error.verify_message.rstrip('.')}. See sslrootcert in the address."
        case ssl.SSLError():
            return f"made no TLS connection: {error.reason or type(error).__name__}. See sslmode in the address."
        case asyncpg.ClientConfigurationError():
            return f"has an address that cannot be used: {error}."
        case asyncpg.InvalidPasswordError():
            return "refuses the user, or the password."
        case asyncpg.InvalidAuthorizationSpecificationError():
            return "refuses the user, or this kind of connection: it may require TLS. See sslmode in the address."
        case FileNotFoundError() | PermissionError():
            return f"has an address that names a file which cannot be read: {error.strerror}."
        case ConnectionError() if "rejected SSL upgrade" in str(error):
            return "offers no TLS, and the address requires it. See sslmode in the address."
        case asyncpg.ProtocolViolationError():
            return f"is reached through a pooler that does not forward what is requested: {error}."
    return None
