"""What the soak does to the system: each fault is drawn from the seed alone, begins, lasts, and is undone."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from faults import let_in
from live import Live
from load import Load

from redress_local.places import SERVICES, replica_name
from redress_soak.disasters import Command, Endless, LostStart, MisconfiguredProcess, Takeover

REPLICAS = 2
REBUILT_WITHIN = 180.0  # seconds, with as many attempts as that takes
SERVERS = ("kafka", "postgres")
FIRST_ENDLESS = 2 * 10**6  # posts with numbers from here on are complaints that do not end; every fourth has a class that is clear


@dataclass(frozen=True)
class Fault:
    """kind: a row of the table. told: what it does to whom. touches: two faults at a time touch different things. lasts: seconds.
    last: it is undone after the others, for it needs them."""

    kind: str
    description: str
    touches: frozenset[str]
    lasts: float
    begin: Callable[[], None]
    end: Callable[[], None]
    last: bool = False


class Faults:
    """Draws faults for one system. kept_open: complaints that nobody may work on now, for their customer still talks. only: names of
    faults, or parts of them; none for all."""

    def __init__(self, live: Live, load: Load, rng: random.Random, only: Sequence[str] = ()) -> None:
        self.kept_open: set[str] = set()
        self._load = load
        self._number = 0
        self._live = live
        self._system = live.system
        self._rng = rng
        self._kinds: tuple[Callable[[], Fault], ...] = (
            self._replica_killed,
            self._replica_killed,
            self._service_killed,
            self._replica_paused,
            self._service_paused,
            self._kafka_killed,
            self._kafka_restarted,
            self._kafka_paused,
            self._postgres_killed,
            self._postgres_restarted,
            self._no_database,
            self._rebuild,
            self._rebuild_killed,
            self._everything_killed,
            self._takeover,
            self._lost_start,
            self._wrong_partitions,
            self._endless,
        )
        if only:
            self._kinds = tuple(kind for kind in self._kinds if any(name in kind.__name__ for name in only))

    def draw(self) -> list[Fault]:
        """One fault, or two that touch different things."""
        found = [self._rng.choice(self._kinds)()]
        if self._rng.random() < 0.4:
            second = self._rng.choice(self._kinds)()
            if not second.touches & found[0].touches:
                found.append(second)
        return found

    def _replica(self) -> str:
        return replica_name(self._rng.choice(SERVICES), self._rng.randint(1, REPLICAS))

    def _service(self) -> tuple[str, list[str]]:
        service = self._rng.choice(SERVICES)
        return service, [replica_name(service, n) for n in range(1, REPLICAS + 1)]

    def _seconds(self, most: float) -> float:
        return self._rng.uniform(0, most)

    def _replica_killed(self) -> Fault:
        name = self._replica()
        return self._killed("a replica killed", f"{name} killed", [name], self._seconds(6))

    def _service_killed(self) -> Fault:
        service, names = self._service()
        return self._killed("a service killed", f"{service} killed", names, self._seconds(10))

    def _killed(self, kind: str, description: str, names: list[str], lasts: float) -> Fault:
        def begin() -> None:
            for name in names:
                self._system.kill(name)

        return Fault(kind, description, frozenset(names), lasts, begin, lambda: self._start(names))

    def _start(self, names: Iterable[str]) -> None:
        for name in names:
            self._system.start_service(name, wait=False)

    def _replica_paused(self) -> Fault:
        name = self._replica()
        return self._paused("a replica paused", f"{name} paused", [name], self._seconds(15))

    def _service_paused(self) -> Fault:
        service, names = self._service()
        return self._paused("a service paused", f"{service} paused", names, self._seconds(12))

    def _paused(self, kind: str, description: str, names: list[str], lasts: float) -> Fault:
        def signalled(number: signal.Signals) -> None:
            for name in names:
                self._system.children[name].popen.send_signal(number)

        begin, end = (lambda: signalled(signal.SIGSTOP)), (lambda: signalled(signal.SIGCONT))
        return Fault(kind, description, frozenset(names), lasts, begin, end)

    def _kafka_killed(self) -> Fault:
        kafka = self._system.servers.kafka_server
        assert kafka is not None
        return Fault("Kafka killed", "Kafka killed", frozenset({"kafka"}), self._seconds(12), kafka.kill, kafka.start)

    def _kafka_restarted(self) -> Fault:
        kafka = self._system.servers.kafka_server
        assert kafka is not None
        return Fault("Kafka restarted", "Kafka restarted", frozenset({"kafka"}), self._seconds(3), kafka.stop, kafka.start)

    def _kafka_paused(self) -> Fault:
        kafka = self._system.servers.kafka_server
        assert kafka is not None

        def signalled(number: signal.Signals) -> None:
            assert kafka is not None
            assert kafka.child is not None
            kafka.child.popen.send_signal(number)

        begin, end = (lambda: signalled(signal.SIGSTOP)), (lambda: signalled(signal.SIGCONT))
        return Fault("Kafka paused", "Kafka paused", frozenset({"kafka"}), self._seconds(12), begin, end)

    def _postgres_killed(self) -> Fault:
        postgres = self._system.servers.postgres_server
        assert postgres is not None
        return Fault("PostgreSQL killed", "PostgreSQL killed", frozenset({"postgres"}), self._seconds(8), postgres.kill, postgres.start)

    def _postgres_restarted(self) -> Fault:
        postgres = self._system.servers.postgres_server
        assert postgres is not None
        description = "PostgreSQL restarted"
        return Fault(description, description, frozenset({"postgres"}), self._seconds(3), postgres.stop, postgres.start)

    def _no_database(self) -> Fault:
        service = self._rng.choice(SERVICES)
        touches = frozenset({"postgres", service})
        kind = "a service's database away"
        begin, end = (lambda: let_in(self._live, service, False)), (lambda: let_in(self._live, service, True))
        return Fault(kind, f"{service}'s database away", touches, self._seconds(10), begin, end)

    def _rebuild(self) -> Fault:
        service = self._rng.choice(SERVICES)
        rebuild, touches = Command(self._live, "rebuild", service), frozenset({"rebuild"})
        return Fault("a rebuild under way", f"{service} rebuilt", touches, 0.0, rebuild.start, lambda: rebuild.finish(REBUILT_WITHIN), True)

    def _rebuild_killed(self) -> Fault:
        service, after = self._rng.choice(SERVICES), self._rng.uniform(0.5, 4)
        rebuild = Command(self._live, "rebuild", service)
        description = f"{service}'s rebuild killed after {after:.1f} s"

        def end() -> None:
            rebuild.kill()
            rebuild.finish(REBUILT_WITHIN)

        return Fault("a rebuild killed and begun anew", description, frozenset({"rebuild"}), after, rebuild.start, end, True)

    def _everything_killed(self) -> Fault:
        names = list(self._system.replicas)
        kafka, postgres = self._system.servers.kafka_server, self._system.servers.postgres_server
        assert kafka is not None
        assert postgres is not None

        def begin() -> None:
            postgres.kill()
            for name in names:
                self._system.kill(name)
            kafka.kill()

        def end() -> None:
            postgres.launch()
            kafka.launch()
            self._start(names)
            postgres.wait_ready()
            kafka.wait_ready()

        touches = frozenset({*names, *SERVERS, *SERVICES, "rebuild"})
        return Fault("everything killed at once", "everything killed at once", touches, self._seconds(3), begin, end)

    def _takeover(self) -> Fault:
        self._number += 1
        takeover = Takeover(self._live, self._number)
        touches = frozenset({"postgres", "kafka", "rebuild", *SERVICES})
        return Fault("a standby promoted", "a standby promoted, and adopted", touches, 0.0, takeover.begin, takeover.end, True)

    def _lost_start(self) -> Fault:
        lost = LostStart(self._live)
        touches = frozenset({"postgres", "kafka", "rebuild", *SERVICES})
        return Fault("the log's start deleted", "the log's start deleted, and restored", touches, 0.0, lost.begin, lost.end, True)

    def _wrong_partitions(self) -> Fault:
        service = self._rng.choice(SERVICES)
        wrong = MisconfiguredProcess(self._live, service)
        description = f"a process of {service} told of half the partitions"
        return Fault("a process told of other partitions", description, frozenset({"wrong"}), self._seconds(8), wrong.begin, wrong.end)

    def _endless(self) -> Fault:
        self._number += 1
        number = self._number

        def registered() -> str:
            return self._load.post(FIRST_ENDLESS + 4 * number, spoken=self.kept_open.add)

        endless = Endless(self._live, registered, number)

        def end() -> None:
            self.kept_open.discard(endless.end())

        description = "a customer who goes on and on"
        touches = frozenset({"endless"})
        return Fault("a complaint that does not end", description, touches, self._seconds(8), endless.begin, end, last=True)
