"""What the soak does to what a system stands on: another server takes over, the log loses its start, a process is told of other partitions,
a complaint never ends. Each with the cure that operators have for it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from live import Live, client
from load import ANSWER_TIMEOUT, ANSWER_WITHIN

from redress_events.vocabulary import LIFECYCLE
from redress_local.copies import promote, standby, synchronous
from redress_local.places import SERVICES, free_ports, package
from redress_local.processes import Child, StartFailed, run, start_child
from redress_spine.messaging.kafka_clients import KafkaClients

CURED_WITHIN = 300.0  # seconds, with as many attempts as that takes
WORDS = "It is still the same, and nobody has called. " * 100
CHASE_EVERY = 2  # of what the customer says, one without words
MOST = 600  # words about one complaint: below the limit that a service sets


class Command:
    """One `redress …` in a process of its own, as operators run it."""

    def __init__(self, live: Live, *words: str) -> None:
        self._line = [sys.executable, "-m", "redress_cli.main", *words, "--folder", str(live.system.folder)]
        self.description = " ".join(words)
        self._log = live.system.folder / "logs" / f"{words[0]}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(self._line, stdout=out, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def finish(self, within: float) -> None:
        """Until one went through: what is away meanwhile may end it. Raises StartFailed; the last attempt is then killed."""
        assert self._process is not None
        end = time.monotonic() + within
        try:
            while self._process.wait(max(0.0, end - time.monotonic())) != 0:
                time.sleep(1.0)
                self.start()
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise StartFailed(f"redress {self.description} did not go through: {self._log.read_text()[-500:]}") from error

    def run(self, within: float = CURED_WITHIN) -> None:
        self.start()
        self.finish(within)


class Takeover:
    """The primary dies, and a synchronous standby takes its place and its address."""

    def __init__(self, live: Live, number: int) -> None:
        self._live = live
        self._folder = live.system.folder / f"postgres-{number}"

    def begin(self) -> None:
        servers = self._live.system.servers
        primary = servers.postgres_server
        assert primary is not None
        copy = standby(primary, self._folder)
        synchronous(primary)
        primary.kill()
        promote(copy)
        copy.stop()
        (copy.folder / "port").write_text(str(primary.port))
        copy.start()
        assert copy.port == primary.port, "somebody else took the address of the server that died"
        shutil.rmtree(primary.data)
        servers.postgres_server = copy
        self._live.system.stack().write()

    def end(self) -> None:
        Command(self._live, "adopt", *SERVICES).run()


class LostStart:
    """The first half of each partition of the lifecycle is deleted, as a retention set by mistake does; then the log is written anew."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def begin(self) -> None:
        run(_delete_the_first_half(self._live.stack.kafka, self._live.stack.partitions))

    def end(self) -> None:
        Command(self._live, "restore-log", "--recreate", LIFECYCLE).run()
        for service in SERVICES:
            Command(self._live, "rebuild", service).run()


