"""How much one complaint may hold of what the customer adds: far above what people do, so that a program gone wrong is told."""

from __future__ import annotations

from dataclasses import dataclass

from redress_intake.domain.complaint import Complaint, instead_of
from redress_spine.aggregate import CommandRejected


@dataclass(frozen=True, slots=True)
class Limits:
    """words: supplements and chases with words; a chase without is only counted. attachments: in all, those of the registration too."""

    words: int = 1_000
    attachments: int = 1_000


LIMITS = Limits()


def refuse_if_full(complaint: Complaint, limits: Limits, attachments: int = 0) -> None:
    own = complaint.own
    if own.worded >= limits.words or (attachments and len(own.attachments) + own.attached + attachments > limits.attachments):
        raise CommandRejected("complaint-full", f"This complaint is full: nothing more can be added. {instead_of(complaint)}")
