"""What sla-monitor knows of one complaint: what other services said, and the clocks it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.facts import Kind
from redress_sla_monitor.domain.done import Done, Instance, did
from redress_sla_monitor.domain.heard import HEARS, Classification, End, Heard, hear


@dataclass(frozen=True, slots=True)
class Watch:
    heard: Heard = Heard()
    done: Done = Done()

    def end_of(self, instance: Instance) -> End | None:
        """What ends this clock, if that is known."""
        return self.heard.ends.get(instance.key)

    def unanswered(self, instance: Instance) -> Classification | None:
        """The first classification after the one that this clock's target is from."""
        if instance.clock == "classify":
            return None
        return next((said for said in self.heard.classifications if said.number > instance.classification), None)

    def awaited(self, instance: Instance) -> bool:
        """It runs, it is not said to be late, and nothing is known that ends or changes it: `next_breach` in SQL."""
        runs = instance.ended is None and instance.verdict == "none"
        return runs and self.end_of(instance) is None and self.unanswered(instance) is None


KIND = Kind(Watch, hear, did, HEARS)
