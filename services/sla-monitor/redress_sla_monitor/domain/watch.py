"""What sla-monitor knows of one complaint: what other services said, and the clocks it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from redress_sla_monitor.domain.observed import End, NumberedClassification, Observed
from redress_sla_monitor.domain.own import Instance, Own


@dataclass(frozen=True, slots=True)
class Watch:
    observed: Observed = Observed()
    own: Own = Own()

    def end_of(self, instance: Instance) -> End | None:
        """What ends this clock, if that is known."""
        return self.observed.ends.get(instance.key)

    def unanswered(self, instance: Instance) -> NumberedClassification | None:
        """The first classification after the one that this clock's target is from; none where it is from no classification."""
        if not instance.classification:
            return None
        return next((said for said in self.observed.classifications if said.number > instance.classification), None)

    def awaited(self, instance: Instance) -> bool:
        """It runs, it is not said to be late, and nothing is known that ends or changes it."""
        runs = instance.ended is None and instance.verdict == "none"
        return runs and self.end_of(instance) is None and self.unanswered(instance) is None

    @property
    def missing(self) -> set[str]:
        """The keys of clocks that are wanted and not started."""
        return set(self.observed.wanted) - set(self.own.started)

    @property
    def to_settle(self) -> bool:
        """A clock has an end to be told or a newer classification to be answered, or is breached though it ended in time."""
        return any(map(self._settles, self.own.clocks))

    def _settles(self, instance: Instance) -> bool:
        end = self.end_of(instance)
        if instance.ended is None:
            return end is not None or self.unanswered(instance) is not None
        return instance.verdict == "breached" and end is not None and end.at <= instance.deadline
