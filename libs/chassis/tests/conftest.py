"""A toy service behind the real front door: a jar of notes, kept in memory by a stand-in for the engine. And the real server, where asked.

Long, for the stand-in answers all that the chassis asks of an engine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from fastapi import APIRouter
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from pydantic import BaseModel

from redress_chassis import (
    ANYTHING,
    OWN,
    OWN_DEPARTMENT,
    Body,
    Cursor,
    Limit,
    Moment,
    Permissions,
    Permitted,
    Service,
    Settings,
    Short,
    SubjectId,
    Words,
    problems,
)
from redress_chassis.serving import Server, served
from redress_events.event import Contract, Event
from redress_spine.aggregate import Aggregate, CommandRejected, Context
from redress_spine.messaging.mac import make_keys
from redress_spine.processing.clock import Clock, wall_clock
from redress_spine.processing.idle import Idle, StuckRow
from redress_spine.store.audit import AuditRecord
from redress_spine.store.engine import (
    CommandMetadata,
    Health,
    KeyReused,
    Loaded,
    LogPage,
    Measures,
    NoSuchPlace,
    Parked,
    ServerSeen,
    Unknown,
)
from redress_spine.store.states import Query

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NOTES = Query(name="notes", where="true", order="number", index="state_notes", own="state_notes_of")
WRITTEN = Query(name="written", where="true", order="number", index="state_notes_by", owner="writer")
ISSUER = "https://issuer.example"
router = APIRouter()
# All notes lie with the network department, and one that says so has ended long ago.
PERMISSIONS = Permissions(
    {
        "POST /notes": {"front-end": ANYTHING, "agent": ANYTHING},
        "POST /notes/{note}/add": {"handler": OWN_DEPARTMENT, "supervisor": ANYTHING},
        "GET /notes/{note}": {"handler": OWN_DEPARTMENT, "front-end": ANYTHING},
        "GET /notes": {"handler": OWN_DEPARTMENT},
        "GET /written": {"front-end": OWN},
    },
    department=lambda state: "network",
    ended_at=lambda state: datetime(2000, 1, 1, tzinfo=UTC) if "over" in state else None,
)


class NoteTaken(Event):
    text: str


class NoteBody(Body):
    """What the toy's front ends send."""

    title: Short
    text: Words
    at: Moment | None = None
    count: int = 0
    urgent: bool = False
    weight: float | None = None
    tags: tuple[Short, ...] = ()
    mixed: int | str | None = None


class NoteView(BaseModel):
    id: UUID
    texts: list[str]


class NotesView(BaseModel):
    items: list[NoteView]
    next: str | None = None


def view(loaded: Loaded) -> NoteView:
    return NoteView(id=loaded.id, texts=list(loaded.state))


def add(state: Any, command: NoteBody, context: Context) -> list[Event]:
    if command.text == "refuse":
        raise CommandRejected("jar-full", "Empty the jar first.")
    if command.text == "explode":
        raise LookupError("secret words of a customer")
    if command.text == "cut the line":
        raise ConnectionResetError("secret words of a customer")
    return [NoteTaken(text=command.text)]


@router.post("/notes", status_code=201, responses=problems(409))
async def take_note(body: NoteBody, commands: Permitted[Any]) -> NoteView:
    """Take down a note."""
    loaded = await commands.create(lambda context: add((), body, context), kind="note")
    commands.created(f"/notes/{loaded.id}")
    return view(loaded)


@router.post("/notes/{note}/add", responses=problems(404, 409, 412))
async def add_note(note: SubjectId, body: NoteBody, commands: Permitted[Any]) -> NoteView:
    return view(await commands.decide(note, body, add))


@router.get("/notes/{note}", responses=problems(404))
async def read_note(note: SubjectId, commands: Permitted[Any]) -> NoteView:
    return view(await commands.read(note))


@router.get("/notes")
async def list_notes(commands: Permitted[Any], word: str = "", limit: Limit = 50, cursor: Cursor = None) -> NotesView:
    page = await commands.page(NOTES, word, limit=limit, cursor=cursor)
    return NotesView(items=[view(loaded) for loaded in page.items], next=page.next)


