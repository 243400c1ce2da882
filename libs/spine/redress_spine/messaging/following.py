"""Which partitions are this replica's, where it reads on in each, and which it refuses because their log is not the one it has read.

A position is compared with the log when it is taken up, and again when somebody else may lead the partition since: another leader epoch,
or brokers that did not answer for a while. What was read since the last look is then read once more and compared record by record, for
between a new leader and our noticing it we may have read on at a number that means something else there. A rebalance counts as well, and
a gap in the process's own ticks: who was asleep saw neither, and a broker put back meanwhile may lead under the same epoch again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import asyncpg
import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition

from redress_spine.messaging.kafka_clients import Consumer
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.positions import Anchor, PartitionLog, Position, Proof, Refusal, position_of, refused
from redress_spine.messaging.records import Record
from redress_spine.messaging.topics import Topics
from redress_spine.processing.clock import monotonic
from redress_spine.store.vault import ANEW

log = structlog.get_logger(__name__)

LOOK = 0.9  # seconds between two looks at ids and leader epochs: shorter than any broker is away
TICK = 0.5  # seconds
ASLEEP = 2.0  # seconds without a tick after which nobody knows what was meanwhile: less than any broker needs to start again
AGAIN = 5.0  # seconds until a refused partition is compared again: somebody may have restored its log
WINDOW = 1_000  # batches' ends that are kept between two looks
OFFSETS = """
INSERT INTO consumer_offsets (topic, partition, kafka_cluster)
SELECT p.topic, p.partition, $3 FROM unnest($1::text[], $2::int[]) p (topic, partition)
ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""
POSITIONS = """
SELECT o.topic, o.partition, o.next, o.epoch, o.kafka_cluster, o.topic_id, o.last_offset, o.last_hash FROM consumer_offsets o
JOIN unnest($1::text[], $2::int[]) p (topic, partition) USING (topic, partition)
"""
# What is not on the log any more, and was read later than what is kept: so that a restart does not take the new log for the one it read.
REMEMBER = """
UPDATE consumer_offsets SET last_offset = $4, last_hash = $5 WHERE topic = $1 AND partition = $2 AND next = $3
"""


class TopicMadeAgain(Exception):
    """The client would go on for half a minute with what it knows of the topic that was deleted."""


