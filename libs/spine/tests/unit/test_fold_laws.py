"""The same log gives the same state, however often and in whatever legal order it comes; what cannot be folded parks, by its reason."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spine_log import STATES, Author, Sent, subject_of
from spine_stack import HANDLING_AGGREGATE, MAC, registered

from redress_events.contracts import CONTRACTS, HANDLING, TRIAGE
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented
from redress_events.contracts.triage import ComplaintRouted
from redress_spine.aggregate import Aggregate
from redress_spine.messaging.envelope import chain
from redress_spine.messaging.records import DeadLetter, DecodedRecord, Elsewhere, Reader
from redress_spine.store.commit import Provenance, prepare
from redress_spine.store.fold import SHORT, WINDOW, Folding, ParkedRecord, Waiting, redriven
from redress_spine.store.states import Codec

SUBJECT = subject_of(1)
READER = Reader("handling", {"complaint": HANDLING_AGGREGATE}, CONTRACTS, 4, MAC)
ROUTED = ComplaintRouted(routing=1, department="network", queue="radio")
laws = settings(deadline=None, max_examples=60)


def folding(aggregate: Aggregate = HANDLING_AGGREGATE) -> Folding:
    return Folding(SUBJECT, STATES.partition(SUBJECT), Codec(aggregate), aggregate.facets[0](), {})


def take(into: Folding, *sent: Sent, reader: Reader = READER) -> Folding:
    for offset, each in enumerate(sent):
        item = reader.judge(each.record(offset))
        assert not isinstance(item, DeadLetter | Elsewhere), item
        into.take(item)
    return into


def state(of: Folding) -> tuple[str, str, bool]:
    return of.codec.dump_observed(of.observed), orjson.dumps(of.read, option=orjson.OPT_SORT_KEYS).decode(), of.parked


def log(chases: int = 4) -> list[Sent]:
    """Two services' streams of one subject, each in its order."""
    intake, triage = Author(SUBJECT), Author(SUBJECT, TRIAGE)
    events = [*intake.say(registered())]
    for n in range(1, chases + 1):
        events += intake.say(ComplaintChased(chase=n, text="still nothing")) + triage.say(ROUTED)
    return events


def changed(sent: Sent, rechain: bool = True, **attributes: Any) -> Sent:
    """The record with other attributes in its envelope, and a true hash over them."""
    value = orjson.dumps(orjson.loads(sent.value or b"") | attributes)
    own = dict(sent.headers)
    return replace(sent, value=value, headers=[*(own | ({"hash": chain(own["prevhash"], value)} if rechain else {})).items()])


@laws
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=5), st.booleans())
def test_stretches_that_are_sent_again_change_nothing(again: list[tuple[int, int]], twice: bool) -> None:
    once = log()
    delivered = list(once)
    for end, length in again:
        at = min(end, len(delivered))
        delivered[at:at] = once[max(0, at - length) : at] if delivered[:at] == once[:at] else []
    delivered += once if twice else []
    assert state(take(folding(), *delivered)) == state(take(folding(), *once))


def test_of_each_source_the_last_versions_are_known_by_their_hash_and_older_ones_are_passed_over() -> None:
    intake = Author(SUBJECT)
    whole = intake.say(registered(), *(ComplaintChased(chase=n) for n in range(1, 3 * WINDOW)))
    into = take(folding(), *whole)
    kept = into.read["intake"]
    assert (kept["v"], kept["h"], len(kept["p"])) == (3 * WINDOW, dict(whole[-1].headers)["hash"].hex(), WINDOW * SHORT * 2)
    before = state(into)
    assert state(take(into, *whole)) == before, "what is sent again changes something, within the window or before it"
    in_window = Author(SUBJECT).say(registered(), *(ComplaintChased(chase=7) for _ in range(1, 3 * WINDOW)))[-WINDOW]
    assert [each.reason for each in take(into, in_window).waiting] == ["fork"]


@laws
@given(st.randoms(use_true_random=False), st.integers(0, 5))
def test_own_events_among_foreign_ones_in_any_order_give_the_same_state(rng: random.Random, opened: int) -> None:
    foreign = log(3)
    turns = [True] * opened + [False] * len(foreign)
    rng.shuffle(turns)
    into, own = folding(), STATES.fresh(SUBJECT)
    left = list(foreign)
    for turn in turns:
        if turn:
            event = CaseOpened(cycle=1, routing=1, department="d")
            item = prepare(HANDLING, STATES.codec(SUBJECT), own, [event], registered().received_at, Provenance("timer", "t"))
            own = replace(own, version=item.version, hash=item.events[-1][5], own=item.own)
        else:
            take(into, left.pop(0))
    assert state(into) == state(take(folding(), *foreign))
    assert own.own.opened == own.version == opened


@laws
@given(st.permutations(range(7)), st.sets(st.integers(0, 6)))
def test_records_redriven_out_of_order_are_folded_in_order_once_all_are_there(order: list[int], missing: set[int]) -> None:
    intake = Author(SUBJECT)
    whole = intake.say(registered(), *(ComplaintChased(chase=n) for n in range(1, 7)))
    into = take(folding(), *(whole[n] for n in order if n not in missing))
    into = take(into, *(whole[n] for n in sorted(missing)))
    waiting = [(each, READER.judge(each.record), None) for each in into.waiting]
    into.waiting = []
    assert redriven(into, [each for each in waiting if not isinstance(each[1], DeadLetter)]) == []  # type: ignore[misc]
    assert state(into) == state(take(folding(), *whole))