@router.get("/written")
async def list_written(commands: Permitted[Any], limit: Limit = 50, cursor: Cursor = None) -> NotesView:
    page = await commands.page(WRITTEN, limit=limit, cursor=cursor)
    return NotesView(items=[view(loaded) for loaded in page.items], next=page.next)


@dataclass
class Jar:
    """Stands in for the engine: its promises, in memory."""

    rows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    answers: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    metadata: list[CommandMetadata] = field(default_factory=list)
    pages: list[tuple[Query, Sequence[Any]]] = field(default_factory=list)
    parked: set[str] = field(default_factory=set)
    ready: bool = True
    fails: Exception | None = None
    stuck: list[str] = field(default_factory=list)
    seen: dict[str, ServerSeen] = field(default_factory=dict)
    cannot: list[str] = field(default_factory=list)
    running: bool = False
    clock: Clock = wall_clock
    audited: list[AuditRecord] = field(default_factory=list)
    tallied: list[AuditRecord] = field(default_factory=list)
    unaudited: Exception | None = None

    async def start(self) -> None:
        if self.fails:
            raise self.fails
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def loaded(self, subject: str) -> Loaded:
        if subject not in self.rows:
            raise Unknown(subject)
        return Loaded(subject, self.rows[subject], f"etag{len(self.rows[subject])}", subject in self.parked, len(self.rows[subject]))

    def replayed(self, metadata: CommandMetadata) -> Loaded | None:
        self.metadata.append(metadata)
        if self.fails:
            raise self.fails
        if metadata.key not in self.answers:
            return None
        request, subject = self.answers[metadata.key]
        if request != metadata.request:
            raise KeyReused
        return self.loaded(subject)

    def commit(self, subject: str, events: Sequence[Any], metadata: CommandMetadata) -> Loaded:
        self.rows[subject] = (*self.rows.get(subject, ()), *(event.text for event in events))
        if metadata.key:
            self.answers[metadata.key] = metadata.request, subject
        return self.loaded(subject)

    async def create(
        self, kind: str, decide: Callable[[Context], list[Event]], metadata: CommandMetadata, *, id: UUID | None = None
    ) -> tuple[Loaded, bool]:
        if loaded := self.replayed(metadata):
            return loaded, True
        subject = f"{kind}/{id or uuid4()}"
        return self.commit(subject, decide(Context(now=NOW, actor=metadata.actor, subject=subject)), metadata), False

    async def decide(
        self,
        subject: str,
        decide: Callable[[Any, Context], list[Event]],
        metadata: CommandMetadata,
        *,
        check: Callable[[Loaded], None] | None = None,
        while_parked: bool = False,
        append: bool = False,
    ) -> tuple[Loaded, bool]:
        before = self.loaded(subject)
        if loaded := self.replayed(metadata):
            return loaded, True
        if check:
            check(before)
        if before.parked and not while_parked:
            raise Parked
        return self.commit(subject, decide(before.state, Context(now=NOW, actor=metadata.actor, subject=subject)), metadata), False

    async def read(self, subject: str) -> Loaded:
        if self.fails:
            raise self.fails
        return self.loaded(subject)

    async def page(self, query: Query, args: Sequence[Any], *, after: tuple[int, str] | None, limit: int) -> list[tuple[int, Loaded]]:
        self.pages.append((query, args))
        rows = [(number, self.loaded(subject)) for number, subject in enumerate(self.rows)]
        return [(number, loaded) for number, loaded in rows if after is None or (number, loaded.subject) > after][:limit]

    async def open(self, subject: str, refs: Sequence[str]) -> Mapping[str, str]:
        return {ref: f"clear {ref}" for ref in refs}

    async def audit(self, record: AuditRecord) -> None:
        if self.unaudited:
            raise self.unaudited
        self.audited.append(record)

    def tally(self, record: AuditRecord) -> None:
        self.tallied.append(record)

    async def log(self, after: Sequence[int] | None, since: datetime | None, subject: str | None, limit: int, wait: float) -> LogPage:
        if after is not None and len(after) != 2:
            raise NoSuchPlace
        first, second = after or (3, 4)
        return LogPage([{"id": "note/1/jar/1", "data": {}}][:limit], [], [first + 1, second], wait > 0)

    async def health(self) -> Health:
        return Health(self.ready, [] if self.ready else ["The log was not yet read to its end."], cannot=self.cannot, servers=self.seen)

    def servers(self) -> Mapping[str, ServerSeen]:
        return self.seen

    @property
    def audit_head(self) -> tuple[UUID, int] | None:
        return (UUID(int=7), len(self.audited)) if self.audited else None

    def stalled(self) -> list[str]:
        return self.stuck

    async def idle(self) -> Idle:
        stuck = (StuckRow("open", "note/1", "ValueError at jar.py:1", 2),)
        return Idle("jar", 0, 3, 7, 1, stuck, NOW, 5, 20, 27, 4, self.clock())

    async def measures(self) -> Measures:
        if self.fails:
            raise self.fails
        return Measures(3, 7, 1.5, 1, 2, 0, 0.125, 0.25, True, {("open", "decided"): 4})


