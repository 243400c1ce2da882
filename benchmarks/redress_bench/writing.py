"""Puts a generated log where the services find it: on Kafka, and one service's own events in its journal."""

from __future__ import annotations

from collections.abc import Iterable

from redress_bench.figure import Progress
from redress_bench.life import JOURNAL, MAC, Written, journal_row, send
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.mac import MacKeys
from redress_spine.store import connections

CHUNK = 1_000


async def write(
    pages: Iterable[list[Written]],
    *,
    kafka: str,
    topic: str,
    source: str,
    owner_dsn: str,
    progress: Progress,
    tell_every: int = 200_000,
    mac: MacKeys = MAC,
) -> int:
    """Log and journal, up to the relay's checkpoint behind the last event. mac: what the readers have. → how many events."""
    producer = KafkaClients.of(kafka).producer(acks="all", enable_idempotence=True, max_batch_size=1_000_000, linger_ms=0)
    connection = await connections.connect(owner_dsn)
    await producer.start()
    written = told = 0
    own = []
    try:
        for page in pages:
            await send(producer, topic, page, mac)
            own += [journal_row(event) for event in page if event.source == source]
            if len(own) >= CHUNK:
                await connection.copy_records_to_table("events", records=own, columns=JOURNAL, schema_name="public")
                own = []
            written += len(page)
            if written - told >= tell_every:
                told = written
                progress(f"{written:,} events are on the log")
        if own:
            await connection.copy_records_to_table("events", records=own, columns=JOURNAL, schema_name="public")
        await connection.execute(
            "UPDATE public.relay_checkpoint SET (transaction_id, global_position) = "
            "(SELECT transaction_id, global_position FROM public.events ORDER BY transaction_id DESC, global_position DESC LIMIT 1)"
        )
        await connection.execute("VACUUM ANALYZE public.events")
    finally:
        await producer.stop()
        await connection.close()
    return written
