"""Rows split into buckets in one pass and kept on disk, so that a whole journal or state is read once, and never held at once."""

from __future__ import annotations

import marshal
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

CHUNK = 200  # rows of one bucket that are written at a time
HELD = 20_000  # rows of all buckets that are in memory at most


class Spool:
    """One unnamed file in the folder for temporary files (TMPDIR), gone with the process. It needs as much room as the rows have bytes.

    A row is a tuple of text, bytes, numbers, truths and None. A bucket's rows come back in the order in which they were put.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="redress-")  # noqa: SIM115 - it lives as long as this does
        self._held: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
        self._count = 0
        self._chunks: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)  # by bucket: where, and how many bytes
        self._end = 0

    def put(self, bucket: int, row: tuple[Any, ...]) -> None:
        held = self._held[bucket]
        held.append(row)
        self._count += 1
        if len(held) >= CHUNK:
            self._write(bucket)
        elif self._count >= HELD:  # many buckets: some thousand partitions
            for each in list(self._held):
                self._write(each)

    def _write(self, bucket: int) -> None:
        rows = self._held.pop(bucket)
        self._count -= len(rows)
        raw = marshal.dumps(rows)
        self._file.seek(self._end)
        self._file.write(raw)
        self._chunks[bucket].append((self._end, len(raw)))
        self._end += len(raw)

    def rows(self, bucket: int) -> Iterator[Any]:
        return unpacked(self.chunks(bucket))

    def chunks(self, bucket: int) -> Iterator[bytes]:
        """A bucket's rows as they are kept, which another process can be given; `unpacked` makes rows of them."""
        if bucket in self._held:
            self._write(bucket)
        for at, size in self._chunks.get(bucket, ()):
            self._file.seek(at)
            yield self._file.read(size)

    def close(self) -> None:
        self._file.close()


def unpacked(chunks: Iterable[bytes]) -> Iterator[Any]:
    """The rows in chunks that a spool has written."""
    for chunk in chunks:
        yield from marshal.loads(chunk)