async def _delete_the_first_half(kafka: str, partitions: int) -> None:
    places = [TopicPartition(LIFECYCLE, n) for n in range(partitions)]
    consumer, admin = KafkaClients.of(kafka).consumer(), KafkaClients.of(kafka).admin()
    await consumer.start()
    await admin.start()
    try:
        ends = await consumer.end_offsets(places)
        await admin.delete_records({place: RecordsToDelete(end // 2) for place, end in ends.items() if end > 1})
    finally:
        await admin.close()
        await consumer.stop()


class MisconfiguredProcess:
    """One more process of a service, told of half as many partitions: it must never be ready, nor take a complaint."""

    def __init__(self, live: Live, service: str) -> None:
        self._live = live
        self._service = service
        self._child: Child | None = None
        self._address = ""

    def begin(self) -> None:
        system, (port,) = self._live.system, free_ports(1)
        line = [sys.executable, "-m", "redress_chassis.serving", f"{package(self._service)}.main:app", "--port", str(port)]
        wrong = {"REDRESS_PARTITIONS": str(system.partitions // 2)}
        self._address = f"http://127.0.0.1:{port}"
        self._child = start_child(
            f"{self._service}-wrong",
            line,
            system.folder / "logs" / f"{self._service}-wrong.log",
            foreground=True,
            environment={**system.service_environment(self._service), **wrong},
            folder=system.folder,
        )

    def end(self) -> None:
        assert self._child is not None
        try:
            with httpx.Client(base_url=self._address, timeout=ANSWER_WITHIN, trust_env=False) as http:
                ready = self._asked(http, "GET", "/health/ready")
                assert ready in (None, 503), f"{self._service} with other partitions was ready: {ready}"
                if self._service == "intake":
                    token = self._live.system.issuer.mint("front-end", "front-end-one")
                    headers = {"authorization": f"Bearer {token}", "idempotency-key": "wrong-partitions"}
                    posted = self._asked(http, "POST", "/complaints", json={"channel": "app", "text": WORDS}, headers=headers)
                    assert posted in (None, 503), f"intake with other partitions answered a complaint with {posted}"
        finally:
            self._child.stop()

    def _asked(self, http: httpx.Client, method: str, path: str, **what: Any) -> int | None:
        try:
            return http.request(method, path, **what).status_code
        except httpx.TransportError:
            return None  # it has ended at its start, or does not listen yet


class Endless:
    """One complaint about which the customer goes on and on, eight voices at once. Whatever was answered is kept, once."""

    VOICES = 8

    def __init__(self, live: Live, register: Callable[[], str], number: int) -> None:
        self._live = live
        self._register = register
        self._number = number
        self._ended = threading.Event()
        self._threads = ThreadPoolExecutor(1 + self.VOICES)
        self._said: list[Any] = []
        self._counts = itertools.count()

    def begin(self) -> None:
        """Waits for no answer, not even to the registration: another fault may have taken away what would give one."""
        self._complaint = self._threads.submit(self._register)
        self._said = [self._threads.submit(self._talk) for _ in range(self.VOICES)]

    def end(self) -> str:
        """→ the complaint's id. Waits for what was asked to be answered."""
        self._ended.set()
        complaint = self._complaint.result()
        answered = sum(each.result() for each in self._said)
        self._threads.shutdown()
        stream = f"complaint/{complaint}"
        ask = "SELECT count(*) FROM public.events WHERE stream = $1 AND type ~ 'complaint-(supplemented|chased)'"
        kept = self._live.sql("intake", ask, stream)[0][0]
        assert kept == answered, f"{answered} words about {stream} were answered, {kept} are kept"
        for service in SERVICES:
            ask = "SELECT max(pg_column_size(observed) + pg_column_size(own) + pg_column_size(read)) FROM state WHERE subject = $1"
            size = self._live.sql(service, ask, stream)[0][0] or 0
            assert size < 16_384, f"{service}'s row of {stream} has {size} bytes after {kept} words"
        return complaint

    def _talk(self) -> int:
        complaint = self._complaint.result()
        token, said = self._live.system.issuer.mint("front-end", "front-end-one"), 0
        while not self._ended.is_set() and (n := next(self._counts)) < MOST:
            path, body = ("chases", {}) if n % CHASE_EVERY == 0 else ("supplements", {"text": WORDS})
            key = f"endless-{self._number}-{n}"
            self._until_answered(f"/complaints/{complaint}/{path}", body, {"authorization": f"Bearer {token}", "idempotency-key": key})
            said += 1
        return said

    def _until_answered(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> None:
        replicas, end = itertools.cycle(self._live.replicas("intake")), time.monotonic() + ANSWER_TIMEOUT
        while time.monotonic() < end:
            try:
                with client(next(replicas), headers, ANSWER_WITHIN) as http:
                    answer = http.post(path, json=body)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 200:
                return
            assert answer is None or answer.status_code == 503, f"{path}: {answer.status_code} {answer.text[:300]}"
            time.sleep(0.05)
        raise AssertionError(f"{path} was not answered within {ANSWER_TIMEOUT:.0f} s")
