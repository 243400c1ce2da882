"""What services hold up: parked subjects with the record that each stumbled over, and records that belong to no subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redress_cli.api import SHORT, Api, NoAnswer, good, of_each
from redress_cli.installation import Installation

PAGE = 200
ParkedRow = dict[str, Any]
Held = tuple[list[ParkedRow], list[ParkedRow]]


@dataclass(frozen=True)
class RecordFilter:
    """Which of the records that are in the way: all that every given condition holds for."""

    subject: str | None = None
    place: tuple[str | None, int, int] | None = None
    reason: str | None = None
    type: str | None = None
    aside_alone: bool = False

    @property
    def one(self) -> bool:
        """What is in the way now, and not all that is of a kind."""
        return self.subject is not None or self.place is not None

    def holds(self, row: ParkedRow) -> bool:
        if self.place is not None:
            topic, *place = self.place
            if [row["partition"], row["offset"]] != place or topic not in (None, row["topic"]):
                return False
        return self.reason in (None, row["reason"]) and self.type in (None, row["type"])


def held_by(api: Api, service: str, wanted: RecordFilter) -> Held:
    """What of that kind a service holds. Raises NoAnswer."""
    parked, aside = list[ParkedRow](), list[ParkedRow]()
    after, aside_after = "", "/0@0"
    while True:
        page = good(service, api.ask(service, "/ops/parked", after=after, aside_after=aside_after, subject=wanted.subject))
        parked += [row for row in page["parked"] if wanted.holds(row)] if not wanted.aside_alone else []
        aside += [row for row in page["dead_letters"] if wanted.holds(row)] if wanted.subject is None else []
        if wanted.subject or max(len(page["parked"]), len(page["dead_letters"])) < PAGE:
            return parked, aside
        after = page["parked"][-1]["subject"] if page["parked"] else after
        aside_after = place_of(page["dead_letters"][-1]) if page["dead_letters"] else aside_after


def parked_of(where: Installation, subject: str) -> tuple[dict[str, ParkedRow], list[str]]:
    """By service: the record that this subject stumbled over there. And which services do not say, in a message each."""
    api, wanted = Api(where, "ops", patience=SHORT), RecordFilter(subject)
    found, unsaid = dict[str, ParkedRow](), list[str]()
    for service, answer in of_each(where.answering(), lambda service: held_by(api, service, wanted)):
        if isinstance(answer, NoAnswer):
            unsaid.append(f"Whether it is parked in {service} is not known. {answer}")
        elif answer[0]:
            found[service] = answer[0][0]
    return found, unsaid


def place_of(row: ParkedRow) -> str:
    return f"{row['topic']}/{row['partition']}@{row['offset']}"
