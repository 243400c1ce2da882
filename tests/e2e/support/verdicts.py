"""What must hold once all is quiet again, whatever was killed meanwhile, told from the log: each complaint there once and closed once, each
missed deadline breached exactly once and for good, each kept one never, or annulled once; and the public record says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from live import Live, eventually
from load import Load, Staff

from redress_spine.messaging.envelope import Envelope

GRACE = timedelta(seconds=30)  # before the last event of all: a later deadline may not be judged yet
NOTICED_WITHIN = timedelta(seconds=5)  # after the deadline, where the system is up
RECOVERY = timedelta(seconds=5)  # beyond settling: consumers find their group again, and read what has gathered


class Unrest:
    """When something was away, or had only just come back: each span is kept with the time that services take to settle and to recover."""

    def __init__(self, settle_seconds: float, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._after = RECOVERY + timedelta(seconds=settle_seconds)
        self._clock = clock
        self._times: list[tuple[datetime, datetime]] = []

    @contextmanager
    def now(self) -> Iterator[None]:
        """For the length of a block something is away."""
        began = self._clock()
        try:
            yield
        finally:
            self._times.append((began, self._clock() + self._after))

    def over(self, due: datetime) -> datetime:
        """From when on nothing kept a breach at this deadline from being noticed in time: the deadline itself, or the end of the span that
        overlaps the time it may take. A span that begins before that time is up again holds it back further."""
        free = due
        for began, ended in sorted(self._times):
            if began <= free + NOTICED_WITHIN and due <= ended:
                free = max(free, ended)
        return free


class Deadline(NamedTuple):
    subject: str
    clock: str
    cycle: int
    n: int


def ends_well(live: Live, load: Load, staff: Staff, unrest: Unrest, within: float = 120.0) -> None:
    """People work until all that was answered is closed; then there is nothing that is not as it must be."""
    expected = {f"complaint/{each}" for each in load.complaints}

    def all_closed() -> bool:
        staff.turn()
        return expected <= set(live.events("callback", "complaint-closed"))

    eventually(all_closed, "everything is closed", within)
    live.idle()
    assert wrong(live, load, unrest) == []


def wrong(live: Live, load: Load, unrest: Unrest) -> list[str]:
    """In words, what is not as it must be, once all is quiet and all complaints of the load are closed."""
    log, complaints = live.log(), load.complaints
    return [
        *live.wrong(),
        *live.not_once(complaints, log),
        *load.doubled(),
        *not_published_once(log, complaints),
        *wrong_verdicts(log),
        *noticed_late(log, complaints, unrest),
    ]


def wrong_verdicts(log: Sequence[Envelope]) -> list[str]:
    """Deadlines that were judged otherwise than the other services' events say; `log` is every event once."""
    started, breaches, annulments = (of(log, "sla-monitor", name) for name in ("clock-started", "deadline-breached", "breach-annulled"))
    times, breached, annulled = (Counter(map(deadline_of, events)) for events in (started, breaches, annulments))
    cancelled = of(log, "sla-monitor", "clock-cancelled")
    renewed = {deadline_of(each): instant(each, "cancelled_at") for each in cancelled if each.data["reason"] == "new-target"}
    ends, until = _ends(log), max((each.time for each in log), default=datetime.min.replace(tzinfo=UTC))
    found = [f"{each} was started {count} times" for each, count in times.items() if count > 1]
    for event in started:
        which, due = deadline_of(event), instant(event, "deadline")
        end = renewed.get(which) or ends.get(which[:3])
        told = f"{which} due at {due}, its end at {end}: breached {breached[which]} times, annulled {annulled[which]} times"
        if end is not None and end <= due:
            allowed = {(0, 0), (1, 1)}
        elif end is not None or due < until - GRACE:
            allowed = {(1, 0)}
        else:
            allowed = {(0, 0), (1, 0)} if due < until else {(0, 0)}
        if (breached[which], annulled[which]) not in allowed:
            found.append(told)
    return found


def noticed_late(log: Sequence[Envelope], complaints: Sequence[str], unrest: Unrest) -> list[str]:
    """Breaches of these that were noticed more than five seconds after their deadline, or after all that was away was back."""
    found, ours = [], {f"complaint/{each}" for each in complaints}
    for event in of(log, "sla-monitor", "deadline-breached"):
        due, noticed = instant(event, "deadline"), instant(event, "noticed_at")
        if event.subject in ours and noticed > (free := unrest.over(due)) + NOTICED_WITHIN:
            found.append(f"{deadline_of(event)} due at {due}, with nothing away from {free} on, was noticed at {noticed}")
    return found


def not_published_once(log: Sequence[Envelope], complaints: Sequence[str]) -> list[str]:
    """Complaints that were not closed once, or whose last public record does not name the breaches that hold."""
    closings = Counter(each.subject for each in of(log, "callback", "complaint-closed"))
    public = {each.subject: each for each in sorted(of(log, "callback", "closed-complaint"), key=lambda event: event.version)}
    breached, annulled = ({deadline_of(each) for each in of(log, "sla-monitor", name)} for name in ("deadline-breached", "breach-annulled"))
    held: dict[str, set[str]] = {}
    for each in breached - annulled:
        held.setdefault(each.subject, set()).add(f"{each.clock}/{each.cycle}")
    found = []
    for complaint in complaints:
        subject, record = f"complaint/{complaint}", public.get(f"closed/{complaint}")
        if closings[subject] != 1 or record is None:
            found.append(f"{subject} was closed {closings[subject]} times, and its public record is {record}")
        elif (record.data["revision"], set(record.data["breaches"])) != (record.version, held.get(subject, set())):
            found.append(f"{subject} has the breaches {held.get(subject)}, and its public record says {record.data['breaches']}")
    return found


def of(log: Sequence[Envelope], source: str, name: str) -> list[Envelope]:
    return [each for each in log if each.source == source and each.type.startswith(f"redress.{source}.{name}.")]


def deadline_of(event: Envelope) -> Deadline:
    return Deadline(event.subject, event.data["clock"], event.data["cycle"], event.data["n"])


def instant(event: Envelope, field: str) -> datetime:
    return datetime.fromisoformat(event.data[field])


def _ends(log: Sequence[Envelope]) -> dict[tuple[Any, ...], datetime]:
    """When each clock's task was done, as the others said it: the earliest of what meets or ends it."""
    ends: dict[tuple[Any, ...], datetime] = {}
    for event in log:
        if event.type.startswith("redress.triage.complaint-classified."):
            which = [(event.subject, "classify", 1)]
        elif event.type.startswith(("redress.handling.case-resolved.", "redress.handling.case-rejected.")):
            which = [(event.subject, "resolve", event.data["cycle"])]
        elif event.type.startswith("redress.callback.complaint-closed."):
            which = [(event.subject, "classify", 1), *((event.subject, "resolve", cycle) for cycle in range(1, event.data["cycle"] + 1))]
        else:
            continue
        for each in which:
            ends[each] = min(event.time, ends.get(each, event.time))
    return ends
