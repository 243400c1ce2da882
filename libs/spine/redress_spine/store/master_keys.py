"""Where the master keys come from: files, as they are or sealed by a key service, looked at again while the process runs.

The first key is the file that is named. Later ones stand beside it with their number: `master.key`, `master.2.key`. Which one wraps what is
new is said by the row `master_key` of each database, which `redress keys rewrap` writes; so is the oldest one that may still be needed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import structlog

from redress_spine.processing.clock import monotonic
from redress_spine.store.errors import MasterKeyAway, safe_message
from redress_spine.store.keyring import FIRST, KEY_BYTES, Keyring, number_of
from redress_spine.store.states import Connection

log = structlog.get_logger(__name__)

LOOK = 1.0  # seconds between two looks at the files
ASK = 2.0  # seconds between two looks at which key wraps, where there are several
ALONE = 15.0  # the same where there is one: the exchange may be over that this process was not given the new one for
SETTLE = 300.0  # seconds after which a new file is in every service's folder too
ROOT = "root"  # in the place of a subject, where what others are derived from is wrapped
SEALED = b"vault:"  # how a file begins that a key service has sealed
ROW = "SELECT root, current, oldest, unsent FROM public.master_key"
# Index: keys_pkey.
SAMPLE = "SELECT wrapped FROM public.keys WHERE wrapped IS NOT NULL ORDER BY subject DESC LIMIT 1"


class MasterKeyUnusable(Exception):
    """A file of a master key cannot be used; the message says why, and what to do."""


class KeyProvider(Protocol):
    """A key service that seals what the files hold, so that a copy of a file alone is worth nothing. It is asked at the start, and when a
    file is new, and never while a transaction is open."""

    @property
    def key_id(self) -> str:
        """Which of its keys seals, for messages."""

    async def wrap(self, key: bytes) -> bytes:
        """A master key as it may stand in a file. Raises MasterKeyAway."""

    async def unwrap(self, blob: bytes) -> bytes:
        """What `wrap` was given. Raises MasterKeyAway; MasterKeyUnusable where another key sealed it."""

    async def renewed(self, blob: bytes) -> bytes:
        """The same, sealed by the service's newest version of its key. Raises what `unwrap` raises."""

    async def keep(self) -> None:
        """Called each second: to renew what lets us in before it ends. Raises MasterKeyAway."""


def files_of(file: Path) -> dict[int, Path]:
    """By number those that are there: this one, and those beside it."""
    beside = re.compile(rf"{re.escape(file.stem)}\.([1-9][0-9]{{0,8}}){re.escape(file.suffix)}")
    found = {FIRST: file} if file.is_file() else {}
    try:
        named = [(beside.fullmatch(each.name), each) for each in file.parent.iterdir()]
    except OSError:
        return found
    return found | {int(name[1]): each for name, each in named if name is not None and int(name[1]) != FIRST}


def checked(path: Path, blob: bytes, sealed: bool) -> bytes:
    """What a file holds, if it is what it must be. sealed: whether a key service is to open it. Raises MasterKeyUnusable."""
    if blob.startswith(SEALED):
        if not sealed:
            raise MasterKeyUnusable(f"{path} is sealed by Vault, and nothing says which: set REDRESS_VAULT_URL.")
        return blob.strip()
    if len(blob) != KEY_BYTES:
        raise MasterKeyUnusable(f"{path} must hold {KEY_BYTES} bytes and nothing else, it has {len(blob)}.")
    if sealed:
        raise MasterKeyUnusable(f"{path} is in clear, and REDRESS_VAULT_URL is set. Seal it: redress keys seal")
    return blob


