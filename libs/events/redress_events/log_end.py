"""Where the log ends, asked by a client of its own, and since when Kafka has answered without a break.

`end_offsets` on the projector's consumer would queue behind its long poll (366 ms against 2 ms). Timed work waits for what is asked here:
a deadline is judged only once everything that was on the log half a second after it has been read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from redress_events.clock import monotonic
from redress_events.relay import close

log = structlog.get_logger(__name__)

ASK_TIMEOUT = 2.0  # seconds
MARGIN = timedelta(milliseconds=500)  # between the instant of a deadline and the asking for the log's end


class LogEnd:
    """One client for asking. `reachable_for` is how long Kafka has answered, in seconds; 0 while it does not."""

    def __init__(self, source: str, bootstrap: str) -> None:
        self._source = source
        self._bootstrap = bootstrap
        self._consumer: AIOKafkaConsumer | None = None
        self._lock = asyncio.Lock()
        self._cluster: str | None = None
        self._reachable_since: float | None = None
        self.ends: Mapping[TopicPartition, int] = {}

    @property
    def reachable_for(self) -> float:
        return 0.0 if self._reachable_since is None else monotonic() - self._reachable_since

    def lost(self) -> None:
        """Some client saw Kafka out of reach: the settling time begins anew, and what answers next may be another cluster."""
        self._reachable_since = None
        self._cluster = None

    async def ask(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offsets after the last records, as of now. Raises ConnectionError where Kafka does not answer in time."""
        if not partitions:
            return {}
        try:
            async with self._lock, asyncio.timeout(ASK_TIMEOUT):
                if self._consumer is None:
                    consumer = AIOKafkaConsumer(
                        bootstrap_servers=self._bootstrap,
                        client_id=f"redress-{self._source}-ends",
                        request_timeout_ms=1_500,
                        metadata_max_age_ms=30_000,
                    )
                    try:
                        await consumer.start()
                    except BaseException:
                        await close(consumer)
                        raise
                    self._consumer = consumer
                ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(list(partitions))
        except Exception as error:
            self.lost()
            await self.stop()
            raise ConnectionError(f"Kafka did not say where the log ends: {type(error).__name__}") from error
        if self._reachable_since is None:
            self._reachable_since = monotonic()
        self.ends = {**self.ends, **ends}
        return ends

    async def cluster(self) -> str:
        """Kafka's cluster id: offsets and checkpoint are kept with it."""
        if (known := self._cluster) is None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, request_timeout_ms=4_000)
            try:
                async with asyncio.timeout(5):
                    await admin.start()
                    known = str((await admin.describe_cluster())["cluster_id"])
            finally:
                await close_admin(admin)
            self._cluster = known
        return known

    async def stop(self) -> None:
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await close(consumer)


async def close_admin(admin: AIOKafkaAdminClient) -> None:
    try:
        async with asyncio.timeout(2):
            await admin.close()
    except Exception as error:
        log.debug("client-closed-badly", error=type(error).__name__)
