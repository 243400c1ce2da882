"""The clock port and fresh ids: the only places where time and chance enter."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from uuid import UUID


def wall_clock() -> datetime:
    """Now, aware UTC."""
    return datetime.now(UTC)


def uuid7(now: datetime) -> UUID:
    """A version 7 UUID (RFC 9562): 48 bits of milliseconds and 74 of chance, so that new rows lie together in the index."""
    value = int(now.timestamp() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def monotonic() -> float:
    return time.monotonic()
