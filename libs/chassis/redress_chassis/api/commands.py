"""One call of an endpoint: who asks, under which key, on which state; and the few things an endpoint asks of the spine.

Long, for every endpoint is handed this one object.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeVar
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import Scope

from redress_chassis.api import etags, idempotency, paging
from redress_chassis.api.paging import Page
from redress_chassis.api.streams import EventStream, seen_of
from redress_chassis.auth.callers import Caller, Role, bearer, no_token
from redress_chassis.auth.permissions import ANYTHING, OWN, OWN_AREAS, OWN_CHANNELS, OWN_DEPARTMENT, Permission, Permissions
from redress_chassis.edge.audit import BREAK_GLASS, reason_of
from redress_chassis.edge.problems import not_found, problem_of
from redress_chassis.edge.request_context import RequestContext, request_context_of
from redress_chassis.operations.metrics import Metrics
from redress_chassis.settings import Settings
from redress_events.event import Event
from redress_spine.aggregate import Context
from redress_spine.processing.effects import NoSuchEffect, Shown
from redress_spine.store.engine import CommandMetadata, Loaded, Taken
from redress_spine.store.entries import Latest, Listed
from redress_spine.store.lookups import FOUND
from redress_spine.store.states import Grouping, Query

if TYPE_CHECKING:
    from redress_spine.store.engine import Engine

State = TypeVar("State")
Command = TypeVar("Command")


class Serving(Protocol):
    """What a call needs of its service."""

    metrics: Metrics
    permissions: Permissions
    policies: Any
    kind: str

    @property
    def settings(self) -> Settings: ...

    @property
    def engine(self) -> Engine: ...

    async def caller(self, token: str) -> Caller: ...


@dataclass(slots=True)
class ResponseHead:
    """What a call says of its answer beside the content. A framework's Response serves as well."""

    status_code: int | None = None
    headers: MutableMapping[str, str] = field(default_factory=dict)


