"""What makes a position in the log more than a number: the topic's id, and the record that was read last.

An offset means something in one log alone. A topic that was deleted and made again, a log that lost its end and grew again, or whose start
was deleted, has other records at the same offsets, and who reads on at a number passes over events in silence. So a position is compared
with the log when a partition is taken up and when somebody else may lead it, and a partition whose log is another is refused, alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from redress_spine.messaging.records import Record

RESTORE = "restore the log by `redress restore-log`, then `redress rebuild {service}` (docs/restore.md)"


class Anchor(NamedTuple):
    """A record that was read."""

    offset: int
    hash: bytes


@dataclass(slots=True)
class Position:
    """next: the offset to be read. epoch: moved by whoever else changes `observed`. last: the last real record below `next`, where
    known."""

    next: int
    epoch: int
    topic_id: str | None = None
    last: Anchor | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a partition is not read. reason: cluster, missing, recreated, shorter, truncated or another-record."""

    place: TopicPartition
    reason: str
    expected: str
    found: str
    cure: str

    @property
    def message(self) -> str:
        return (
            f"Partition {self.place.partition} of {self.place.topic} is not read ({self.reason}): "
            f"{self.expected} was expected, {self.found} found. Cure: {self.cure}."
        )


@dataclass(frozen=True, slots=True)
class PartitionLog:
    """One partition as Kafka has it now. whole: nothing is ever deleted from it, which holds for all topics but that of the keys."""

    cluster: str
    topic_id: str | None
    leader_epoch: int
    start: int
    end: int
    whole: bool


def refused(place: TopicPartition, position: Position, cluster: str, log: PartitionLog, service: str) -> Refusal | None:
    """What says, before any record was read, that this position does not belong to this log. cluster: the one it was kept with."""
    restore = RESTORE.format(service=service)
    if cluster != log.cluster:
        cure = f"let REDRESS_KAFKA name the other cluster again, or {restore}"
        return Refusal(place, "cluster", f"Kafka cluster {cluster}", log.cluster, cure)
    if log.topic_id is None:
        return Refusal(place, "missing", "a topic of this name", "none", restore)
    if position.next > 0 and position.topic_id not in (None, log.topic_id):
        return Refusal(place, "recreated", f"the topic with id {position.topic_id}", f"one with id {log.topic_id}", restore)
    if log.end < position.next:
        return Refusal(place, "shorter", f"a log up to offset {position.next} at least", f"one that ends at {log.end}", restore)
    if log.whole and log.start > position.next:
        return Refusal(place, "truncated", f"the record at offset {position.next}", f"a log that begins at {log.start}", restore)
    return None


class Proof:
    """Reads again what was read, to see whether it is the same log. at: the offset to be read next; None once all of it was seen."""

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        self._left = list(reversed(anchors))
        self.failed: Anchor | None = None  # the one that is not there
        self.at: int | None = anchors[0].offset if anchors else None

    def take(self, place: TopicPartition, records: Sequence[Record], service: str) -> Refusal | None:
        """Compare the anchors with what stands there now. Records must come without a gap that is not on the log."""
        for record in records:
            while self._left and record.offset >= self._left[-1].offset:
                anchor = self._left.pop()
                same = record.offset == anchor.offset and not record.mark and record.hash == anchor.hash
                if not same:
                    self.failed = anchor
                    there = "none" if record.mark or record.offset > anchor.offset else _named(record.hash)
                    expected = f"the record {_named(anchor.hash)} at offset {anchor.offset}"
                    return Refusal(place, "another-record", expected, there, RESTORE.format(service=service))
            if self._left:
                self.at = record.offset + 1
        if not self._left:
            self.at = None
        return None


def _named(hash: bytes) -> str:
    return hash.hex()[:12]


def position_of(row: Any) -> Position:
    """From a row of consumer_offsets."""
    last = None if row["last_offset"] is None else Anchor(row["last_offset"], row["last_hash"])
    return Position(row["next"], row["epoch"], row["topic_id"], last)
