"""Report progress: what was found or done since, for the customer and for those who watch. (SOP 2.2)"""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.handling import ProgressReported
from redress_events.event import Event
from redress_handling.domain.case import Case, expect_accepted
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class ReportProgress:
    note: str


def report_progress(case: Case, command: ReportProgress, context: Context) -> list[Event]:
    expect_accepted(case, context)
    return [ProgressReported(cycle=case.own.cycle, note=command.note)]
