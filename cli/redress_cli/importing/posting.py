"""Post the rows of a plan, some at a time, each under a key made of its content: however often a file is posted, a row is one complaint."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from redress_cli.importing.plan import ImportPlan, PlannedRow

PAUSES = (0.2, 0.5, 1, 2, 4, 8)  # seconds between tries while nobody answers
LONGEST_PAUSE = 60.0  # seconds, whatever Retry-After says
REFUSE_ALL = (401, 403, 503)  # statuses that every other row would get too
NOT_POSTED = "It was not posted. Give the same command again: what is there already stays one complaint."
BROKEN = "It was not posted: correct the other lines of the file first."


@dataclass(slots=True)
class RowOutcome:
    """What became of a row. number: of the complaint, where there is one. warnings: code and sentence of each."""

    line: int
    outcome: Literal["new", "there-already", "refused"]
    code: str = ""
    reason: str = ""
    number: str = ""
    warnings: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class ImportReport:
    """One outcome for each row of the file: rows = new + there already + refused, whatever happened."""

    outcomes: list[RowOutcome]

    def count(self, outcome: str) -> int:
        return sum(each.outcome == outcome for each in self.outcomes)

    def of(self, outcome: str) -> list[RowOutcome]:
        return [each for each in self.outcomes if each.outcome == outcome]


def before_posting(plan: ImportPlan) -> ImportReport:
    """Every row's outcome as long as nothing is posted. A row that is to be posted is refused until it was."""
    flaws = {flaw.line: flaw.reason for flaw in reversed(plan.flaws)}
    outcomes = []
    for row in plan.rows:
        if row.line in flaws:
            outcomes.append(RowOutcome(row.line, "refused", "table-broken", flaws[row.line]))
        elif row.refused is not None:
            outcomes.append(RowOutcome(row.line, "refused", row.refused.code, str(row.refused)))
        else:
            outcomes.append(RowOutcome(row.line, "refused", *(("held-back", BROKEN) if plan.flaws else ("not-posted", NOT_POSTED))))
    return ImportReport(outcomes)


async def post_all(client: httpx.AsyncClient, plan: ImportPlan, report: ImportReport, at_once: int, posted: Callable[[], object]) -> None:
    """Post what the plan has to post, and write into the report what became of it, row by row: who interrupts it knows how far it came."""
    outcomes = {each.line: each for each in report.outcomes}
    waiting = iter(zip(plan.to_post, keys(plan.to_post), strict=True))
    stopped = False

    async def work() -> None:
        nonlocal stopped
        for row, key in waiting:  # one iterator, shared by all who post
            if stopped:
                return
            stopped = await _post(client, key, row.body or {}, outcomes[row.line]) or stopped
            posted()

    await asyncio.gather(*(work() for _ in range(at_once)))


def keys(rows: Sequence[PlannedRow]) -> list[str]:
    """A key for each row, made of its content and of how often the same content stood before it: rows may move in the file, equal rows stay
    two complaints, and the file posted again makes none."""
    seen = Counter[str]()
    found = []
    for row in rows:
        content = json.dumps(row.body, sort_keys=True)
        found.append(hashlib.sha256(f"{seen[content]}\n{content}".encode()).hexdigest())
        seen[content] += 1
    return found


async def _post(client: httpx.AsyncClient, key: str, body: dict[str, Any], outcome: RowOutcome) -> bool:
    """Post one row, again under the same key while the service is away or has no room. True where no other row would fare better."""
    pauses = iter((*PAUSES, None))
    while True:
        asked = 0.0
        try:
            answer = await client.post("/complaints", json=body, headers={"idempotency-key": key})
        except httpx.TransportError as error:
            outcome.code, outcome.reason = "unreachable", f"intake does not answer: {type(error).__name__}. {NOT_POSTED}"
            away = True
        else:
            if answer.status_code == 201:
                _registered(outcome, answer)
                return False
            _refused(outcome, answer)
            asked, away = _retry_after(answer), answer.status_code in REFUSE_ALL
            if answer.status_code == 429:  # its turn comes, however long that takes
                await asyncio.sleep(max(PAUSES[0], asked))
                continue
            if answer.status_code < 500:
                return away
        pause = next(pauses)
        if pause is None:
            return away
        await asyncio.sleep(max(pause, asked))


def _registered(outcome: RowOutcome, answer: httpx.Response) -> None:
    view = answer.json()
    outcome.outcome = "there-already" if answer.headers.get("idempotency-replayed") == "true" else "new"
    outcome.code, outcome.reason, outcome.number = "", "", str(view["number"])
    outcome.warnings = [(str(each["code"]), f"{each['pointer']}: {each['detail']}") for each in view.get("warnings", ())]


def _refused(outcome: RowOutcome, answer: httpx.Response) -> None:
    problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    # `detail` of the whole names the place of the first flaw in the request; here that is a row, and the field is enough.
    details = [f"{each['pointer']}: {each['detail']}" for each in problem.get("errors", ())]
    outcome.code = problem.get("code", str(answer.status_code))
    outcome.reason = " ".join(details) or problem.get("detail", answer.text[:200])


def _retry_after(answer: httpx.Response) -> float:
    said = answer.headers.get("retry-after", "")
    return min(float(said), LONGEST_PAUSE) if said.isdecimal() else 0.0
