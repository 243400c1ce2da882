"""A key's partition is the one that Kafka's own clients choose, whatever the key: else events of one subject lie in two partitions."""

from __future__ import annotations

import pytest

from redress_spine.store.states import partition_of


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
@pytest.mark.parametrize("partitions", [1, 12, 200])
def test_it_is_kafkas_partition(key: str, hashed: int, partitions: int) -> None:
    """The hashes are those of `UtilsTest.testMurmur2` of Kafka's Java client."""
    assert partition_of(key, partitions) == (hashed & 0x7FFFFFFF) % partitions
