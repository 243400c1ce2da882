"""Errors as their callers see them: RFC 9457 problem+json with a stable `code`, and never a word of what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from math import ceil
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from redress_chassis.api.validation import Flaw, flaws
from redress_spine.aggregate import CommandRejected
from redress_spine.store import engine
from redress_spine.store.database import UNREACHABLE

RETRY_AFTER = 2  # seconds, where the cause does not say: a database's restart takes about that long

RESTORED = (
    "This service's database was restored or failed over, and may lack the latest records. Nothing is recorded "
    "or shown until operations have compared it with the log. Repeat this later with the same key."
)


NOT_YET = "This service does not know it yet: it has not read the whole log. Repeat after a moment with the same key."
KEY_MISSING = "The encryption key is not here, so the words can be neither read nor added to. Repeat later with the same Idempotency-Key."
PLAINTEXT_MISSING = "Some of the words cannot be read here. They were not deleted. Tell operations."
CLOCK_OFF = "This server's clock is wrong, so it accepts no command. Repeat with the same key: another server may answer."


class Problem(Exception):
    """An answer that is no success. code: stable, for programs. detail: a message for people, free of input."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[Flaw] = (), headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}

    def response(self, trace: str) -> Response:
        content: dict[str, Any] = {
            "type": f"urn:redress:problem:{self.code}",
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "trace": trace,
        }
        if self.errors:
            content["pointer"] = self.errors[0].pointer
            content["errors"] = [flaw.as_json() for flaw in self.errors]
        return Response(orjson.dumps(content), self.status, self.headers, media_type="application/problem+json")


def unavailable(detail: str, retry_after: float = RETRY_AFTER) -> Problem:
    return Problem(503, "unavailable", detail, headers=_retry(retry_after))


def busy(retry_after: float) -> Problem:
    """retry_after: seconds."""
    detail = "This server has more requests than it can answer in time. Repeat after a moment with the same key: nothing was done."
    return Problem(503, "busy", detail, headers=_retry(retry_after))


def too_many(retry_after: float) -> Problem:
    """retry_after: seconds."""
    detail = "You send more requests than one caller may. Repeat after a moment with the same key: nothing was done."
    return Problem(429, "too-many-requests", detail, headers={"retry-after": str(ceil(retry_after) or 1)})


def _retry(after: float) -> dict[str, str]:
    return {"retry-after": str(max(1, round(after)))}


def not_found() -> Problem:
    """The same for what is not there and for what the caller may not see: the difference would tell."""
    return Problem(404, "not-found", "There is nothing with this id that you may see.")


def invalid(found: Sequence[Flaw], status: int = 422, code: str = "invalid") -> Problem:
    first = found[0]
    more = f" {len(found) - 1} more below." if len(found) > 1 else ""
    detail = f"{first.where} {first.pointer}: {first.detail}".replace("  ", " ")
    return Problem(status, code, f"{detail}{'' if detail.endswith('.') else '.'}{more}", found)


def problem_of(error: BaseException) -> Problem | None:
    """What a caller is told about this error; None where it is a defect of ours."""
    match error:
        case Problem():
            return error
        case CommandRejected():
            return Problem(409, error.code, error.message)
        case RequestValidationError():
            return invalid(flaws(error.errors(), error.body))
        case HTTPException():
            return _of_framework(error)
        case engine.Unknown():
            return not_found()
        case engine.Parked():
            return Problem(409, "parked", "This is parked: one of its records could not be read. Ask operations.")
        case engine.KeyReused():
            return Problem(422, "idempotency-key-reused", "This Idempotency-Key was used for another request. Use a new one.")
        case engine.Forgotten():
            return Problem(409, "forgotten", "Its personal data were deleted; nothing can be added to it.")
        case engine.Conflict():
            return Problem(409, "conflict", "Others changed this at the same time, three times in a row. Read it again and repeat.")
        case engine.TooLarge():
            return Problem(413, "too-large", "This would be larger than a record may be. Send less.")
        case engine.JournalRestored():
            return Problem(503, "journal-restored", RESTORED, headers={"retry-after": "60"})
        case engine.NotYet():
            return Problem(503, "not-yet", NOT_YET, headers=_retry(error.retry_after))
        case engine.KeyMissing():
            return Problem(503, "key-missing", KEY_MISSING, headers=_retry(error.retry_after))
        case engine.PlaintextMissing():
            return Problem(503, "words-missing", PLAINTEXT_MISSING, headers=_retry(error.retry_after))
        case engine.ClockOff():
            return Problem(503, "clock-off", CLOCK_OFF, headers=_retry(error.retry_after))
        case engine.Unavailable():
            return unavailable("A system that this answer needs cannot be reached. Try again.", error.retry_after)
        case _ if isinstance(error, UNREACHABLE):
            return unavailable("A system that this answer needs cannot be reached. Repeat the request with the same key.")
    return None


def defect() -> Problem:
    return Problem(500, "internal", "This is a server error. Name the trace when you report it.")


def _of_framework(error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            return Problem(404, "not-found", "There is nothing at this path.", headers=headers)
        case 405:
            headers = {name: value.replace("GET", "GET, HEAD") if "HEAD" not in value else value for name, value in headers.items()}
            return Problem(405, "method-not-allowed", "This path does not know this method.", headers=headers)
        case status:
            return Problem(status, HTTPStatus(status).phrase.lower().replace(" ", "-"), f"{HTTPStatus(status).phrase}.", headers=headers)
