"""Cases over HTTP: a department's list, a case with its words, and every step of the work on it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi import Query as Parameter

from redress_chassis import Cursor, Form, Limit, Permitted, SubjectId, problems
from redress_handling.bodies import AcceptBody, ContactBody, ProgressBody, RejectBody, ResolveBody, TransferBody
from redress_handling.domain import lists
from redress_handling.domain.accept import Accept, accept
from redress_handling.domain.case import Case
from redress_handling.domain.contact import ContactCustomer, contact
from redress_handling.domain.history import LISTS, OUTCOMES
from redress_handling.domain.progress import ReportProgress, report_progress
from redress_handling.domain.reject import Reject, reject
from redress_handling.domain.resolve import Resolve, resolve
from redress_handling.domain.transfer import TransferCase, transfer
from redress_handling.queries import ENDED, TO_DO
from redress_handling.views import (
    CasePage,
    CaseSummary,
    CaseView,
    OutcomePage,
    OutcomeView,
    Remark,
    RemarkPage,
    WorkloadView,
    references,
    references_in,
)

router = APIRouter(tags=["cases"])
DepartmentName = Annotated[str, Form("^[a-z][a-z_-]{0,63}$", "Write a department's name, like technical_support.")]
DepartmentFilter = Annotated[
    DepartmentName | None, Parameter(description="Only this department's cases. Handlers see only their own department's in any case.")
]
StateFilter = Annotated[
    Literal["open", "accepted", "resolved", "rejected", "cancelled"] | None,
    Parameter(description="Without it: all that still need work, open and accepted."),
]
Remarks = Annotated[Literal["supplements", "chases", "contacts", "reports"], Parameter(description="Which of the case's lists.")]
STEP = problems(404, 409, 412)


@router.get("/cases", responses=problems(400))
async def list_cases(
    call: Permitted[Case], department: DepartmentFilter = None, state: StateFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> CasePage:
    """A department's cases: reopened and major ones first, then the oldest; of those that have ended, the latest first."""
    query = ENDED if state in lists.ENDED else TO_DO
    page = await call.page(query, [state] if state else list(lists.TO_DO), department=department, limit=limit, cursor=cursor)
    return CasePage(items=[CaseSummary.of(seen) for seen in page.items], next=page.next)


@router.get("/cases/workload")
async def show_workload(call: Permitted[Case]) -> WorkloadView:
    """How many cases wait to be accepted or are in progress, by department. Handlers see only their own department."""
    return WorkloadView.of(await call.counts(lists.WORKLOAD))


@router.get("/cases/{complaint}", responses=problems(404))
async def read_case(complaint: SubjectId, call: Permitted[Case]) -> CaseView:
    """One case with the customer's words and contact data, and what happened last."""
    seen = await call.read(complaint)
    history = await call.latest(seen, *LISTS)
    return CaseView.with_history(seen, history, await call.words(seen, *references(seen.state, history)))


@router.get("/cases/{complaint}/remarks", responses=problems(400, 404))
async def list_remarks(complaint: SubjectId, call: Permitted[Case], of: Remarks, limit: Limit = 50, cursor: Cursor = None) -> RemarkPage:
    """Everything that the customer added or asked, and that the department did or reported, in all cycles, the latest first."""
    seen = await call.read(complaint)
    page = await call.entries(seen, of, limit=limit, cursor=cursor)
    opened = await call.words(seen, *references_in(page.items))
    return RemarkPage(items=[Remark.of(entry, opened) for entry in page.items], next=page.next)


@router.get("/cases/{complaint}/outcomes", responses=problems(400, 404))
async def list_outcomes(complaint: SubjectId, call: Permitted[Case], limit: Limit = 50, cursor: Cursor = None) -> OutcomePage:
    """How the case ended in each cycle, the latest first."""
    seen = await call.read(complaint)
    page = await call.entries(seen, OUTCOMES, limit=limit, cursor=cursor)
    opened = await call.words(seen, *references_in(page.items))
    return OutcomePage(items=[OutcomeView.of(entry, opened) for entry in page.items], next=page.next)


@router.post("/cases/{complaint}/accept", responses=STEP)
async def accept_case(complaint: SubjectId, call: Permitted[Case], body: AcceptBody | None = None) -> CaseSummary:
    """Accept the case. After a new routing or a transfer the new department must accept it again."""
    return CaseSummary.of(await call.decide(complaint, Accept(), accept))


@router.post("/cases/{complaint}/contact", responses=STEP)
async def contact_customer(complaint: SubjectId, body: ContactBody, call: Permitted[Case]) -> CaseSummary:
    """Record that a person spoke with the customer or wrote to them. Without `contacted_at`: now."""
    return CaseSummary.of(await call.decide(complaint, ContactCustomer(**dict(body)), contact, append=True))


@router.post("/cases/{complaint}/progress", responses=STEP)
async def report_on_case(complaint: SubjectId, body: ProgressBody, call: Permitted[Case]) -> CaseSummary:
    """Report what was found or done since."""
    return CaseSummary.of(await call.decide(complaint, ReportProgress(**dict(body)), report_progress, append=True))


@router.post("/cases/{complaint}/transfer", responses=STEP)
async def transfer_case(complaint: SubjectId, body: TransferBody, call: Permitted[Case]) -> CaseSummary:
    """Transfer the case to another department, with a reason that the customer is told."""
    decider = partial(transfer, departments=call.policies)
    return CaseSummary.of(await call.decide(complaint, TransferCase(**dict(body)), decider))


@router.post("/cases/{complaint}/resolve", responses=STEP)
async def resolve_case(complaint: SubjectId, body: ResolveBody, call: Permitted[Case]) -> CaseSummary:
    """Resolve the case: what was wrong and what was done. The return visit follows."""
    return CaseSummary.of(await call.decide(complaint, Resolve(**dict(body)), resolve))


@router.post("/cases/{complaint}/reject", responses=STEP)
async def reject_case(complaint: SubjectId, body: RejectBody, call: Permitted[Case]) -> CaseSummary:
    """Reject the complaint, with the reason. The return visit still follows."""
    return CaseSummary.of(await call.decide(complaint, Reject(**dict(body)), reject))
