"""The certificates by which clients of Kafka make connections: those of the files, as they are when a connection is made."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Self

import structlog

log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


def tls(ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None) -> ssl.SSLContext:
    """Certificates that a client trusts, and its own; names are always checked. Raises OSError (ssl.SSLError) where a file cannot be read,
    is no PEM, or where key and certificate do not belong together. A key with a passphrase is refused: nobody could type it."""
    context = ssl.create_default_context(cafile=ca_file)
    if cert_file:
        context.load_cert_chain(cert_file, key_file, password="")
    return context


class RenewedContext(ssl.SSLContext):
    """A client's context that looks at its files before each connection, and reads them again where they are others. A client of aiokafka
    keeps the context that it was given for its life, and certificates are renewed more often than services are started.

    While a file cannot be read, or a new certificate stands beside the old key, the last ones that could be read are used."""

    _current: ssl.SSLContext
    _files: tuple[Path | None, Path | None, Path | None]
    _stamp: Stamp

    @classmethod
    def of(cls, ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> Self:
        """Raises OSError (ssl.SSLError), as `tls`."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context._files = (ca_file, cert_file, key_file)
        context._stamp = context._look()
        context._current = tls(*context._files)
        return context

    def wrap_bio(self, *what: Any, **how: Any) -> ssl.SSLObject:
        """What asyncio, and uvloop, ask of a context for each connection."""
        self._renew()
        return self._current.wrap_bio(*what, **how)

    def _renew(self) -> None:
        try:
            if (stamp := self._look()) == self._stamp:
                return
            self._current, self._stamp = tls(*self._files), stamp
        except OSError as error:
            why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            log.warning("kafka-certificates-not-read", error=why, detail="The last ones that could be read are used.")
        else:
            log.info("kafka-certificates-renewed")

    def _look(self) -> Stamp:
        """A file that is exchanged for another is another inode; one that is written over has another time or size."""
        seen = (file.stat() for file in self._files if file is not None)
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in seen)
