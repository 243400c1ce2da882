"""What triage publishes: what a complaint is about, how serious it is, and which department it goes to."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from redress_events.event import Contract, Event, Personal
from redress_events.vocabulary import ContactKind

Category = Literal["service_quality", "billing_dispute", "business_process", "after_sales", "other"]
Severity = Literal["minor", "normal", "serious", "major"]


class Evidence(BaseModel):
    """Where in the complaint's text a rule found its term: character offsets, never the words."""

    model_config = ConfigDict(frozen=True)

    start: int
    end: int
    term: str  # the term's id in the taxonomy


class ComplaintClassified(Event):
    """The rules of a taxonomy classified it. `review`: confidence is below the limit, a person has to decide. (Handbook 6.1.2)"""

    classification: int  # 1, 2, 3 …, shared with ComplaintReclassified
    category: Category
    sub_category: str
    kind: ContactKind
    severity: Severity
    taxonomy: str  # id@version it was classified by
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    review: bool = False


class ComplaintReclassified(Event):
    """A person classified it, or confirmed the proposed classification, with a reason."""

    classification: int
    category: Category
    sub_category: str
    kind: ContactKind
    severity: Severity
    taxonomy: str
    reason: Personal


class ComplaintRouted(Event):
    """It goes to a department and one of its queues. (Handbook 6.2.1 b)"""

    routing: int  # 1, 2, 3 …: a transfer answers the routing it names
    department: str
    queue: str
    by: Literal["rule", "person"] = "rule"
    reason: Personal | None = None


TRIAGE = Contract("triage", ComplaintClassified, ComplaintReclassified, ComplaintRouted)
