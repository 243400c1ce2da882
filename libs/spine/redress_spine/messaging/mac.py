"""Who wrote a record: a MAC of all that it says, by a key of its source. Whoever merely reaches the broker writes nothing that counts.

A key is a file `<source>.<number>.key` in one folder; the header `mac` names the key that it was made with. Each source signs with its
newest key, once that has been in the folder for a while: by then every reader has it too. Older ones stay there, for the log stays.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import structlog

log = structlog.get_logger(__name__)

MAC = "mac"  # the header: `<source>.<number>.<base64url>`
KEY_FILE = re.compile(r"([a-z][a-z0-9-]*)\.([1-9][0-9]{0,8})\.key")
KEY_BYTES = 32
MAC_BYTES = 18  # of HMAC-SHA256's 32: 24 characters, and nobody guesses 144 bits
SETTLE = 300.0  # seconds after which a new key is in every reader's folder too
LOOK = 1.0  # seconds between two looks at the folder
LOOK_AGAIN = 0.1  # the same where a key is named that is not known (yet)
UNSIGNED, WRONG_MAC, UNKNOWN_KEY = "unsigned", "wrong-mac", "unknown-mac-key"


class MacKeysUnusable(Exception):
    """The folder of keys, or one in it, cannot be used; the message says why, and what to do."""


class NotProved(Exception):
    """Nothing proves who wrote this. reason: as dead letters have it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class _Key:
    source: str
    number: int
    secret: bytes = field(repr=False)
    since: float  # when its file was written first, as far as is known here, by the wall clock


