"""What projector and operators together must have made of one subject's records, told from the log, the skips and what still waits.

Nobody writes down when a subject was redriven, and nobody needs to. Records are folded in the log's order, but for those that close a gap
before an earlier one; a redrive goes on where the one before was stuck. So one redrive at the end, which goes no further than to the
records that still wait, comes to the same state as however many there were (a property test draws such histories).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from redress_spine.messaging.records import DecodedRecord, Record, RejectedRecord
from redress_spine.store.fold import Folding, ParkedRecord, RecordPlace, Waiting, place_of, redrive


@dataclass(slots=True)
class Replay:
    """stay: where the records stand that wait in the live state, to be told before they come."""

    folding: Folding
    stay: Set[RecordPlace] = frozenset()
    foldable: Record | None = None  # waits, and could be folded: only another release or database than today's could not
    strange: frozenset[RecordPlace] = frozenset()  # wait there and not by the log, or the other way round
    _items: list[Waiting] = field(default_factory=list)

    def take(self, item: DecodedRecord | RejectedRecord, skip: int | None) -> None:
        """The next foreign record of the log."""
        folding = self.folding
        if place_of(item.record) not in self.stay:
            folding.take(item, skip)
        elif folding.parked:
            folding.wait(item.record)
        else:
            before = folding.observed, dict(folding.read), folding.changed_by
            sealed, entered = len(folding.sealed), len(folding.entries)
            folding.take(item)
            if not folding.parked:
                folding.observed, folding.read, folding.changed_by = before
                del folding.sealed[sealed:], folding.entries[entered:]
                folding.park(item.record, "stays", "")
                self.foldable = item.record
        self._remember(item, skip)

    def compare(self, item: DecodedRecord, journal: Mapping[tuple[str, int], bytes]) -> None:
        """The next record of the log that calls itself an own event, and that nobody skipped."""
        self.folding.compare(item, journal)
        if place_of(item.record) in self.stay and len(self.folding.waiting) == len(self._items):
            self.folding.park(item.record, "stays", "")
            self.foldable = item.record
        self._remember(item, None)

    def _remember(self, item: DecodedRecord | RejectedRecord, skip: int | None) -> None:
        if len(self.folding.waiting) > len(self._items):
            self._items.append((self.folding.waiting[-1], item, skip))

    def settle(self, source: str, journal: Mapping[tuple[str, int], bytes]) -> None:
        """At the log's end: redrive as far as it was redriven."""
        folding = self.folding
        folding.waiting = []
        left = redrive(folding, self._items, source, journal, self.stay) if self._items else []
        there = {place_of(parked.record) for parked in left if self._counts(parked)}
        self.strange = frozenset(there ^ self.stay)
        folding.parked = bool(left)
        self._items = []

    def _counts(self, parked: ParkedRecord) -> bool:
        """One that is known by now may wait or not: it does where it came before that which it repeats was folded. So may one that is to be
        passed over by now: it does where it closed no gap of a record before it."""
        if place_of(parked.record) in self.stay:
            return True
        item, skip = next((item, skip) for each, item, skip in self._items if each.record is parked.record)
        if not isinstance(item, DecodedRecord):
            return True
        return not (self.folding.known(item) or (skip is not None and self.folding.version(item.envelope.source) >= skip))
