"""A policy: which clock has which target. Data from a file, and the clocks started by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from redress_events.contracts.sla_monitor import ClockName, ClockStarted
from redress_events.contracts.triage import Category, Severity
from redress_events.vocabulary import ContactKind
from redress_sla_monitor.domain.calendar import Calendar, FileModel
from redress_sla_monitor.domain.deadline import compute_deadline
from redress_sla_monitor.domain.observed import NumberedClassification
from redress_sla_monitor.domain.target import Target, WrittenTarget

Share = Annotated[Decimal, Field(gt=0, le=1)]


class FixedClock(FileModel):
    """One target for every complaint."""

    target: WrittenTarget


class ResolveClock(FileModel):
    """kinds wins over categories, categories over target; then severities gives the share of it."""

    target: WrittenTarget
    kinds: dict[ContactKind, WrittenTarget] = Field(default_factory=dict)
    categories: dict[Category, WrittenTarget] = Field(default_factory=dict)
    severities: dict[Severity, Share] = Field(default_factory=dict)

    def target_of(self, classification: NumberedClassification) -> Target:
        target = self.kinds.get(classification.kind) or self.categories.get(classification.category) or self.target
        return target.share(self.severities.get(classification.severity, Decimal(1)))


class Clocks(FileModel):
    classify: FixedClock
    resolve: ResolveClock


class ClockPolicy(FileModel):
    """`name` is what events carry; what a name stands for never changes."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    version: int = Field(ge=1)
    calendar: str
    clocks: Clocks

    @property
    def name(self) -> str:
        return f"{self.id}@{self.version}"


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy in force. calendars: all that were ever published, by their names: to explain an old deadline needs an old one."""

    policy: ClockPolicy
    calendars: Mapping[str, Calendar]

    @property
    def calendar(self) -> Calendar:
        """The one that the policy names."""
        return self.calendars[self.policy.calendar]

    def classify(self, cycle: int, starts_at: datetime) -> ClockStarted:
        return self._clock("classify", cycle, 1, starts_at, self.policy.clocks.classify.target, 0)

    def resolve(self, cycle: int, n: int, starts_at: datetime, classification: NumberedClassification) -> ClockStarted:
        target = self.policy.clocks.resolve.target_of(classification)
        return self._clock("resolve", cycle, n, starts_at, target, classification.number)

    def _clock(self, clock: ClockName, cycle: int, n: int, starts_at: datetime, target: Target, classification: int) -> ClockStarted:
        computed = compute_deadline(starts_at, target, self.calendar)
        return ClockStarted(
            clock=clock,
            cycle=cycle,
            n=n,
            policy=self.policy.name,
            calendar=self.calendar.name,
            target=str(target),
            starts_at=starts_at,
            deadline=computed.deadline,
            classification=classification,
            provisional=computed.provisional,
        )
