"""What a person sends to triage. What it names is checked against the taxonomy and the routing table in force."""

from __future__ import annotations

from redress_chassis import Body, Short, Words
from redress_chassis.api.validation import Flaw
from redress_chassis.edge.problems import Problem, invalid
from redress_events.contracts.triage import Category, Severity
from redress_events.vocabulary import ContactKind
from redress_triage.domain.reclassify import Reclassify
from redress_triage.domain.reroute import Reroute
from redress_triage.domain.rules import Rules


class ReclassificationBody(Body):
    """kind and severity: left out, they stay as they are."""

    category: Category
    sub_category: Short
    kind: ContactKind | None = None
    severity: Severity | None = None
    reason: Words

    def command(self, rules: Rules) -> Reclassify:
        """Raises a 422 for a sub-category of another category."""
        if not rules.taxonomy.knows(self.category, self.sub_category):
            raise _unknown("/sub_category", f"The category {self.category} has no such sub-category.")
        return Reclassify(**dict(self))


class RoutingBody(Body):
    """Where it is to go, and why."""

    department: Short
    queue: Short
    reason: Words

    def command(self, rules: Rules) -> Reroute:
        """Raises a 422 for a department that is not there, and for a queue that it does not have."""
        departments = rules.table.departments
        if self.department not in departments:
            raise _unknown("/department", f"The departments are {', '.join(departments)}.")
        if not rules.table.knows(self.department, self.queue):
            raise _unknown("/queue", f"The queues of {self.department} are {', '.join(departments[self.department].queues)}.")
        return Reroute(**dict(self))


def _unknown(pointer: str, detail: str) -> Problem:
    return invalid([Flaw(pointer, detail, "value-error")])