class Following(ConsumerRebalanceListener):  # type: ignore[misc]
    """positions: partitions that are read. refused: those that are not, and why."""

    def __init__(self, source: str, topics: Topics, log_end: LogEnd) -> None:
        self._source = source
        self._topics = topics
        self._log_end = log_end
        self.positions: dict[TopicPartition, Position] = {}
        self.refused: dict[TopicPartition, Refusal] = {}
        self._proving: dict[TopicPartition, tuple[Position, Proof]] = {}
        self._not_before: dict[TopicPartition, float] = {}  # when to try again what was refused or has no leader
        self._ids: dict[str, str] = {}  # of topics, as they were seen last
        self._epochs: dict[TopicPartition, int] = {}  # of the leaders under which positions were compared
        self._windows: dict[TopicPartition, list[Anchor]] = {}  # what was read since the last look
        self._last_message: dict[TopicPartition, str] = {}
        self._paused = False  # whether the client may have paused partitions
        self.joining = False  # the client joins its group again: what is held is let go when it is taken up next
        self._looked = monotonic()
        self._ticked = monotonic()
        self._asleep = False  # between two ticks

    @property
    def offsets(self) -> dict[TopicPartition, int]:
        """What comes next in each partition: the next record, or one that is to be compared."""
        return {place: position.next for place, position in self.positions.items()} | {
            place: proof.at for place, (_, proof) in self._proving.items() if proof.at is not None
        }

    def clear(self) -> None:
        """Nothing is held any more. What was read is still known, and compared when it is taken up again."""
        for each in (self.positions, self.refused, self._proving, self._not_before):
            each.clear()

    def let_go(self, places: Iterable[TopicPartition]) -> None:
        """They are taken up again, and compared."""
        for place in places:
            self.positions.pop(place, None)
            self._proving.pop(place, None)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Whoever had to join again was away for a while, and asleep perhaps: all is compared again. It is only noted, for this runs in a
        task of the client's, at any moment of a batch."""
        self.joining = True

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """What is assigned is seen when it is taken up."""

    async def tick(self) -> None:
        """For ever. Whoever waits for a slow database goes on ticking; a process that is stopped does not."""
        while True:
            self._asleep |= monotonic() - self._ticked > ASLEEP
            self._ticked = monotonic()
            await asyncio.sleep(TICK)

    def slept(self) -> bool:
        """Whether this process had no turn for a while. Then all is let go: what was polled since is not to be read."""
        if not self._asleep and monotonic() - self._ticked < ASLEEP:
            return False
        self._asleep, self._ticked = False, monotonic()
        self._epochs.clear()
        self.let_go([*self.positions, *self._proving])
        return True

    async def look(self, consumer: Consumer) -> None:
        """Each second: is it still the topic, and the leader, that positions were compared with? Raises TopicMadeAgain, also where the
        client joined its group while the new topic had no partition yet, or was not there: nobody was assigned any."""
        if monotonic() - self._looked < LOOK:
            return
        self.slept()
        try:
            seen = await self._log_end.topics([self._topics.lifecycle, self._topics.keys])
        except ConnectionError:
            self._epochs.clear()  # whoever answers next may be somebody else
            return
        finally:
            self._looked = monotonic()
        for name, found in seen.topics.items():
            if self._ids.get(name, found.id) != found.id or (found.epochs and not consumer.partitions_for_topic(name)):
                self._ids[name] = found.id
                raise TopicMadeAgain
            self._ids[name] = found.id
        doubtful = []
        for place, position in self.positions.items():
            topic = seen.topics.get(place.topic)
            epoch = topic.epochs.get(place.partition) if topic is not None else None
            if topic is not None and topic.id == position.topic_id and epoch is not None and epoch == self._epochs.get(place):
                if window := self._windows.get(place):
                    del window[:-1]
            elif topic is None or topic.id != position.topic_id or epoch is not None:
                doubtful.append(place)  # without a leader there is nobody to compare with, and nothing to read
        self.let_go(doubtful)

    async def take_up(self, consumer: Consumer, connection: asyncpg.Connection, cluster: str) -> list[TopicPartition]:
        """Compare newly assigned partitions with the log, and let go of those taken away. Returns what is new. Raises ConnectionError."""
        if self.joining:
            self.joining = False
            self.let_go([*self.positions, *self._proving])
        assigned = consumer.assignment()
        held = self.positions.keys() | self._proving.keys() | self.refused.keys()
        for gone in held - assigned:
            self.let_go([gone])
            for each in (self.refused, self._not_before, self._windows, self._last_message):
                each.pop(gone, None)
        now = monotonic()
        new = sorted(place for place in assigned - self.positions.keys() - self._proving.keys() if self._not_before.get(place, now) <= now)
        if new:
            rows = await self._rows(connection, new, cluster)
            for place, log_now in (await self._logs(new)).items():
                row = rows[place]
                if place.topic == self._topics.keys and self._is_lost(place, row, log_now):
                    await connection.execute(ANEW, place.topic)
                    row = (await self._rows(connection, [place], cluster))[place]
                if place in consumer.assignment():
                    self._judge(place, position_of(row), row["kafka_cluster"], log_now)
        self._hold(consumer)
        return new

    def _is_lost(self, place: TopicPartition, row: asyncpg.Record, log_now: PartitionLog) -> bool:
        """The topic of keys alone may be read from its beginning at any time: it says nothing that a later record takes back."""
        refusal = refused(place, position_of(row), row["kafka_cluster"], log_now, self._source)
        if refusal is None or refusal.reason not in ("recreated", "shorter"):
            return False
        log.error("keys-topic-lost", service=self._source, topic=place.topic, detail=refusal.message)
        return True

    async def _rows(
        self, connection: asyncpg.Connection, places: Sequence[TopicPartition], cluster: str
    ) -> dict[TopicPartition, asyncpg.Record]:
        named = [place.topic for place in places], [place.partition for place in places]
        await connection.execute(OFFSETS, *named, cluster)
        return {TopicPartition(row["topic"], row["partition"]): row for row in await connection.fetch(POSITIONS, *named)}

    async def _logs(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, PartitionLog]:
        """These partitions as they are now. Asked after the offsets were read: an end before one of them is no race."""
        seen = await self._log_end.topics(sorted({place.topic for place in places}))
        led = [place for place in places if (topic := seen.topics.get(place.topic)) and place.partition in topic.epochs]
        starts, ends = await self._log_end.starts(led), await self._log_end.ask(led)
        logs = {}
        for place in places:
            topic, whole = seen.topics.get(place.topic), place.topic != self._topics.keys
            if topic is None:
                logs[place] = PartitionLog(seen.cluster, None, -1, 0, 0, whole)
            elif place in ends:
                logs[place] = PartitionLog(seen.cluster, topic.id, topic.epochs[place.partition], starts[place], ends[place], whole)
            else:
                self._not_before[place] = monotonic() + LOOK  # it has no leader now
        return logs

    def _judge(self, place: TopicPartition, position: Position, cluster: str, log_now: PartitionLog) -> None:
        if refusal := refused(place, position, cluster, log_now, self._source):
            self._refuse(refusal)
            return
        position.topic_id = log_now.topic_id
        self._epochs[place] = log_now.leader_epoch
        known = self._windows.get(place, [])
        if position.last not in known:  # another replica has read on, or a rebuild began again
            known = self._windows[place] = [position.last] if position.last else []
        anchors = [anchor for anchor in known if log_now.whole and anchor.offset >= log_now.start]
        if anchors:
            self._proving[place] = (position, Proof(anchors))
        else:
            self._accept(place, position)

    def _accept(self, place: TopicPartition, position: Position) -> None:
        self.positions[place] = position
        self.refused.pop(place, None)
        self._not_before.pop(place, None)
        if self._last_message.pop(place, None):
            log.warning("partition-read-again", service=self._source, topic=place.topic, partition=place.partition)

    def _refuse(self, refusal: Refusal) -> None:
        place = refusal.place
        self.let_go([place])
        self.refused[place] = refusal
        self._not_before[place] = monotonic() + AGAIN
        if self._last_message.get(place) != refusal.message:  # once, however often it is compared
            self._last_message[place] = refusal.message
            log.error("partition-refused", service=self._source, reason=refusal.reason, detail=refusal.message)

    def _hold(self, consumer: Consumer) -> None:
        """The client does not fetch what is refused; after a rebalance it has forgotten that."""
        if not self.refused and not self._paused:
            return
        paused = consumer.paused()
        for place in self.refused.keys() - self._proving.keys() - paused:
            if place in consumer.assignment():
                consumer.seek(place, 0)
                consumer.pause(place)
        for place in paused & (self.positions.keys() | self._proving.keys()):
            consumer.resume(place)
        self._paused = bool(self.refused)

    async def expected(self, connection: asyncpg.Connection, place: TopicPartition, records: Sequence[Record]) -> list[Record]:
        """Records that are to be folded: none while it is compared what was read before, and none below the position."""
        if place in self._proving:
            position, proof = self._proving[place]
            if refusal := proof.take(place, records, self._source):
                self._refuse(refusal)
                if proof.failed and proof.failed != position.last:
                    await connection.execute(REMEMBER, place.topic, place.partition, position.next, *proof.failed)
            elif proof.at is None:
                del self._proving[place]
                self._accept(place, position)
            return []
        position_held = self.positions.get(place)
        return [record for record in records if record.offset >= position_held.next] if position_held else []

    def moved(self, places: Iterable[TopicPartition]) -> None:
        """They were read on: what was read last is what the next look compares, should somebody else lead by then."""
        for place in places:
            position = self.positions.get(place)
            if position is not None and position.last is not None and place.topic != self._topics.keys:
                window = self._windows.setdefault(place, [])
                if not window or window[-1].offset < position.last.offset:
                    window.append(position.last)
                if len(window) > WINDOW:
                    del window[1:-1:2]  # the oldest and the newest stay
