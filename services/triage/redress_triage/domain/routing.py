"""The routing table: which department and queue a complaint goes to, read from a file. (Handbook 6.2.1 b, emergency plan 3)"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from redress_events.contracts.triage import Category
from redress_events.vocabulary import ContactKind
from redress_triage.domain.taxonomy import Names, Part


class Desk(Part):
    """Where a complaint stands: a department, and one of its queues."""

    department: str
    queue: str


class Department(Part):
    names: Names
    queues: tuple[str, ...]


class Rule(Desk):
    """What is not named fits anything."""

    kind: ContactKind | None = None
    category: Category | None = None
    sub_category: str | None = None

    @property
    def desk(self) -> Desk:
        return Desk(department=self.department, queue=self.queue)

    def fits(self, category: Category, sub_category: str, kind: ContactKind) -> bool:
        asked = ((self.category, category), (self.sub_category, sub_category), (self.kind, kind))
        return all(wanted in (None, given) for wanted, given in asked)


class RoutingTable(Part):
    departments: dict[str, Department]
    review: Desk
    rules: tuple[Rule, ...]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for place, desk in (("review", self.review), *((f"rules.{n}", rule) for n, rule in enumerate(self.rules))):
            if not self.knows(desk.department, desk.queue):
                desks = "; ".join(f"{name}: {', '.join(department.queues)}" for name, department in self.departments.items())
                raise ValueError(
                    f"{place}: no department {desk.department!r} with a queue {desk.queue!r}; departments and their queues are {desks}"
                )
        last = self.rules[-1] if self.rules else None
        if last is None or (last.kind, last.category, last.sub_category) != (None, None, None):
            raise ValueError("the last rule must match every complaint, so that each reaches a department")
        return self

    def knows(self, department: str, queue: str) -> bool:
        return department in self.departments and queue in self.departments[department].queues

    def desk(self, category: Category, sub_category: str, kind: ContactKind) -> Desk:
        """Of the first rule that fits."""
        return next(rule.desk for rule in self.rules if rule.fits(category, sub_category, kind))