@dataclass
class Issuer:
    """Signs tokens for the tests. now: the wall clock unless set."""

    folder: Path
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", parameters={"kid": "k1", "use": "sig", "alg": "ES256"}))
    rsa: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, parameters={"kid": "r1", "use": "sig", "alg": "RS256"}))

    @property
    def jwks(self) -> Path:
        path = self.folder / "jwks.json"
        path.write_bytes(orjson.dumps({"keys": [self.key.as_dict(private=False), self.rsa.as_dict(private=False)]}))
        return path

    def claims(self, *roles: str, **other: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": "redress", "sub": "alice", "roles": list(roles), "iat": now, "exp": now + 600}
        return {name: value for name, value in {**usual, **other}.items() if value is not None}

    def token(self, *roles: str, key: Any = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        key = key or self.key
        used = {"alg": "RS256" if isinstance(key, RSAKey) else "ES256", "kid": key.kid, **(header or {})}
        return jwt.encode({k: v for k, v in used.items() if v is not None}, self.claims(*roles, **claims), key)


class HandClock:
    """Seconds, moved by hand: epoch seconds and monotonic ones alike."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
def settings(tmp_path: Path, issuer: Issuer) -> Settings:
    (tmp_path / "master.key").write_bytes(bytes(32))
    make_keys(tmp_path / "mac", ["jar"])
    return Settings(
        database_url="postgresql://nobody@nowhere/none",
        kafka="nowhere:9092",
        master_key_file=tmp_path / "master.key",
        mac_keys_dir=tmp_path / "mac",
        jwks=str(issuer.jwks),
        issuer=ISSUER,
        max_body=4096,
    )


@pytest.fixture
def jar() -> Jar:
    return Jar()


@pytest.fixture
def service() -> Service:
    contract = Contract("jar", NoteTaken)
    kind = Aggregate(object, lambda observed, event, at: observed, lambda own, event, at: own)
    return Service(
        "jar",
        aggregates={"note": kind},
        contract=contract,
        contracts={"jar": contract},
        permissions=PERMISSIONS,
        routes=[router],
        queries=[NOTES],
    )


@pytest.fixture
async def client(service: Service, settings: Settings, jar: Jar) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the app in this process, without a token."""
    app = service.app(settings, engine=jar)  # type: ignore[arg-type]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://jar", headers={"idempotency-key": "k"}) as client,
    ):
        yield client


@pytest.fixture
def alice(client: httpx.AsyncClient, issuer: Issuer) -> httpx.AsyncClient:
    """The same, by somebody who may do everything."""
    client.headers["authorization"] = f"Bearer {issuer.token('front-end', 'handler', department='network')}"
    return client


@pytest.fixture
async def serve(service: Service, jar: Jar) -> AsyncIterator[Callable[[Settings], Awaitable[Server]]]:
    """Starts the real server in this loop, at free ports; it ends with the test."""
    started: list[tuple[Server, asyncio.Task[None]]] = []

    async def start(settings: Settings) -> Server:
        server = served(service.app(settings, engine=jar), "127.0.0.1", 0, settings)  # type: ignore[arg-type]
        running = asyncio.create_task(server._serve())
        started.append((server, running))
        async with asyncio.timeout(60):
            while not (server.started and len(server.servers) == len(server._ports)):
                assert not running.done(), running
                await asyncio.sleep(0.01)
        return server

    yield start
    for server, running in started:
        server.should_exit = True
        server._told.set()
        await running
