"""The spine's small parts: what a state is stored as, what seals and opens, how events are numbered and chained, ids and partitions."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.partitioner import DefaultPartitioner
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st
from spine_log import CIPHER, STATES, subject_of
from spine_stack import AT, HANDLING_AGGREGATE, MAC, MASTER, Observed, registered

from redress_events.contracts import INTAKE
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered
from redress_events.event import Event, Instant, replace
from redress_events.vocabulary import CLOSED
from redress_spine.admin import filling_process
from redress_spine.aggregate import Aggregate
from redress_spine.messaging import whole_log
from redress_spine.messaging.envelope import GENESIS, chain, decode
from redress_spine.processing.clock import fresh_id
from redress_spine.store.commit import LARGEST_EVENT, EventTooLarge, Item, Provenance, cause_json, cause_of, prepare
from redress_spine.store.pseudonyms import actor_on
from redress_spine.store.states import Codec, partition_of
from redress_spine.store.vault import MAKER, OPENED_AT_ONCE, NotSealed, Vault, ciphertext_of, on_the_log, seal, unseal

SUBJECT = subject_of(1)
ROW = STATES.fresh(SUBJECT)


@dataclass(frozen=True, slots=True)
class Counted:
    by_department: dict[str, int] = field(default_factory=dict)
    at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Counting:
    observed: Counted = field(default_factory=Counted)
    own: Counted = field(default_factory=Counted)


COUNTING = Codec(Aggregate(Counting, lambda observed, event, at: observed, lambda own, event, at: own))


def prepared(*events: Event, **more: Any) -> Item:
    return prepare(INTAKE, STATES.codec(SUBJECT), ROW, events, AT, Provenance("agent:alice", "trace-1"), **({"cipher": CIPHER} | more))


def test_defaults_are_left_out_of_what_is_stored_and_instants_are_microseconds() -> None:
    codec = Codec(HANDLING_AGGREGATE)
    assert codec.dump_observed(Observed()) == "{}" and codec.load_observed("{}") == Observed()
    assert codec.dump_observed(Observed(registered_at=AT, chases=2)) == '{"chases":2,"registered_at":1772438400000000}'
    assert codec.load_observed('{"registered_at":1772438400000000}') == Observed(registered_at=AT)


@given(
    st.dictionaries(st.text(max_size=5).filter(lambda key: "\0" not in key), st.integers(0, 9), max_size=6),
    st.randoms(use_true_random=False),
)
def test_an_etag_is_the_same_after_the_database_gave_the_keys_back_in_its_own_order(counts: dict[str, int], rng: random.Random) -> None:
    shuffled = rng.sample(sorted(counts.items()), len(counts))
    before, after = (
        Counted(counts, AT),
        COUNTING.load_observed(orjson.dumps({"by_department": dict(shuffled), "at": 1772438400000000}).decode()),
    )
    assert (
        COUNTING.etag(before, "{}", False)
        == COUNTING.etag(after, "{}", False)
        != COUNTING.etag(Counted(), COUNTING.dump_own(before), False)
    )
    assert COUNTING.etag(Counted(), "{}", False) == COUNTING.etag(COUNTING.nothing[0], "{}", False)
    assert COUNTING.dump_observed(before) == COUNTING.dump_observed(after)


def test_events_are_numbered_chained_sealed_and_folded_as_the_log_will_read_them() -> None:
    item = prepared(registered("我的手机没有信号"), ComplaintChased(chase=1), ComplaintChased(chase=2, text="again"))
    before = GENESIS
    for n, (stream, version, _, _, prevhash, digest, value) in enumerate(item.events, 1):
        assert (stream, version, prevhash, digest) == (SUBJECT, n, before, chain(before, value))
        assert decode(value).version == n and decode(value).time == AT and "信号".encode() not in value
        before = digest
    assert (item.version, item.own.chases, item.own.text) == (3, 2, "intake/1/text")
    assert {ref: unseal(CIPHER, SUBJECT, ref, blob) for ref, blob in item.sealed} == {
        "intake/1/text": "我的手机没有信号",
        "intake/3/text": "again",
    }
    assert ciphertext_of(decode(item.events[2][6]).data["text"]) == item.sealed[1][1]


def test_an_event_that_kafka_would_refuse_is_refused_here_and_a_personal_field_needs_a_key() -> None:
    with pytest.raises(EventTooLarge):
        prepared(registered("x" * LARGEST_EVENT))
    with pytest.raises(ValueError, match="no key"):
        prepared(registered(), cipher=None)


def test_events_of_another_stream_of_the_same_subject_continue_that_streams_chain() -> None:
    class Elsewhere(ComplaintChased):
        stream = "closed"

    contract = type(INTAKE)("intake", ComplaintChased, Elsewhere)
    said = [Elsewhere(chase=1), ComplaintChased(chase=1), Elsewhere(chase=2)]
    item = prepare(contract, STATES.codec(SUBJECT), ROW, said, AT, Provenance("a", "t"), heads={f"closed/{SUBJECT[10:]}": (4, b"h" * 32)})
    assert [(stream.partition("/")[0], version) for stream, version, *_ in item.events] == [("closed", 5), ("complaint", 1), ("closed", 6)]
    assert item.events[0][4] == b"h" * 32 and item.events[2][4] == item.events[0][5] and item.version == 1


def test_on_a_public_topic_who_decided_has_a_pseudonym() -> None:
    class Published(ComplaintChased):
        topic = CLOSED
        stream = "closed"

    contract = type(INTAKE)("intake", ComplaintChased, Published)
    said = [ComplaintChased(chase=1), Published(chase=1)]
    item = prepare(contract, STATES.codec(SUBJECT), ROW, said, AT, Provenance("agent:alice", "t"), pseudonyms=b"k" * 32)
    between, public = (decode(value) for *_, value in item.events)
    assert (between.actor, public.actor) == ("agent:alice", actor_on(CLOSED, "agent:alice", b"k" * 32))
    assert b"alice" not in item.events[1][6]


def test_work_goes_on_with_the_thread_of_the_event_that_caused_it() -> None:
    observed = decode(prepared(registered()).events[0][6])
    cause = cause_of(replace(ROW, cause=orjson.loads(cause_json(observed))))
    assert (cause.correlation, cause.causation, cause.traceparent) == ("trace-1", observed.id, None)
    assert cause_of(ROW).correlation == SUBJECT


def test_a_ciphertext_opens_in_its_own_place_alone() -> None:
    blob = seal(CIPHER, SUBJECT, "intake/1/text", "words")
    assert unseal(CIPHER, SUBJECT, "intake/1/text", blob) == "words" and ciphertext_of(on_the_log(blob)) == blob
    for subject, ref in ((subject_of(2), "intake/1/text"), (SUBJECT, "intake/2/text"), (SUBJECT, "intake/1/phone")):
        with pytest.raises(InvalidTag):
            unseal(CIPHER, subject, ref, blob)
    for wrong in ("words", "sealed:1:!", "sealed:1:QUJD", 7, None):
        with pytest.raises(NotSealed):
            ciphertext_of(wrong)


def test_fresh_ids_are_version_7_and_lie_in_the_order_of_their_milliseconds() -> None:
    ids = [fresh_id(AT + timedelta(milliseconds=n)) for n in range(50)]
    assert ids == sorted(ids) and len({*ids, *(fresh_id(AT) for _ in range(50))}) == 100
    assert all(UUID(each).version == 7 and UUID(each).variant == "specified in RFC 4122" and str(UUID(each)) == each for each in ids)
    assert UUID(ids[0]).int >> 80 == 1772438400000


@given(st.text(max_size=40).filter(lambda key: key.isprintable()), st.integers(1, 50))
def test_keys_go_where_kafkas_own_partitioner_puts_them(key: str, partitions: int) -> None:
    every = [*range(partitions)]
    assert partition_of(key, partitions) == DefaultPartitioner()(key.encode(), every, every)


def test_an_instant_beyond_the_calendar_is_a_finding_and_no_crash() -> None:
    good = registered().model_dump()
    for wrong in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        with pytest.raises(ValueError, match="does not exist"):
            ComplaintRegistered.model_validate(good | {"received_at": wrong})
    east = ComplaintRegistered.model_validate(good | {"received_at": datetime(2026, 3, 2, 16, tzinfo=timezone(timedelta(hours=8)))})
    assert east.received_at.tzinfo is UTC and east.received_at == AT


@dataclass(frozen=True, slots=True)
class Single:
    n: int = 0


def test_the_quick_replace_does_what_that_of_dataclasses_does():
    before = Observed(registered_at=AT, chases=2)
    for changes in ({}, {"chases": 3}, {"registered_at": None, "chases": 0}):
        after = replace(before, **changes)
        assert after == dataclasses.replace(before, **changes) and type(after) is Observed
    assert before == Observed(registered_at=AT, chases=2)
    assert replace(Single(), n=5) == Single(5)
    with pytest.raises(TypeError, match="chased"):
        replace(before, chased=3)  # type: ignore[call-arg]


def test_a_proof_is_of_one_subject_by_the_one_who_makes_keys() -> None:
    vault, proof = Vault(MASTER, nobody, nobody, MAC), MAC.prove_destroyed(MAKER, SUBJECT)
    assert vault.proves(SUBJECT, proof) and MAC.prove_destroyed(MAKER, SUBJECT) == proof
    anothers = MAC.prove_destroyed("handling", SUBJECT)
    for subject, false in ((subject_of(2), proof), *((SUBJECT, each) for each in (None, b"", proof[:-1], bytes(32), anothers))):
        assert not vault.proves(subject, false)
    assert not Vault(MASTER, nobody, nobody).proves(SUBJECT, proof), "without keys nothing is proved"


def nobody() -> Any:
    raise AssertionError("Nobody is asked for this.")


async def test_others_have_their_turn_while_many_long_words_are_opened() -> None:
    """369 supplements of 20,000 characters. The rows are there at once, so that only opening them takes time."""
    refs = [f"intake/{n}/text" for n in range(369)]
    cipher, wrapped = Vault(MASTER, nobody, nobody).make_key(SUBJECT)
    texts = [{"ref": ref, "ciphertext": seal(cipher, SUBJECT, ref, "x" * 20_000)} for ref in refs]

    class There:
        async def fetch(self, *_: object) -> list[dict[str, Any]]:
            return [{"subject": SUBJECT, "wrapped": wrapped, "proof": None, **text} for text in texts]

    @asynccontextmanager
    async def lent() -> AsyncIterator[Any]:
        yield There()

    async def others() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    turns: list[int] = []
    waiting = asyncio.create_task(others())
    opened = await Vault(MASTER, lent, nobody).open(SUBJECT, refs)
    waiting.cancel()
    assert opened == dict.fromkeys(refs, "x" * 20_000)
    assert len(turns) >= 0.9 * 369 * 20_000 / OPENED_AT_ONCE


@pytest.mark.parametrize(("cores", "records", "more"), [(1, 10**9, 0), (2, 39_999, 0), (2, 10**9, 1), (8, 80_000, 2), (8, 10**9, 3)])
def test_a_rebuild_takes_more_processes_where_cores_and_records_are_worth_it(
    monkeypatch: pytest.MonkeyPatch, cores: int, records: int, more: int
) -> None:
    monkeypatch.setattr(filling_process, "cores", lambda: cores)
    assert filling_process.worth(records) == more


class Slow:
    """A client whose first answers come too late."""

    def __init__(self, late: int) -> None:
        self.late = late

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        await asyncio.sleep(0.01)
        self.late -= 1
        if self.late >= 0:
            raise KafkaTimeoutError
        return dict.fromkeys(places, 3)

    end_offsets = beginning_offsets


async def test_where_the_log_ends_is_asked_again_until_kafka_was_silent_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    place = TopicPartition("log", 0)
    assert await whole_log.bounds(Slow(3), [place]) == {place: (3, 3)}
    monkeypatch.setattr(whole_log, "SILENCE", 0.1)
    with pytest.raises(ConnectionError, match="does not say where the log begins and ends"):
        await whole_log.bounds(Slow(10**9), [place])
