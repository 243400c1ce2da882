"""What it costs that each event proves its source: HMAC-SHA256, which is used, beside Ed25519, which no reader could forge with."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from redress_bench.figure import Bound, Figure, Line, Progress
from redress_bench.life import MAC, Written, interleaved, lives
from redress_events.vocabulary import LIFECYCLE
from redress_local.places import package
from redress_spine.messaging.envelope import headers
from redress_spine.messaging.mac import MAC as HEADER
from redress_spine.messaging.records import DecodedRecord, Reader, Record

SERVICE = "intake"  # of all services it listens to the most types
PARTITIONS = 12
BOUND = (
    "One core of Python. The MAC is over the chain's hash, which is computed anyway, and not over the event's bytes once more; Ed25519 is "
    "OpenSSL's, and a rebuild of 20,000 events a second has 50 µs for each event and core."
)


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    events, rounds = (2_000, 3) if quick else (10_000, 7)
    page = [event for page in interleaved(lives(seed), events, PARTITIONS) for event in page]
    service = importlib.import_module(f"{package(SERVICE)}.main").service.verified(PARTITIONS, MAC)
    reader = Reader(service.source, service.aggregates, service.contracts, PARTITIONS, MAC)
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    records = [signed(event, n) for n, event in enumerate(page)]
    few = page[: len(page) // 10]
    signatures = [private.sign(event.hash) for event in few]
    found: dict[str, list[float]] = {}
    for n in range(rounds):
        for what, work, over in (
            ("judging an event, its MAC too", lambda: judge_all(reader, records), page),
            ("HMAC: signing", lambda: sign_all(page), page),
            ("HMAC: checking", lambda: check_all(records), page),
            ("Ed25519: signing", lambda: [private.sign(event.hash) for event in few], few),
            ("Ed25519: checking", lambda: [public.verify(mine, event.hash) for mine, event in zip(signatures, few, strict=True)], few),
        ):
            found.setdefault(what, []).append(micros(work, over))
        progress(f"round {n + 1} of {rounds}: " + ", ".join(f"{what} {each[-1]:.1f} µs" for what, each in found.items()))
    share = [mine / whole for mine, whole in zip(found["HMAC: checking"], found["judging an event, its MAC too"], strict=True)]
    return Figure(
        "mac",
        f"{len(page):,} events of whole lives of complaints, in memory: their MACs made and checked, judged as {SERVICE} does, and signed "
        "and checked by Ed25519 for comparison.",
        BOUND,
        rounds,
        [
            Line.of("checking ÷ judging an event", "", share, Bound("at most", 0.2, 0.1)),
            *(Line.of(what, "µs/event", each) for what, each in found.items()),
        ],
    )


def micros(work: Callable[[], object], over: Sequence[object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) / len(over) * 1_000_000


def signed(event: Written, offset: int) -> Record:
    own = headers(event.subject, event.source, event.kind, event.version, event.prevhash, event.hash)
    own.append(MAC.sign(event.source, LIFECYCLE, event.subject.encode(), event.value, event.prevhash, event.hash))
    return Record(LIFECYCLE, event.partition, offset, event.subject.encode(), event.value, dict(own))


def sign_all(page: Sequence[Written]) -> None:
    for event in page:
        MAC.sign(event.source, LIFECYCLE, event.subject.encode(), event.value, event.prevhash, event.hash)


def check_all(records: Sequence[Record]) -> None:
    for each in records:
        MAC.source_of(each.headers[HEADER], each.topic, each.key, each.value, each.headers["prevhash"], each.headers["hash"])


def judge_all(reader: Reader, records: Sequence[Record]) -> None:
    for each in records:
        assert isinstance(reader.judge(each), DecodedRecord)
