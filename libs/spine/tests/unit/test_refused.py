"""Who is refused by Kafka does not sign in again and again, and goes on once let in."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from redress_spine.messaging import log_end
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.log_end import REFUSED, LogEnd
from redress_spine.messaging.topic_metadata import ClusterSeen
from redress_spine.store.errors import KafkaRefuses

SENTENCE = "Kafka at host:9093 refuses the user redress, or the password."


class Broker:
    """Lets nobody in while it is shut, and counts who tries."""

    shut, tried = True, 0

    async def bootstrap(self) -> None:
        self.tried += 1
        if self.shut:
            raise KafkaConnectionError("Unable to bootstrap")

    async def stop(self) -> None:
        pass


async def test_who_was_refused_waits_before_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, broker = [100.0], Broker()

    class Clients(KafkaClients):
        def client(self, role: str = "tools", **options: Any) -> Any:
            return broker

        async def refusal(self) -> str | None:
            return SENTENCE if broker.shut else None

    answer = ClusterSeen("cluster", {})

    async def seen(client: Any, names: Any) -> ClusterSeen:
        return answer

    monkeypatch.setattr(log_end, "monotonic", lambda: now[0])
    monkeypatch.setattr(log_end, "ask_topics", seen)
    asking = LogEnd("intake", Clients("host:9093"))

    for _ in range(3):
        with pytest.raises(KafkaRefuses, match=SENTENCE):
            await asking.topics(["t"])
    assert (broker.tried, asking.refusal) == (1, SENTENCE)
    now[0] += REFUSED
    with pytest.raises(KafkaRefuses, match=SENTENCE):
        await asking.topics(["t"])
    assert broker.tried == 2
    broker.shut = False
    now[0] += REFUSED
    assert (await asking.topics(["t"]), asking.refusal) == (answer, None)
    await asking.stop()