class Commands(Generic[State]):
    """What a caller who may carry out this operation does to one subject or to a list. Only what the service's table of permissions lets
    them reach is there for them: whatever reads or changes a subject, or lists some, goes through here. Raises a 403.

    kind: of which kind the subject is; without it, of the first that the service has."""

    def __init__(
        self, caller: Caller, permission: Permission, request_context: RequestContext, scope: Scope, answer: ResponseHead | Response
    ) -> None:
        self.caller = caller
        self.actor = f"{permission.admitted(caller)[0]}:{caller.sub}"  # how events name them: `handler:alice`
        self._permission = permission
        self._context = request_context
        self._scope = scope
        self._answer = answer
        self._serving: Serving = scope["app"].state.serving
        self._replayed = False
        self._withheld = False
        if request_context.method in ("GET", "HEAD") and not permission.behind.isdisjoint(caller.roles):
            request_context.access.reason = reason_of(request_context.headers.get(BREAK_GLASS.lower().encode()))

    async def create(
        self,
        decide: Callable[[Context], list[Event]],
        subject: str | None = None,
        *,
        kind: str | None = None,
        first: Callable[[], Awaitable[Loaded | None]] | None = None,
    ) -> Loaded:
        """Begin a new subject, `<kind>/<id>` where it is named, else with a fresh id. The same key and body: the same answer.

        first: finds the subject that was begun already with what no two may have, or None; it is the answer then, as under its key. Asked
        before, and once more where somebody else was quicker."""
        kind, _, identity = (subject or kind or self._serving.kind).partition("/")
        metadata = self._asked()

        async def begin() -> tuple[Loaded, bool]:
            if first is not None and (found := await first()) is not None:
                return found, True
            try:
                return await self._serving.engine.create(kind, decide, metadata, id=UUID(identity) if identity else None)
            except Taken:
                if first is None or (found := await first()) is None:
                    raise
                return found, True

        return await self._counted(begin())

    def expect_channel(self, channel: str) -> None:
        """Raises a 403 `wrong-channel` where the caller may not begin what came by this one. To be asked while deciding, so that a request
        that is repeated under its key finds its first answer."""
        self._permission.expect_channel(self.caller, channel)

    async def decide(
        self,
        identity: UUID,
        command: Command,
        decider: Callable[[Any, Command, Context], list[Event]],
        *,
        kind: str | None = None,
        while_parked: bool = False,
        append: bool = False,
    ) -> Loaded:
        """Decide a command on one subject. Raises 404 also where it is out of reach, 403 for who may not judge their own work, 412 for a
        stale If-Match, CommandRejected as the domain does.

        append: it conflicts with nothing, and is never refused because others write too; unless If-Match says what it is meant for.
        Whoever repeats a request is answered under its key, though the subject be out of their reach by now; but then without its words.
        """
        if_match = self._context.header(b"if-match")
        self._context.subject = self._name(identity, kind)

        def check(loaded: Loaded) -> None:
            self._let_see(loaded)
            self._permission.expect_other(self.caller, loaded.state)
            etags.check(if_match, loaded.etag)

        def run(state: Any, context: Context) -> list[Event]:
            return decider(state, command, context)

        metadata = self._asked()
        append = append and if_match is None
        deciding = self._serving.engine.decide(self._context.subject, run, metadata, check=check, while_parked=while_parked, append=append)
        loaded = await self._counted(deciding)
        self._withheld = self._replayed and not self._roles_on(loaded)
        return loaded

    async def read(self, identity: UUID, *, kind: str | None = None) -> Loaded:
        """One subject as it stands. Raises 404; a 304 where the caller asks for this subject and knows how it stands (`etags.py`)."""
        return await self._read(self._name(identity, kind))

    async def find(self, query: Query, *args: Any) -> Loaded:
        """The first subject that a query finds, as it stands. Raises 404."""
        found = await self._serving.engine.page(query, args, after=None, limit=1)
        if not found:
            raise not_found()
        return await self._read(found[0][1].subject)

    async def page(
        self,
        query: Query,
        *args: Any,
        department: str | None = None,
        channel: str | None = None,
        limit: int = paging.USUAL,
        cursor: str | None = None,
    ) -> Page[Loaded]:
        """A page of a list, without what is out of the caller's reach. args: the query's filters `$1 …`. department, channel: its
        part of the list alone; of a channel the filters say so too. Raises 400 `bad-cursor`."""
        reaches = self._permission.reaches(self.caller)
        if OWN in reaches and ANYTHING not in reaches:
            query, args = query.of_owner(len(args)), (*args, self.caller.sub)
        elif OWN_AREAS in reaches and ANYTHING not in reaches:
            beside = self.caller.department if OWN_DEPARTMENT in reaches else None  # who has both roles reaches what either does
            query = query.of_areas(len(args), with_department=beside is not None)
            args = (*args, sorted({"", *self.caller.areas}), *(() if beside is None else (beside,)))
        elif OWN_CHANNELS in reaches and ANYTHING not in reaches:
            query, args = query.of_channels(len(args)), (*args, sorted(self.caller.channels))
        elif ANYTHING in reaches and channel is not None:
            query, args = query.of_channels(len(args)), (*args, [channel])
        elif ANYTHING not in reaches:
            if self.caller.department is None or department not in (None, self.caller.department):
                return Page([])
            department = self.caller.department
        if department is not None:
            query, args = query.of_department(len(args)), (*args, department)
        return await self._page(query, args, limit, cursor)

    async def _page(self, query: Query, args: tuple[Any, ...], limit: int, cursor: str | None) -> Page[Loaded]:
        after = paging.place_of(cursor, query, args)
        rows = await self._serving.engine.page(query, args, after=after, limit=limit + 1)
        items = [loaded for _, loaded in rows[:limit]]
        following = paging.cursor_after(query, args, rows[limit - 1][0], items[-1].subject) if len(rows) > limit else None
        if ANYTHING not in self._permission.reaches(self.caller):
            # What their department had, and ended too long ago: who breaks the glass reads one alone.
            now = self._serving.engine.clock()
            items = [loaded for loaded in items if self._permission.on(self.caller, loaded.state, now)]
        return Page(items, following)

    async def found(
        self, name: str, text: str, *, kind: str | None = None, limit: int = paging.USUAL, cursor: str | None = None
    ) -> Page[Loaded]:
        """A page of the subjects whose personal field `name` has this value in whatever form, the newest first, without what is out of the
        caller's reach: one value finds few, so that is left out of the page and not of the question. Raises 400 `bad-cursor`."""
        digest = self._serving.engine.digest(kind or self._serving.kind, name, text)
        page = await self._page(FOUND, (digest or b"",), limit, cursor)
        self._context.access.searched = name
        for loaded in page.items:
            self._note(loaded, ())
        return page

    async def holder(self, name: str, text: str, *, kind: str | None = None) -> Loaded | None:
        """The subject whose personal field `name` has this value, of a field that has none twice: whether the caller reaches it, is not
        asked, and what is in it not shown."""
        digest = self._serving.engine.digest(kind or self._serving.kind, name, text)
        rows = await self._serving.engine.page(FOUND, (digest or b"",), after=None, limit=1)
        return rows[0][1] if rows else None

    async def compared(self, loaded: Loaded, references: Iterable[str]) -> Mapping[str, str]:
        """Personal fields in clear, by their reference, to be compared with what was sent and shown to nobody."""
        return await self._serving.engine.open(loaded.subject, list(references))

    async def counts(self, name: str) -> dict[str, int]:
        """How many subjects are what, by the keys of this count, `<department>/…`, without what is out of the caller's reach."""
        counts = await self._serving.engine.counts(name)
        if ANYTHING in self._permission.reaches(self.caller):
            return counts
        return {key: n for key, n in counts.items() if key.partition("/")[0] == self.caller.department}

    async def grouped(self, grouping: Grouping, ages: Sequence[timedelta]) -> tuple[datetime, list[Mapping[str, Any]]]:
        """How many subjects are alike: when that was, and each group's columns, `age` (how many of these ages they are past) and `n`. It is
        of all subjects, so the table of permissions must give nobody a smaller reach."""
        assert self._permission.reaches(self.caller) == {ANYTHING}, "it counts everything"
        return await self._serving.engine.grouped(grouping, ages)

    async def latest(self, loaded: Loaded, *lists: str) -> Mapping[str, Latest]:
        """The newest few entries of each list, for an answer that shows the whole subject: never all of them."""
        return await self._serving.engine.entries(loaded.subject, lists, limit=paging.LATEST, most=paging.LATEST_BYTES)

    async def entries(self, loaded: Loaded, name: str, *, limit: int, cursor: str | None) -> Page[Listed]:
        """A page of one list, the newest first. It ends at its limit, or with the entry that fills it. Raises 400 `bad-cursor`."""
        after = paging.entry_after(cursor, loaded.subject, name)
        found = (await self._serving.engine.entries(loaded.subject, [name], limit=limit, after=after))[name]
        return Page(list(found.entries), paging.cursor_at(found.entries[-1].place, loaded.subject, name) if found.more else None)

    def follow(
        self, loaded: Loaded, name: str, last_event_id: str | None, *, event: str, view: Callable[[Listed], BaseModel]
    ) -> EventStream:
        """The answer that tells each new entry of a list, from that event on. Raises 400 `bad-cursor`."""
        token = bearer(self._context.header(b"authorization"))

        async def allowed() -> None:
            await self._serving.caller(token)
            self._let_see(await self._serving.engine.read(loaded.subject))

        return EventStream(loaded.subject, name, self.caller.sub, seen_of(last_event_id), event=event, view=view, allowed=allowed)

    def shown(self, loaded: Loaded) -> frozenset[str]:
        """The parts of an answer about this subject that the caller is shown: `reads` of the table."""
        return self._serving.permissions.shown(self._roles_on(loaded))

    async def effects(self, loaded: Loaded, reactor: str, *, limit: int, cursor: str | None) -> Page[Shown]:
        """A page of what a reactor did, or is to do, about this subject, the latest first. Raises 400 `bad-cursor`."""
        before = paging.position_before(cursor, loaded.subject, reactor)
        found = await self._serving.engine.effects_of(reactor, loaded.subject, before=before, limit=limit + 1)
        more = len(found) > limit
        return Page(found[:limit], paging.cursor_before(found[limit - 1].place, loaded.subject, reactor) if more else None)

    async def repeat(self, loaded: Loaded, reactor: str, key: str) -> Shown:
        """Have one of them done again, under its key. To say it twice changes nothing. Raises 404."""
        idempotency.key_of(self._context)
        try:
            return await self._serving.engine.repeat_effect(reactor, loaded.subject, key)
        except NoSuchEffect:
            raise not_found() from None

    async def words(self, loaded: Loaded, *refs: str | None) -> Mapping[str, str]:
        """Personal fields in clear, by their reference. What was forgotten, or is not the caller's to read any more, is missing."""
        wanted = [ref for ref in refs if ref and not self._withheld]
        opened = await self._serving.engine.open(loaded.subject, wanted) if wanted else {}
        if opened:
            self._note(loaded, opened)
        return opened

    def proof_of_forgetting(self, identity: UUID, *, kind: str | None = None) -> str:
        """What the event must carry by which this subject is forgotten: the service's own proof."""
        return self._serving.engine.proof_of_forgetting(self._name(identity, kind))

    @property
    def settings(self) -> Settings:
        return self._serving.settings

    @property
    def policies(self) -> Any:
        """What this app of the service decides by, as its `policies` made it."""
        return self._serving.policies

    @property
    def now(self) -> datetime:
        """By the service's clock."""
        return self._serving.engine.clock()

    def created(self, path: str) -> None:
        """Answer 201, with the place of what was created: where the caller finds it, also behind a proxy that shows it under a path."""
        self._answer.status_code = 201
        self._answer.headers["location"] = self._scope.get("root_path", "") + path

    def _name(self, identity: UUID, kind: str | None) -> str:
        return f"{kind or self._serving.kind}/{identity}"

    def _asked(self) -> CommandMetadata:
        request_context, caller = self._context, self.caller
        key = idempotency.key_of(request_context)
        return CommandMetadata(
            actor=self.actor,
            roles=caller.roles,
            department=caller.department,
            correlation=request_context.trace.trace,
            traceparent=request_context.trace.parent,
            key=key and idempotency.scoped(key, caller.sub, request_context.method, self._scope["route"].path),
            request=idempotency.digest(request_context, self._scope["query_string"]) if key else b"",
        )

    async def _counted(self, deciding: Awaitable[tuple[Loaded, bool]]) -> Loaded:
        command = self._scope["route"].name
        try:
            loaded, self._replayed = await deciding
        except Exception as error:
            problem = problem_of(error)
            self._serving.metrics.command(command, problem.code if problem else "internal")
            raise
        self._serving.metrics.command(command, "replayed" if self._replayed else "done")
        if self._replayed:
            self._answer.headers[idempotency.REPLAYED] = "true"
        self._context.subject = loaded.subject
        return self._tagged(loaded)

    def _tagged(self, loaded: Loaded) -> Loaded:
        self._answer.headers["etag"] = etags.quoted(loaded.etag)
        return loaded

    async def _read(self, subject: str) -> Loaded:
        self._context.subject = subject
        loaded = await self._serving.engine.read(subject)
        self._let_see(loaded)
        if etags.is_conditional(self._context.method, self._scope["route"].path):
            etags.expect_another(self._context.header(b"if-none-match"), loaded.etag)
        return self._tagged(loaded)

    def _note(self, loaded: Loaded, references: Iterable[str]) -> None:
        """For the audit trail: that these fields of the subject are shown, and why they may be."""
        roles, access = self._roles_on(loaded), self._context.access
        allowed: dict[str, str] = {role: "break glass" if access.broken else self._permission.roles[role].value for role in roles}
        access.read(loaded.subject, references, allowed)

    def _roles_on(self, loaded: Loaded) -> frozenset[Role]:
        """The roles in which they reach it; where they break the glass, those in which they may."""
        access = self._context.access
        if (roles := self._permission.on(self.caller, loaded.state, self._serving.engine.clock())) or access.reason is None:
            return roles
        roles = self._permission.behind_glass(self.caller, loaded.state)
        access.broken = access.broken or bool(roles)
        return roles

    def _let_see(self, loaded: Loaded) -> None:
        if not self._roles_on(loaded):
            self._context.access.refused = self._permission.known(loaded.state)
            raise not_found()


class CommandsDependency:
    """The dependency that lets in whoever the service's table of permissions names for this endpoint."""

    async def __call__(self, request: Request, response: Response) -> Commands[Any]:
        return self.commands(request.scope, response)

    def commands(self, scope: Scope, answer: ResponseHead | Response) -> Commands[Any]:
        """Raises the 401 and the 403."""
        request_context = request_context_of(scope)
        if request_context.caller is None:
            raise no_token()
        serving: Serving = scope["app"].state.serving
        return Commands(request_context.caller, serving.permissions.of(scope["route"]), request_context, scope, answer)


# What an endpoint asks for: `call: Permitted[State]`.
Permitted = Annotated[Commands[State], Depends(CommandsDependency())]


def asks(route: APIRoute) -> bool:
    """Whether this endpoint, or something that it depends on, asks for a call."""

    def has(dependant: Dependant) -> bool:
        return any(isinstance(each.call, CommandsDependency) or has(each) for each in dependant.dependencies)

    return has(route.dependant)
