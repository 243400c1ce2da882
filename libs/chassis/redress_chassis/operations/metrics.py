"""What can be counted: requests, commands by outcome, and how far the spine is behind. Prometheus's text, from a registry of our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.responses import Response

from redress_chassis.version import VERSION
from redress_spine.messaging.mac import UNKNOWN_KEY, UNSIGNED, WRONG_MAC
from redress_spine.store.errors import JournalRestored

if TYPE_CHECKING:
    from redress_spine.store.engine import Measures, ServerSeen

AUDITED = ("reading", "break-glass", "refusal", "not-written")
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds
NOT_PROVED = (UNSIGNED, WRONG_MAC, UNKNOWN_KEY)  # of the reasons for which records are set aside, those that wake somebody
# Measures of the engine: what each means to somebody who is woken by it.
GAUGES = {
    "backlog_events": "Events in the journal that the relay has not shipped; above 1,000 estimated from positions, which have gaps.",
    "lag_records": "Records on the log that are not projected.",
    "lag_seconds": "Age of the oldest record that is not projected, at most; 0 when all is.",
    "lost_records": "Records that were read and are no longer on the log.",
    "refused_partitions": "Partitions of this replica that are not read, because their log is not the one that was read.",
    "log_start_offset": "Highest first offset of the partitions from which nothing may ever be deleted; above 0: something was deleted.",
    "wrong_settings": "Settings of the topics that are not what they must be.",
    "parked_subjects": "Subjects held back by a record that cannot be folded; counted to 10,000.",
    "dead_letters": "Records without a usable subject or a proof of their source, or in the wrong place; counted to 10,000.",
    "stuck_rows": "Rows whose work failed or changed nothing, waiting to be tried again; counted to 10,000.",
    "dead_effects": "Effects on the outside world that were given up, until somebody retries or drops them; counted to 10,000.",
    "mac_keys_unusable": "1 where the folder of MAC keys cannot be read as it is now: the keys that were read before go on.",
    "master_keys_unusable": "1 where a master key cannot be had that is needed now, or at the next start.",
    "timed_automations_wait_seconds": "How long timed automations that are due have waited for the log.",
    "clock_skew_seconds": "By how much this replica's clock is ahead of its database's, at least; negative where it is behind.",
    "relay_leader": "1 in the replica that ships the journal.",
    "oldest_transaction_seconds": "Age of the oldest open write transaction of the cluster: it stalls every relay.",
}


class Metrics:
    """One service's counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._spine = _Spine()
        self.registry.register(self._spine)
        self._commands = Counter(
            "redress_commands_total",
            "Commands by outcome: done, replayed or a problem's code.",
            ["command", "outcome"],
            registry=self.registry,
        )
        self._audited = Counter(
            "redress_audit_records_total",
            "Records of the audit trail by kind: reading, break-glass or refusal; not-written where one could not be.",
            ["kind"],
            registry=self.registry,
        )
        for kind in AUDITED:  # at 0 from the start: the first one is a rise
            self._audited.labels(kind)
        self._requests = Histogram(
            "redress_request_seconds", "Duration of requests.", ["method", "route", "status"], registry=self.registry, buckets=BUCKETS
        )
        self._issuer_away = Gauge(
            "redress_issuer_away_seconds",
            "How old the token issuer's keys are, if the last attempt to fetch them failed; else 0.",
            registry=self.registry,
        )
        self._build = Gauge(
            "redress_build_info", "1, with what runs here as labels.", ["service", "version", "build"], registry=self.registry
        )
        self._request = lru_cache(1024)(self._requests.labels)  # looking a child up costs more than observing
        self._command = lru_cache(1024)(self._commands.labels)

    def built(self, service: str, build: str) -> None:
        self._build.labels(service, VERSION, build).set(1)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """route: the template, or empty. Made-up methods are counted as one, so that callers cannot make series."""
        self._request(method if method in METHODS else "other", route, str(status)).observe(seconds)

    def command(self, command: str, outcome: str) -> None:
        self._command(command, outcome).inc()

    def issuer(self, away: Callable[[], float]) -> None:
        """away: seconds."""
        self._issuer_away.set_function(away)

    def servers(self, seen: Callable[[], Mapping[str, ServerSeen]]) -> None:
        """seen: how Kafka and PostgreSQL answer."""
        self._spine.servers = seen

    def chain(self, head: Callable[[], tuple[UUID, int] | None]) -> None:
        """head: this process's chain of the audit trail, and how many records it has."""
        self._spine.chain = head

    def audited(self, kind: str) -> None:
        self._audited.labels(kind).inc()

    async def page(self, measures: Callable[[], Awaitable[Measures]]) -> Response:
        """What Prometheus reads. While the engine cannot be asked, its measures are missing rather than old."""
        self._spine.restored = False
        try:
            self._spine.latest = await measures()
        except Exception as error:
            self._spine.latest = None
            self._spine.restored = isinstance(error, JournalRestored)
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class _Spine(Collector):
    """The engine's measures as they were last asked for."""

    latest: Measures | None = None
    restored = False
    servers: Callable[[], Mapping[str, ServerSeen]] = staticmethod(dict)
    chain: Callable[[], tuple[UUID, int] | None] = staticmethod(lambda: None)

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("redress_server_up", "1 while this replica reaches Kafka or PostgreSQL, else 0.", labels=["server"])
        took = GaugeMetricFamily("redress_server_seconds", "What the last answer of Kafka or PostgreSQL took.", labels=["server"])
        for server, seen in self.servers().items():
            up.add_metric([server], float(seen.up))
            if seen.seconds is not None:
                took.add_metric([server], seen.seconds)
        chain = GaugeMetricFamily(
            "redress_audit_chain_records",
            "How many records this process's chain of the audit trail has: `redress audit verify` compares it with the database.",
            labels=["writer"],
        )
        if (head := self.chain()) is not None:
            chain.add_metric([str(head[0])], float(head[1]))
        yield from (up, took, chain)
        yield GaugeMetricFamily(
            "redress_measured", "1 if the engine could be asked for the measures below.", float(self.latest is not None)
        )
        yield GaugeMetricFamily(
            "redress_journal_restored", "1 if nothing is decided on the journal before `redress adopt`.", float(self.restored)
        )
        if self.latest is None:
            return
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"redress_{name}", text, float(getattr(self.latest, name)))
        automations = CounterMetricFamily(
            "redress_automations", "Rows decided by the automation loop, by automation and outcome.", labels=["work", "outcome"]
        )
        for labels, count in self.latest.decided.items():
            automations.add_metric(labels, count)
        yield automations
        effects = CounterMetricFamily(
            "redress_effects", "Attempts at effects on the outside world, by reactor and outcome.", labels=["reactor", "outcome"]
        )
        for labels, count in self.latest.effects.items():
            effects.add_metric(labels, count)
        yield effects
        aside = CounterMetricFamily("redress_records_set_aside", "Records that this process set aside, by reason.", labels=["reason"])
        known = dict.fromkeys(NOT_PROVED, 0)  # at 0 from the start: the first one is a rise
        for reason, count in (known | dict(self.latest.set_aside)).items():
            aside.add_metric([reason], count)
        yield aside


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
