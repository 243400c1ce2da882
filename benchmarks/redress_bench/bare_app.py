"""What the front door is measured against: the same registration reduced to FastAPI and one INSERT. No token, no sealing, no idempotency,
no journal, no log. `uvicorn redress_bench.bare_app:app`"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

from fastapi import FastAPI, Request
from pydantic import AwareDatetime, BaseModel

from redress_events.vocabulary import Channel, ContactKind
from redress_intake.views import Next, RegisteredView
from redress_spine.processing.clock import fresh_id
from redress_spine.store import connections

DSN = "BENCH_DATABASE_URL"
TABLE = "CREATE TABLE complaints (id uuid PRIMARY KEY, received_at timestamptz NOT NULL, body jsonb NOT NULL)"
INSERT = "INSERT INTO complaints (id, received_at, body) VALUES ($1, $2, $3)"


class BareComplaint(BaseModel):
    """The fields of intake's RegisterBody with the framework's own checks alone."""

    channel: Channel
    kind: ContactKind = "complaint"
    text: str
    received_at: AwareDatetime | None = None
    customer: str | None = None
    on_behalf_of: str | None = None
    contact_person: str | None = None
    phone: str | None = None
    email: str | None = None
    address: str | None = None
    service_number: str | None = None
    product: str | None = None
    area: str | None = None
    since: AwareDatetime | None = None
    remedy: str | None = None
    instruction: str | None = None
    attachments: tuple[str, ...] = ()


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with connections.pool(os.environ[DSN], min_size=10, max_size=10) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/complaints", status_code=201, response_model_exclude_none=True)
async def register(body: BareComplaint, request: Request) -> RegisteredView:
    now = datetime.now(UTC)
    identity = UUID(fresh_id(now))
    await request.app.state.pool.execute(INSERT, identity, body.received_at or now, body.model_dump_json(exclude_none=True))
    return RegisteredView(
        id=identity,
        number=identity.hex[:10],
        status=f"/complaints/{identity}",
        received_at=body.received_at or now,
        registered_at=now,
        next=Next(sentence="Somebody will call you.", working_days=1),
    )