class MasterKeys:
    """One process's. file: of the first key; None where they are given. flaw: what is wrong with them now, in a message."""

    def __init__(self, file: Path | None, provider: KeyProvider | None = None, keys: Mapping[int, bytes] | None = None) -> None:
        self._file = file
        self._provider = provider
        self._seen: dict[int, bytes] = {}
        self._asked = 0.0
        self.ring = Keyring(keys or {})
        self.flaw = ""

    @classmethod
    def of(cls, master: MasterKeys | bytes) -> MasterKeys:
        return master if isinstance(master, MasterKeys) else cls(None, keys={FIRST: master})

    def check(self) -> None:
        """Without asking anybody. Raises MasterKeyUnusable."""
        if self._file is None:
            return
        files = files_of(self._file) or {FIRST: self._file}
        for path in files.values():
            checked(path, _read(path), self._provider is not None)

    async def load(self) -> None:
        """Read files that are new or changed. Raises MasterKeyAway, MasterKeyUnusable."""
        if self._file is None:
            return
        for number, path in sorted((files_of(self._file) or {FIRST: self._file}).items()):
            blob = _read(path)
            if self._seen.get(number) == blob:
                continue
            key = checked(path, blob, self._provider is not None)
            if self._provider is not None:
                key = await self._provider.unwrap(key)
                if len(key) != KEY_BYTES:
                    raise MasterKeyUnusable(f"What {path} is opened to has {len(key)} bytes, and a master key has {KEY_BYTES}.")
            if number in self.ring.numbers and self.ring.secret(number) != key:
                raise MasterKeyUnusable(
                    f"{path} was changed, and is another key now; the one before is used until the next start. "
                    "Put it back, and give a new key a number of its own: redress keys new"
                )
            self.ring.take({number: key})
            self._seen[number] = blob

    async def root(self, connection: Connection) -> bytes:
        """Load them and see which one wraps here. → what digests and MACs are derived from. Raises MasterKeyAway, also where one that may
        still be needed is not here."""
        try:
            await self.load()
        except MasterKeyUnusable as error:
            raise MasterKeyAway(str(error)) from None
        return await root_of(connection, self.ring)

    async def run(self, source: str, lend: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        """For ever: look whether there are new files, and which key wraps what is new."""
        while True:
            await asyncio.sleep(LOOK)
            flaw = ""
            try:
                await self._look(lend)
            except asyncio.CancelledError:
                raise
            except (MasterKeyAway, MasterKeyUnusable) as error:
                flaw = str(error)
            except Exception as error:
                log.debug("master-key-not-asked", service=source, error=safe_message(error))
            if flaw and flaw != self.flaw:
                log.error("master-key-unusable", service=source, detail=flaw)
            self.flaw = flaw

    async def _look(self, lend: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        before = self.ring.numbers
        await self.load()
        if self.ring.numbers != before:
            log.info("master-key-there", numbers=self.ring.numbers)
        if self._provider is not None:
            await self._provider.keep()
        if monotonic() - self._asked >= (ASK if len(self.ring.numbers) > 1 or self.flaw else ALONE):
            self._asked = monotonic()
            async with lend() as connection:
                await root_of(connection, self.ring)


async def root_of(connection: Connection, ring: Keyring) -> bytes:
    """What digests and the audit trail's MACs are derived from: the first master key that a service had. Sets which key of the ring wraps.
    Raises MasterKeyAway, and lets nothing be wrapped any more by a key whose exchange is over: others may have forgotten it."""
    row = await connection.fetchrow(ROW)
    if row is None:
        ring.current = ring.oldest
        sample = await connection.fetchval(SAMPLE)
        if sample is not None and (number := ring.lacks(sample)) is not None:
            raise MasterKeyAway(_needed(number))
        return ring.secret(ring.oldest)
    for number in (row["oldest"], row["current"], number_of(row["root"])):
        if number not in ring.numbers:
            if ring.current < row["oldest"]:
                ring.current = row["current"]
            raise MasterKeyAway(_needed(number))
    ring.current = row["current"]
    if (root := ring.unwrap(ROOT, row["root"])) is None:  # it was lost, and another one has its place (docs/restore.md)
        log.error("master-key-is-another", detail=f"Master key {number_of(row['root'])} is another one than the database was used with.")
        return ring.secret(ring.current)
    return root


def _needed(number: int) -> str:
    return (
        f"Master key {number} is not here, and keys in this database may still be wrapped by it. Put its file back (docs/operate.md, the "
        "master key), and let `redress keys rewrap` come to its end before it is taken away."
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MasterKeyUnusable(f"{path} cannot be read: {error.strerror}.") from None
