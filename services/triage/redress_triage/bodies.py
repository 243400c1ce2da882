"""What a person sends to triage, checked against the taxonomy and the routing table."""

from __future__ import annotations

from pydantic import ValidationInfo, field_validator

from redress_chassis import Body, Short, Words
from redress_events.contracts.triage import Category, Severity
from redress_events.vocabulary import ContactKind
from redress_triage.automations import RULES


class ReclassificationBody(Body):
    """kind and severity: left out, they stay as they are."""

    category: Category
    sub_category: Short
    kind: ContactKind | None = None
    severity: Severity | None = None
    reason: Words

    @field_validator("sub_category")
    @classmethod
    def _of_the_category(cls, name: str, info: ValidationInfo) -> str:
        category = info.data.get("category")
        if category is not None and not RULES.taxonomy.knows(category, name):
            raise ValueError(f"The category {category} has no such sub-category.")
        return name


class RoutingBody(Body):
    department: Short
    queue: Short
    reason: Words

    @field_validator("department")
    @classmethod
    def _there(cls, name: str) -> str:
        if name not in RULES.table.departments:
            raise ValueError(f"The departments are {', '.join(RULES.table.departments)}.")
        return name

    @field_validator("queue")
    @classmethod
    def _of_the_department(cls, name: str, info: ValidationInfo) -> str:
        department = info.data.get("department")
        if department is not None and not RULES.table.knows(department, name):
            raise ValueError(f"The queues of {department} are {', '.join(RULES.table.departments[department].queues)}.")
        return name