def test_a_redrive_folds_nothing_behind_what_is_still_missing() -> None:
    intake, triage = Author(SUBJECT), Author(SUBJECT, TRIAGE)
    first, lost, third = intake.say(registered(), ComplaintChased(chase=1), ComplaintChased(chase=2))
    (behind,) = triage.say(ROUTED)
    into = take(folding(), first, third, behind)
    before = state(into)
    items: list[Waiting] = []
    for each in into.waiting:
        item = READER.judge(each.record)
        assert not isinstance(item, DeadLetter | Elsewhere)
        items.append((each, item, None))
    into.waiting = []
    assert [each.reason for each in redriven(into, items)] == ["gap", "behind"]
    assert state(into) == before, "triage's event was folded though it stands behind a gap"
    late = READER.judge(lost.record(9))
    assert isinstance(late, DecodedRecord)
    assert redriven(into, [*items, (ParkedRecord(late.record, "behind", ""), late, None)]) == []
    assert set(into.read) == {"intake", "triage"} and into.observed.chases == 2


def bad_records() -> dict[str, list[Sent]]:
    """By the reason under which the last one of each list must park."""
    first, second, third = Author(SUBJECT).say(registered(), ComplaintChased(chase=1), ComplaintChased(chase=2))
    fork = Author(SUBJECT).say(registered("something else"))[0]
    own = dict(second.headers)
    data = orjson.loads(first.value or b"")["data"]
    elsewhere = replace(second, headers=[*(own | {"prevhash": bytes(32), "hash": chain(bytes(32), second.value or b"")}).items()])
    return {
        "gap": [first, third],
        "fork": [first, second, fork],
        "wrong-chain": [first, elsewhere],
        "unknown-version": [changed(first, type="redress.intake.complaint-registered.v2")],
        "broken-schema": [changed(first, data=data | {"channel": "pigeon"})],
        "broken-schema ": [changed(first, data=data | {"received_at": "0001-01-01T00:00:00+14:00"})],
        "not-sealed": [changed(first, data=data | {"text": "in clear"})],
        "wrong-hash": [changed(first, rechain=False, actor="somebody else")],
        "no-chain": [replace(first, headers=[])],
        "malformed": [replace(first, value=b'{"specversion"')],
        "malformed ": [replace(first, value=(first.value or b"").replace(b'"X"', b'"\\u0000"'))],
        "malformed  ": [replace(first, value=None)],
    }


@pytest.mark.parametrize("reason", bad_records())
def test_what_cannot_be_folded_parks_the_subject_and_what_follows_waits_behind_it(reason: str) -> None:
    records = bad_records()[reason]
    good = take(folding(), *records[:-1])
    assert not good.parked
    last = Author(SUBJECT, TRIAGE).say(ROUTED)
    into = take(folding(), *records, *last)
    assert [each.reason for each in into.waiting] == [reason.strip(), "behind"] and into.parked
    assert state(into)[:2] == state(good)[:2]
    assert not any("clear" in each.detail for each in into.waiting)


def test_a_type_that_nobody_listens_to_counts_its_version() -> None:
    into = take(folding(), *Author(SUBJECT).say(registered(), ComplaintSupplemented(supplement=1, text="more"), ComplaintChased(chase=1)))
    assert (into.parked, into.read["intake"]["v"], into.observed.chases) == (False, 3, 1)


def test_a_skipped_record_that_continues_the_chain_counts_as_its_version() -> None:
    first, second, third = Author(SUBJECT).say(registered(), ComplaintChased(chase=1), ComplaintChased(chase=2))
    into = take(folding(), first)
    broken = READER.judge(second.record(1))
    assert isinstance(broken, DecodedRecord)
    into.take(broken, skip=1)
    assert (take(into, third).parked, into.observed.chases) == (False, 1)


@pytest.mark.parametrize("wrong", ["raises", "no facet"])
def test_a_fold_that_fails_parks(wrong: str) -> None:
    def observe(observed: Any, event: Any, at: Any) -> Any:
        if isinstance(event, ComplaintRegistered):
            return observed
        if wrong == "raises":
            raise KeyError("the customer's words")
        return None

    aggregate = replace(HANDLING_AGGREGATE, observe=observe)
    into = take(folding(aggregate), *Author(SUBJECT).say(registered(), ComplaintChased(chase=1)))
    assert [(each.reason, "words" in each.detail) for each in into.waiting] == [("fold-failed", False)]
    assert into.codec.load_observed(into.codec.dump_observed(into.observed)) == into.observed


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(st.none(), st.binary(max_size=60), st.just(SUBJECT.encode())),
    st.one_of(st.none(), st.binary(max_size=200), st.just(log()[0].value)),
    st.dictionaries(st.sampled_from(["hash", "prevhash", "id", "é"]), st.binary(max_size=40)),
    st.integers(0, 3),
)
def test_any_bytes_at_all_get_a_judgement(key: bytes | None, value: bytes | None, own: dict[str, bytes], partition: int) -> None:
    item = READER.judge(Sent(key, value, [*own.items()], partition).record())
    if not isinstance(item, DeadLetter | Elsewhere):
        folding().take(item)
