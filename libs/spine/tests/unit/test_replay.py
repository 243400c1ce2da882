"""One redrive at the end of the log comes to what projector and operators came to, however often and whenever these redrove and skipped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from spine_log import STATES, Author, Sent, subject_of
from spine_stack import HANDLING_AGGREGATE, registered

from redress_events.contracts import CONTRACTS, HANDLING, TRIAGE
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.contracts.triage import ComplaintRouted
from redress_spine.messaging.records import DeadLetter, DecodedRecord, Reader, Record, RejectedRecord
from redress_spine.processing.replay import Replay
from redress_spine.store.fold import Folding, ParkedRecord, Place, place_of, redrive
from redress_spine.store.states import Codec

SUBJECT = subject_of(1)
READER = Reader("handling", {"complaint": HANDLING_AGGREGATE}, CONTRACTS, 4)
OPENED = CaseOpened(cycle=1, routing=1, department="d")


def fresh() -> Folding:
    return Folding(SUBJECT, STATES.partition(SUBJECT), Codec(HANDLING_AGGREGATE), HANDLING_AGGREGATE.facets[0](), {})


def said() -> list[Sent]:
    """What may come, in any order and number: two services' streams, what nobody can read, forks, and what calls itself ours."""
    intake = Author(SUBJECT).say(registered(), *(ComplaintChased(chase=n) for n in range(1, 6)))
    triage = Author(SUBJECT, TRIAGE).say(*(ComplaintRouted(routing=n, department="network", queue="radio") for n in (1, 2, 3)))
    ours, theirs = (Author(SUBJECT, HANDLING).say(OPENED, event) for event in (OPENED, replace_department()))
    malformed = replace(intake[2], value=b"{")
    unknown = orjson.loads(intake[1].value or b"") | {"type": "redress.intake.complaint-chased.v9"}
    own = dict(intake[1].headers)
    from redress_spine.messaging.envelope import chain

    newer = orjson.dumps(unknown)
    unread = replace(intake[1], value=newer, headers=[*(own | {"hash": chain(own["prevhash"], newer)}).items()])
    fork = Author(SUBJECT).say(registered("something else"))[0]
    return [*intake, *triage, malformed, unread, fork, ours[0], theirs[1]]


def replace_department() -> CaseOpened:
    return CaseOpened(cycle=1, routing=1, department="another")


SAID = said()
JOURNAL = {(SUBJECT, 1): dict(Author(SUBJECT, HANDLING).say(OPENED)[0].headers)["hash"]}


@dataclass
class Live:
    """Projector, parking and operator, without the servers."""

    folding: Folding = field(default_factory=fresh)
    log: list[Record] = field(default_factory=list)
    queue: list[ParkedRecord] = field(default_factory=list)
    skips: dict[Place, int] = field(default_factory=dict)

    def deliver(self, sent: Sent) -> None:
        record = sent.record(len(self.log))
        self.log.append(record)
        item = judged(record)
        if isinstance(item, DecodedRecord) and item.envelope.source == "handling":
            self.folding.compare(item, JOURNAL)
        else:
            self.folding.take(item)
        self._keep()

    def redrive(self) -> None:
        if self.queue:
            items = [(each, judged(each.record), self.skips.get(place_of(each.record))) for each in self.queue]
            self.queue = redrive(self.folding, items, "handling", JOURNAL)

    def skip(self) -> None:
        if self.queue:
            first = judged(self.queue[0].record)
            self.skips[place_of(first.record)] = self.folding.version(first.envelope.source) if isinstance(first, DecodedRecord) else 0
            self.redrive()

    def _keep(self) -> None:
        self.queue += self.folding.waiting
        self.folding.waiting = []


def judged(record: Record) -> DecodedRecord | RejectedRecord:
    item = READER.judge(record)
    assert not isinstance(item, DeadLetter)
    return item


def replayed(log: list[Record], stay: frozenset[Place], skips: dict[Place, int]) -> Replay:
    replay = Replay(fresh(), stay)
    for record in log:
        item, skip = judged(record), skips.get(place_of(record))
        if not (isinstance(item, DecodedRecord) and item.envelope.source == "handling"):
            replay.take(item, skip)
        elif skip is None:
            replay.compare(item, JOURNAL)
    replay.settle("handling", JOURNAL)
    return replay


def state(folding: Folding) -> tuple[str, object, bool, list[str]]:
    return folding.codec.dump_observed(folding.observed), folding.read, folding.parked, sorted(ref for ref, _ in folding.sealed)


steps = st.lists(st.one_of(st.integers(0, len(SAID) - 1), st.integers(0, 8), st.sampled_from(["redrive", "skip"])), max_size=40)


@settings(deadline=None, max_examples=1_500)
@given(steps)
def test_whatever_operators_did_the_replay_comes_to_the_live_state(history: list[int | str]) -> None:
    live = Live()
    for step in history:
        live.redrive() if step == "redrive" else live.skip() if step == "skip" else live.deliver(SAID[int(step)])
    replay = replayed(live.log, frozenset(place_of(each.record) for each in live.queue), live.skips)
    assert state(replay.folding) == state(live.folding)
    assert (replay.strange, replay.foldable) == (frozenset(), None)
