"""The one place where connections to PostgreSQL are made.

TLS is said in the address, as PostgreSQL's own programs have it: `?sslmode=verify-full&sslrootcert=/etc/redress/postgres-ca.pem`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import asyncpg

CHECKED = ("require", "verify-ca", "verify-full")  # modes that never go on without TLS
TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey")


async def connect(
    dsn: str,
    role: str = "tools",
    *,
    server_settings: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    command_timeout: float | None = None,
) -> asyncpg.Connection:
    """One connection, known to the server as `redress-<role>`. timeout, command_timeout: seconds for the connection and for a statement.
    Raises what asyncpg raises."""
    return await asyncpg.connect(dsn, timeout=timeout, command_timeout=command_timeout, server_settings=_named(role, server_settings))


def pool(
    dsn: str, role: str = "tools", *, min_size: int, max_size: int, server_settings: Mapping[str, str] | None = None, **options: Any
) -> asyncpg.Pool:
    """A pool of so many connections, to be awaited or entered. options: asyncpg's."""
    return asyncpg.create_pool(dsn, min_size=min_size, max_size=max_size, server_settings=_named(role, server_settings), **options)


def _named(role: str, settings: Mapping[str, str] | None) -> dict[str, str]:
    return {"application_name": f"redress-{role}", **(settings or {})}


def for_dbmate(dsn: str, search_path: str) -> str:
    """The same address for dbmate, whose driver knows TLS as required or not at all."""
    parts = urlsplit(dsn)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items() if name in TLS}
    if asked.get("sslmode") not in CHECKED:
        asked = {"sslmode": "disable"}
    return urlunsplit(parts._replace(query=urlencode({**asked, "search_path": search_path}), fragment=""))


def refusal(error: BaseException) -> str | None:
    """Why a server that answers does not let us in: a message about certificates or passwords, None where neither is at fault."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"has a certificate that is not trusted: {error.verify_message.rstrip('.')}. See sslrootcert in the address."
        case ssl.SSLError():
            return f"made no TLS connection: {error.reason or type(error).__name__}. See sslmode in the address."
        case asyncpg.ClientConfigurationError():
            return f"has an address that cannot be used: {error}."
        case asyncpg.InvalidPasswordError():
            return "refuses the user, or the password."
        case asyncpg.InvalidAuthorizationSpecificationError():
            return "refuses the user, or a connection like this one: it may ask for TLS. See sslmode in the address."
        case FileNotFoundError() | PermissionError():
            return f"has an address that names a file which cannot be read: {error.strerror}."
        case ConnectionError() if "rejected SSL upgrade" in str(error):
            return "offers no TLS, and the address asks for it. See sslmode in the address."
    return None
