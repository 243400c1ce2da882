"""One redrive at the end of the log comes to what projector and operators came to, however often and whenever these redrove and skipped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from spine_log import STATES, Author, Sent, subject_of
from spine_stack import HANDLING_AGGREGATE, MAC, registered

from redress_events.contracts import CONTRACTS, HANDLING, TRIAGE
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.contracts.triage import ComplaintRouted
from redress_spine.messaging.records import DeadLetter, DecodedRecord, Elsewhere, Reader, Record, RejectedRecord
from redress_spine.processing.replay import Replay
from redress_spine.store.fold import Folding, ParkedRecord, RecordPlace, place_of, redrive
from redress_spine.store.states import Codec

SUBJECT = subject_of(1)
READER = Reader("handling", {"complaint": HANDLING_AGGREGATE}, CONTRACTS, 4, MAC)
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
    skips: dict[bytes, int] = field(default_factory=dict)

    def deliver(self, sent: Sent) -> None:
        record = sent.record(len(self.log))
        self.log.append(record)
        item, skip = judged(record), self.skips.get(record.content)
        if not (isinstance(item, DecodedRecord) and item.envelope.source == "handling"):
            self.folding.take(item, skip)
        elif skip is None:
            self.folding.compare(item, JOURNAL)
        self._keep()

    def redrive(self) -> None:
        if self.queue:
            items = [(each, judged(each.record), self.skips.get(each.record.content)) for each in self.queue]
            self.queue = redrive(self.folding, items, "handling", JOURNAL)

    def skip(self, which: int) -> None:
        """Any record that waits: another service may have stumbled over it, and here it waits behind something else. Not a copy of what was
        folded: nobody may decide that this was not."""
        if self.queue:
            item = judged(self.queue[which % len(self.queue)].record)
            if not (isinstance(item, DecodedRecord) and self.folding.known(item)):
                self.decide(item.record, self.folding.version(item.envelope.source) if isinstance(item, DecodedRecord) else 0)
            self.redrive()

    def skip_before_it_comes(self, sent: Sent) -> None:
        """What no release can fold, and another service read first."""
        record = sent.record()
        if isinstance(judged(record), RejectedRecord):
            self.decide(record, 0)

    def decide(self, record: Record, reached: int) -> None:
        self.skips.setdefault(record.content, reached)

    def _keep(self) -> None:
        self.queue += self.folding.waiting
        self.folding.waiting = []


def judged(record: Record) -> DecodedRecord | RejectedRecord:
    item = READER.judge(record)
    assert not isinstance(item, DeadLetter | Elsewhere)
    return item


def replayed(log: list[Record], stay: frozenset[RecordPlace], skips: dict[bytes, int]) -> Replay:
    replay = Replay(fresh(), stay)
    for record in log:
        item, skip = judged(record), skips.get(record.content)
        if not (isinstance(item, DecodedRecord) and item.envelope.source == "handling"):
            replay.take(item, skip)
        elif skip is None:
            replay.compare(item, JOURNAL)
    replay.settle("handling", JOURNAL)
    return replay


def state(folding: Folding) -> tuple[str, object, bool, list[str]]:
    return folding.codec.dump_observed(folding.observed), folding.read, folding.parked, sorted(ref for ref, _ in folding.sealed)


STEPS = {
    "deliver": lambda live, n: live.deliver(SAID[n % len(SAID)]),
    "begin": lambda live, n: live.deliver(SAID[n % 9]),
    "redrive": lambda live, n: live.redrive(),
    "skip": lambda live, n: live.skip(0 if n % 2 else n),
    "skip before": lambda live, n: live.skip_before_it_comes(SAID[n % len(SAID)]),
}
OFTEN = ["deliver", "deliver", "deliver", "begin", "begin", "begin", "redrive", "skip", "skip before"]
steps = st.lists(st.tuples(st.sampled_from(OFTEN), st.integers(0, len(SAID) - 1)), max_size=40)


@settings(deadline=None, max_examples=1_500)
@given(steps)
def test_whatever_operators_did_the_replay_comes_to_the_live_state(history: list[tuple[str, int]]) -> None:
    live = Live()
    for step, n in history:
        STEPS[step](live, n)
    replay = replayed(live.log, frozenset(place_of(each.record) for each in live.queue), live.skips)
    assert state(replay.folding) == state(live.folding)
    assert (replay.strange, replay.foldable) == (frozenset(), None)
