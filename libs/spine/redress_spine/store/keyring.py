"""The master keys that this process has, by number: the current one wraps data keys, and each opens what it wrapped.

What the first one wrapped has no number, as all had none when there was only one. What a later one wrapped says which.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from redress_spine.store.errors import MasterKeyAway

KEY_BYTES = 32  # AES-256
FIRST = 1
NONCE = 12
PLAIN = NONCE + KEY_BYTES + 16  # bytes of what the first master key wrapped
NUMBERED = b"\2"  # what stands before the number, in four bytes, of a later one
# The same in SQL, of the column `wrapped`.
NUMBER = (
    f"CASE WHEN length(wrapped) = {PLAIN + 5} AND get_byte(wrapped, 0) = {NUMBERED[0]} "
    f"THEN ('x' || encode(substr(wrapped, 2, 4), 'hex'))::bit(32)::int ELSE {FIRST} END"
)


def number_of(wrapped: bytes) -> int:
    """Which master key wrapped this, as it says itself."""
    return int.from_bytes(wrapped[1:5], "big") if len(wrapped) == PLAIN + 5 and wrapped[:1] == NUMBERED else FIRST


class Keyring:
    """keys: by number, 32 bytes each. current: which one wraps; the oldest where nobody says. It can be pickled."""

    def __init__(self, keys: Mapping[int, bytes], current: int | None = None) -> None:
        self._secrets: dict[int, bytes] = {}
        self._ciphers: dict[int, AESGCM] = {}
        self._current = current
        self.take(keys)

    @classmethod
    def of(cls, master: Keyring | bytes) -> Keyring:
        """A master key alone is the first one."""
        return master if isinstance(master, Keyring) else cls({FIRST: master})

    def __reduce__(self) -> tuple[type[Self], tuple[dict[int, bytes], int | None]]:
        return type(self), (self._secrets, self._current)

    def take(self, keys: Mapping[int, bytes]) -> None:
        """Have these too. One that is there stays as it is."""
        for number, secret in keys.items():
            if number not in self._secrets:
                self._secrets[number] = secret
                self._ciphers[number] = AESGCM(secret)

    @property
    def numbers(self) -> list[int]:
        return sorted(self._secrets)

    @property
    def oldest(self) -> int:
        return min(self._secrets)

    @property
    def newest(self) -> int:
        return max(self._secrets)

    @property
    def current(self) -> int:
        return self.oldest if self._current is None else self._current

    @current.setter
    def current(self, number: int) -> None:
        self._current = number

    @property
    def wraps(self) -> bool:
        """Whether the current one is here."""
        return self.current in self._secrets

    def secret(self, number: int) -> bytes:
        return self._secrets[number]

    def copied(self, number: int) -> int | None:
        """The number of another one that is the same key: to exchange one for the other exchanges nothing."""
        return next((each for each in self.numbers if each != number and self._secrets[each] == self._secrets[number]), None)

    def only(self, number: int) -> Keyring:
        """As if the others were gone."""
        return Keyring({number: self._secrets[number]}, number)

    def wrap(self, subject: str, key: bytes) -> bytes:
        """By the current master key. Raises MasterKeyAway where that is not here."""
        nonce, number = os.urandom(NONCE), self.current
        if number not in self._ciphers:
            raise MasterKeyAway(f"Master key {number} wraps what is new, and is not here: put its file there (docs/operate.md).")
        wrapped = nonce + self._ciphers[number].encrypt(nonce, key, subject.encode())
        return wrapped if number == FIRST else NUMBERED + number.to_bytes(4, "big") + wrapped

    def unwrap(self, subject: str, wrapped: bytes) -> bytes | None:
        """None where none of ours wrapped it for this subject."""
        number = number_of(wrapped)
        if (cipher := self._ciphers.get(number)) is None:
            return None
        blob = wrapped if number == FIRST else wrapped[5:]
        try:
            key = cipher.decrypt(blob[:NONCE], blob[NONCE:], subject.encode())
        except (InvalidTag, ValueError):
            return None
        return key if len(key) == KEY_BYTES else None

    def lacks(self, wrapped: bytes) -> int | None:
        """The number of the master key that wrapped this, where it is not here."""
        return number if (number := number_of(wrapped)) not in self._secrets else None

    def retired(self, wrapped: bytes) -> bool:
        """Whether the master key that wrapped this is older than all that are here: it was taken away after its time."""
        return number_of(wrapped) < self.oldest