class MacKeys:
    """All sources' keys. Those of a folder are looked at again when its files change. It can be pickled."""

    def __init__(self, keys: Mapping[str, bytes], folder: Path | None = None, settle: float = SETTLE) -> None:
        """keys: by `<source>.<number>`."""
        self._folder = folder
        self._settle = settle
        self._looked = time.monotonic()
        self._seen: object = None
        self._keys: dict[bytes, _Key] = {}
        self.flaw = ""  # what is wrong with the folder now; the keys that were read before stay
        self._take({f"{name}.key": (secret, 0.0) for name, secret in keys.items()})

    @classmethod
    def read(cls, folder: Path, settle: float = SETTLE) -> Self:
        """settle: seconds, see SETTLE. Raises MacKeysUnusable."""
        keys = cls({}, folder, settle)
        keys._read(folder)
        return keys

    def look(self) -> str:
        """Look at the folder, where it is time to. → what is wrong with it, empty where nothing is."""
        self._look(LOOK)
        return self.flaw

    def check(self, source: str) -> None:
        """Raises MacKeysUnusable where this source could sign nothing."""
        self._look(LOOK)
        self._own(source)

    def sign(self, source: str, topic: str, key: bytes, value: bytes | None, prevhash: bytes | None, digest: bytes) -> tuple[str, bytes]:
        """The header of a record. digest: `chain(prevhash, value)`, where what is missing is empty. Raises MacKeysUnusable."""
        self._look(LOOK)
        own, name = self._own(source)
        return MAC, name + b"." + _mac(own.secret, _record(name, topic, key, value, prevhash, digest))

    def source_of(
        self, mac: bytes | None, topic: str, key: bytes | None, value: bytes | None, prevhash: bytes | None, digest: bytes
    ) -> str:
        """Who signed a record. Raises NotProved."""
        self._look(LOOK)
        if mac is None:
            raise NotProved(UNSIGNED, "It has no header `mac`: nothing proves who wrote it.")
        name, _, given = mac.rpartition(b".")
        signer = self._known(name)
        if not hmac.compare_digest(given, _mac(signer.secret, _record(name, topic, key or b"", value, prevhash, digest))):
            raise NotProved(WRONG_MAC, f"Its MAC was not made by the key {name.decode()} of this content in this place.")
        return signer.source

    def prove_destroyed(self, source: str, subject: str) -> bytes:
        """What a tombstone must carry to destroy the key of this subject. It holds forever, whoever sends it. Raises MacKeysUnusable."""
        self._look(LOOK)
        own, name = self._own(source)
        return name + b"." + _mac(own.secret, _tombstone(name, subject))

    def proves_destroyed(self, source: str, subject: str, proof: bytes | None) -> bool:
        """Whether this source said that the key of the subject is destroyed."""
        name, _, given = (proof or b"").rpartition(b".")
        try:
            signer = self._known(name)
        except NotProved:
            return False
        return signer.source == source and hmac.compare_digest(given, _mac(signer.secret, _tombstone(name, subject)))

    def _own(self, source: str) -> tuple[_Key, bytes]:
        if (own := self._signing.get(source)) is None:
            where = f"{self._folder} has no key of {source}" if self._folder else f"There is no key of {source}"
            raise MacKeysUnusable(
                f"{where}, so its records could not prove their source. Write {KEY_BYTES} random bytes to {source}.1.key there."
            )
        return own

    def _known(self, name: bytes) -> _Key:
        if (found := self._keys.get(name)) is None:
            self._look(LOOK_AGAIN)
            found = self._keys.get(name)
        if found is None:
            shown = repr(name[:80])[2:-1]
            raise NotProved(
                UNKNOWN_KEY, f"The key that it names is not in the folder of keys: {shown}. If it is yours, put it there, and redrive."
            )
        return found

    def _look(self, every: float) -> None:
        """What is wrong with the folder now is said once; until it is right again, the keys that were read stay."""
        if self._folder is None or (now := time.monotonic()) - self._looked < every:
            return
        self._looked = now
        try:
            self._read(self._folder)
            self.flaw = ""
        except MacKeysUnusable as error:
            if str(error) != self.flaw:
                log.error("mac-keys-unusable", detail=str(error))
            self.flaw = str(error)

    def _read(self, folder: Path) -> None:
        """Raises MacKeysUnusable."""
        try:
            with os.scandir(folder) as entries:
                files = {each.name: each.stat() for each in entries if each.name.endswith(".key")}
            seen = {name: (each.st_mtime_ns, each.st_size, each.st_ino) for name, each in files.items()}
            if seen == self._seen:
                self._choose()
                return
            found = {name: ((folder / name).read_bytes(), each.st_mtime) for name, each in files.items()}
        except OSError as error:
            raise MacKeysUnusable(f"The folder of MAC keys {folder} cannot be read: {error.strerror}.") from None
        for name, (secret, _) in found.items():
            if KEY_FILE.fullmatch(name) is None:
                raise MacKeysUnusable(f"{folder / name} is no <source>.<number>.key: name it for the service that signs with it.")
            if len(secret) != KEY_BYTES:
                raise MacKeysUnusable(f"{folder / name} must hold {KEY_BYTES} bytes and nothing else, it has {len(secret)}.")
        self._take(found)
        self._seen = seen

    def _take(self, files: Mapping[str, tuple[bytes, float]]) -> None:
        """A key that was there before does not wait again, though its file was written again: Kubernetes writes all files of a secret again
        where one is added."""
        before, self._keys = self._keys, {}
        for name, (secret, since) in files.items():
            if (parts := KEY_FILE.fullmatch(name)) is None:
                raise MacKeysUnusable(f"{name} is no <source>.<number>.key.")
            known = before.get(label := name.removesuffix(".key").encode())
            since = min(since, known.since) if known is not None and known.secret == secret else since
            self._keys[label] = _Key(parts[1], int(parts[2]), secret, since)
        self._choose()

    def _choose(self) -> None:
        """Each source's newest key that has settled; where none has, its oldest, which readers got first."""
        settled = time.time() - self._settle
        self._signing: dict[str, tuple[_Key, bytes]] = {}
        for name, key in sorted(self._keys.items(), key=lambda each: each[1].number):
            if key.source not in self._signing or key.since <= settled:
                self._signing[key.source] = key, name


NO_KEYS = MacKeys({})  # with which nothing is signed, and nothing is proved


def make_keys(folder: Path, sources: Iterable[str]) -> None:
    """A first key for each source that has none yet."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for source in sources:
        if not any(folder.glob(f"{source}.*.key")):
            new = os.open(folder / f"{source}.1.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(new, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))


def _record(name: bytes, topic: str, key: bytes, value: bytes | None, prevhash: bytes | None, digest: bytes) -> bytes:
    """What is signed of a record. Lengths stand before what could hold anything, so that no two records are written alike; the digest
    stands for the value."""
    lengths = len(key), -1 if prevhash is None else len(prevhash), -1 if value is None else len(value)
    return b"record\0%b\0%b\0%d %d %d\0%b%b" % (name, topic.encode(), *lengths, key, digest)


def _tombstone(name: bytes, subject: str) -> bytes:
    return b"tombstone\0%b\0%b" % (name, subject.encode())


def _mac(secret: bytes, message: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(secret, message, "sha256")[:MAC_BYTES])
