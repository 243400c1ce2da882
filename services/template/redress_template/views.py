"""What template answers. No personal data: it opens none."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel

from redress_spine.store.states import Loaded
from redress_template.domain.complaint import Complaint


class ComplaintView(BaseModel):
    """One complaint, as far as it is known here."""

    complaint: UUID
    number: str | None
    received_at: datetime | None

    @classmethod
    def of(cls, loaded: Loaded) -> Self:
        state: Complaint = loaded.state
        return cls(complaint=loaded.id, number=state.observed.number, received_at=state.observed.received_at)
