"""A key's partition is the one that Kafka's own clients choose, whatever the key: else events of one subject lie in two partitions."""

from __future__ import annotations

import uuid

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from redress_spine.store.states import partition_of


@given(st.text(max_size=60), st.integers(1, 200))
def test_it_is_kafkas_partition(key: str, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


@given(st.uuids())
def test_of_a_complaint_too(identity: uuid.UUID) -> None:
    assert partition_of(f"complaint/{identity}", 12) == (murmur2(f"complaint/{identity}".encode()) & 0x7FFFFFFF) % 12
