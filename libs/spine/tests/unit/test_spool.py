"""What was put into a bucket comes back, in order, whether it was written to disk or is still in memory."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from redress_spine.messaging import spool
from redress_spine.messaging.spool import Spool, unpacked

rows = st.tuples(st.integers(0, 6), st.tuples(st.text(max_size=9), st.binary(max_size=9), st.integers(), st.booleans(), st.none()))


@settings(deadline=None)
@given(st.lists(rows, max_size=60), st.integers(1, 9), st.integers(1, 30))
def test_each_bucket_has_its_rows_in_order(put: list[tuple[int, tuple[object, ...]]], chunk: int, held: int) -> None:
    before = spool.CHUNK, spool.HELD
    spool.CHUNK, spool.HELD = chunk, held
    split = Spool()
    try:
        for bucket, row in put:
            split.put(bucket, row)
            assert split._count <= held
        for bucket in range(7):
            assert list(split.rows(bucket)) == [row for each, row in put if each == bucket]
            assert list(unpacked(list(split.chunks(bucket)))) == [row for each, row in put if each == bucket]
    finally:
        split.close()
        spool.CHUNK, spool.HELD = before
