"""One subject while its records are folded: chains checked, duplicates passed over, and what cannot be folded parked.

The same steps serve the projector, a redrive and a rebuild, so that all three come to the same state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from redress_events.event import Event
from redress_spine.messaging.envelope import GENESIS, Envelope
from redress_spine.messaging.records import DecodedRecord, Record, RejectedRecord
from redress_spine.processing.projections import Changes, changes, shows_observed
from redress_spine.store import entries
from redress_spine.store.commit import cause_json
from redress_spine.store.states import Codec

BEHIND = "It came after a parked record."
SHORT = 6  # bytes kept of a version's hash: enough to tell a duplicate from a fork
# Versions of a source whose hashes are kept. What is sent again is mostly the last page of a relay, and what forks begins at the last
# versions. An older version is passed over as a duplicate: all later hashes are chained over it, and those were checked.
WINDOW = 64


@dataclass(slots=True)
class ParkedRecord:
    """A record that waits, and why."""

    record: Record
    reason: str
    detail: str


@dataclass(slots=True)
class Folding:
    """A subject's row on its way through a batch. read: by source `v` (last version), `h` (its hash), `p` (the first
    bytes of the last versions', the oldest first). unchecked: who folds many checks what it comes to together: then each new `observed`
    goes there, and is not known to be storable before that is checked."""

    subject: str
    partition: int
    codec: Codec
    observed: Any
    read: dict[str, dict[str, Any]]
    stored_cause: str = "{}"
    parked: bool = False
    touched: bool = False
    sealed: list[tuple[str, bytes]] = field(default_factory=list)
    entries: list[entries.EntryRow] = field(default_factory=list)
    waiting: list[ParkedRecord] = field(default_factory=list)
    changed_by: Envelope | None = None
    stored_own: str = "{}"
    decided: int = 0
    before: Any = None  # `observed` as it is stored
    changes: Changes | None = None  # of the projections, by `stored_own`
    unchecked: list[Any] | None = None
    _dumped: tuple[Any, str] | None = None  # what was observed, and its JSON

    def __post_init__(self) -> None:
        self.before = self.observed

    def project(self, stored_own: str | None = None) -> Changes:
        """What the folded records do to projections. stored_own: what is stored now, where something else was read.

        Raises NotProjected."""
        if not shows_observed(self.codec.aggregate, self.before, self.observed):
            return Changes()
        own = self.codec.load_own(self.stored_own if stored_own is None else stored_own)
        return changes(self.codec.aggregate, self.subject, (self.before, own), (self.observed, own))

    def saved(self) -> None:
        """Its transaction was committed; more records may follow."""
        self.sealed, self.entries, self.waiting = [], [], []
        self.before, self.changes = self.observed, None

    @property
    def observed_json(self) -> str:
        if self._dumped and self._dumped[0] is self.observed:
            return self._dumped[1]
        return self.codec.dump_observed(self.observed)

    @property
    def cause(self) -> str:
        """The last foreign event that changed the row, as `cause_json`: what work on it goes on from."""
        return self.stored_cause if self.changed_by is None else cause_json(self.changed_by)

    def take(self, item: DecodedRecord | RejectedRecord, skip: int | None = None) -> None:
        """Fold a foreign record, pass over a duplicate, or park.

        skip: somebody skipped the record when its source was read up to this version. It waits until that is so here too, then it is passed
        over, and counts as its version where it continues the chain.
        """
        if isinstance(item, DecodedRecord) and self.known(item):
            pass
        elif self.parked:
            self.wait(item.record)
        elif skip is not None:
            self._pass_over(item, skip)
        elif isinstance(item, RejectedRecord):
            self.park(item.record, item.reason, item.detail)
        elif (defect := self.defect(item) or item.problem) is not None:
            self.park(item.record, *defect)
        elif item.event is None:
            self._count(item)
        else:
            self._observe(item, item.event)

    def _pass_over(self, item: DecodedRecord | RejectedRecord, skip: int) -> None:
        if isinstance(item, DecodedRecord):
            if (defect := self.defect(item)) is None:
                self._count(item)
            elif self.version(item.envelope.source) < skip:
                self.park(item.record, *defect)

    def version(self, source: str) -> int:
        """How far this source was read."""
        return int(self.read[source]["v"]) if source in self.read else 0

    def _observe(self, item: DecodedRecord, event: Event) -> None:
        try:
            observed = self.codec.aggregate.observe(self.observed, event, item.envelope.time)
            if type(observed) is not type(self.observed):
                raise TypeError("A fold gave something else than its facet.")
            changed = observed is not self.observed and observed != self.observed
            if changed and self.unchecked is None:  # now, not when it is saved: this record is the one that cannot be folded
                self._dumped = observed, self.codec.dump_observed(observed)
            envelope, blobs = item.envelope, [blob for _, blob in item.sealed]
            entry = entries.row_of(self.codec.aggregate, event, envelope.source, envelope.version, envelope.time, blobs)
        except Exception as error:
            self.park(item.record, "fold-failed", f"{type(error).__name__} while folding {item.envelope.type}")
            return
        if changed:
            self.observed = observed
            if self.unchecked is not None:
                self.unchecked.append(observed)
            self.changed_by = item.envelope
        self.sealed.extend(item.sealed)
        if entry is not None:
            self.entries.append(entry)
        self._count(item)

    def compare(self, item: DecodedRecord, journal: Mapping[tuple[str, int], bytes]) -> None:
        """An own event read back: the journal must know it."""
        own = journal.get((item.subject, item.envelope.version))
        if own is None:
            self.park(item.record, "not-in-journal", "The log has an event of this service that its journal does not have.")
        elif own != item.record.hash:
            self.park(item.record, "fork", "The log has another event of this service under this version than its journal.")

    def park(self, record: Record, reason: str, detail: str) -> None:
        self.parked = True
        self.wait(record, reason, detail)

    def wait(self, record: Record, reason: str = "behind", detail: str = BEHIND) -> None:
        self.touched = True
        self.waiting.append(ParkedRecord(record, reason, detail))

    def known(self, item: DecodedRecord) -> bool:
        """Version and hash as read before, or older than the window: a duplicate. A fork is not."""
        known = self.read.get(item.envelope.source)
        if known is None or item.envelope.version > known["v"]:
            return False
        kept: str = known["p"]
        end = len(kept) - (known["v"] - item.envelope.version) * SHORT * 2
        return end <= 0 or kept[end - SHORT * 2 : end] == item.record.hash[:SHORT].hex()

    def defect(self, item: DecodedRecord) -> tuple[str, str] | None:
        known = self.read.get(item.envelope.source)
        last, lasthash = (known["v"], bytes.fromhex(known["h"])) if known else (0, GENESIS)
        source, version = item.envelope.source, item.envelope.version
        if version <= last:
            return "fork", f"{source} sent another event as version {version} before."
        if version > last + 1:
            return "gap", f"{source}'s version {last + 1} is missing before {version}."
        if item.prevhash != lasthash:
            return "wrong-chain", f"{source}'s version {version} is not chained to its version {last}."
        return None

    def _count(self, item: DecodedRecord) -> None:
        self.touched = True
        known = self.read.get(item.envelope.source)
        digest = item.record.hash.hex()
        prefixes = (known["p"] if known else "") + digest[: SHORT * 2]
        self.read[item.envelope.source] = {"v": item.envelope.version, "h": digest, "p": prefixes[-WINDOW * SHORT * 2 :]}


Waiting = tuple[ParkedRecord, DecodedRecord | RejectedRecord, int | None]  # a parked record, its judgement, and its skip, as in `take`
RecordPlace = tuple[str, int, int]  # topic, partition, offset


def redrive(
    folding: Folding,
    items: Iterable[Waiting],
    source: str,
    journal: Mapping[tuple[str, int], bytes],
    stay: Set[RecordPlace] = frozenset(),
    most: int | None = None,
) -> list[ParkedRecord]:
    """Fold a subject's parked records in their order, and return those that still wait.

    source, journal: whose events are not folded here, and which of them it has. One that it does not have stops all behind it.
    stay, most: see `redriven`.
    """
    foreign: list[Waiting] = []
    stuck: list[ParkedRecord] = []
    for parked, item, skip in items:
        if stuck:  # in order: nothing behind it is folded
            stuck.append(ParkedRecord(parked.record, "behind", BEHIND))
        elif not isinstance(item, DecodedRecord) or item.envelope.source != source:
            foreign.append((parked, item, skip))
        elif skip is None and (place_of(item.record) in stay or journal.get((item.subject, item.envelope.version)) != item.record.hash):
            stuck.append(parked)
    left = redriven(folding, foreign, stay, most)
    folding.parked = bool(left or stuck)
    return left + stuck


def redriven(
    folding: Folding, items: Collection[Waiting], stay: Set[RecordPlace] = frozenset(), most: int | None = None
) -> list[ParkedRecord]:
    """Fold parked records in their order and return those that still wait.

    Where the first one lacks predecessors that stand further back (they were sent again), these are taken before it, and nothing else is.
    stay: where the records stand that wait whatever could be done; it ends before the first of them.
    most: how many are folded, None for all; whoever goes on with what is left comes to the same.
    """
    left = list(items)
    folding.parked = False
    while left and (most is None or len(items) - len(left) < most):
        n = _next(folding, left, stay)
        if place_of(left[n][0].record) in stay:
            return [parked for parked, _, _ in left]
        folding.take(*left[n][1:])
        if folding.waiting:
            return [folding.waiting.pop() if m == n else parked for m, (parked, _, _) in enumerate(left)]
        del left[n]
    return [parked for parked, _, _ in left]


def _next(folding: Folding, left: Sequence[Waiting], stay: Set[RecordPlace]) -> int:
    """The place of the record to fold: the first, or the one that closes the gap before it."""
    first, skip = left[0][1:]
    if isinstance(first, DecodedRecord):
        source = first.envelope.source
        wanted = folding.version(source) + 1
        if wanted < first.envelope.version and (skip is None or wanted <= skip):
            for n, (parked, item, _) in enumerate(left):
                closes = isinstance(item, DecodedRecord) and (item.envelope.source, item.envelope.version) == (source, wanted)
                if closes and place_of(parked.record) not in stay:
                    return n
    return 0


def place_of(record: Record) -> RecordPlace:
    return record.topic, record.partition, record.offset
