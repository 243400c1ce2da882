"""Start the clocks that are wanted. (Handbook 6.2.1 a: from receipt, entry counts within the limit)

The classify clock starts with the registration, a resolve clock with the first classification, for its target depends on it, or with the
reopening. A clock is started even when its end is already known, so that what was late while sla-monitor was away is told as late.
"""

from __future__ import annotations

from redress_events.contracts.sla_monitor import ClockStarted
from redress_events.facts import Context, Fact
from redress_sla_monitor.domain.ends import closed_at
from redress_sla_monitor.domain.policy import Rules
from redress_sla_monitor.domain.watch import Classification, Cycle, Heard, Watch


def start(watch: Watch, context: Context, rules: Rules) -> list[Fact]:
    """`clocks_to_start` in SQL says the same. Reclassifications are left to `settle`, one after the other, as if it had been awake."""
    heard = watch.heard
    running = {(instance.clock, instance.cycle) for instance in watch.done.clocks}
    facts: list[ClockStarted] = []
    for cycle in heard.cycles:
        if cycle.starts_at is None:
            continue
        if cycle.number == 1 and ("classify", 1) not in running:
            facts.append(rules.classify(1, cycle.starts_at))
        said = _in_force(heard, cycle)
        if said and ("resolve", cycle.number) not in running and not _closed_before(heard, cycle):
            facts.append(rules.resolve(cycle.number, 1, cycle.starts_at, said))
    return [*facts]


def _in_force(heard: Heard, cycle: Cycle) -> Classification | None:
    """The last classification said before the cycle began, else the first."""
    before = [said for said in heard.classifications if cycle.starts_at and said.at <= cycle.starts_at]
    return before[-1] if before else next(iter(heard.classifications), None)


def _closed_before(heard: Heard, cycle: Cycle) -> bool:
    """It ended before there was anything to time: withdrawn, and only then classified."""
    closed = closed_at(heard, cycle.number)
    return closed is not None and closed <= min(said.at for said in heard.classifications)
