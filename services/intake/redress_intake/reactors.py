"""The reactor behind webhooks: finds complaints that there is news of, and posts a signed message to each front end that wants it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpcore
import orjson

from redress_chassis.edge.outbound import Forbidden, Outbound, Unresolved
from redress_chassis.settings import Settings
from redress_events.event import EPOCH
from redress_intake.domain.aggregate import SUBSCRIPTION
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.history import STAGES
from redress_intake.signatures import signed
from redress_intake.telling import TELLS, Known, disable, still_told, tell
from redress_spine.processing.reactor import Effect, EffectAttempt, Later, Never, Reactor, Retry
from redress_spine.store.entries import Listed
from redress_spine.store.states import Codec, Connection, Row

NAME = "webhooks"
TIMEOUT = timedelta(seconds=10)
RETRY = Retry(first=timedelta(seconds=5), longest=timedelta(hours=1), give_up=timedelta(days=1))
KEEP = timedelta(days=30)  # more than telling.NEWS
# Index: stage_news_pkey, subscriptions_subscriber, entries_pkey.
SEEN = "SELECT subject, n FROM stage_news WHERE subject = ANY ($1::text[])"
SUBSCRIPTIONS = """
SELECT s.subject, u.subscriber, s.own FROM subscriptions u JOIN state s USING (subject) WHERE u.subscriber = ANY ($1::text[])
"""
ENTRIES = """
SELECT subject, at, source, version, data FROM entries WHERE subject = ANY ($1::text[]) AND list = $2
"""
FORGET = """
DELETE FROM stage_news s USING unnest($1::text[], $2::bigint[]) d (subject, n) WHERE s.subject = d.subject AND s.n = d.n
"""
# Of complaints whose front end has never subscribed, or has unsubscribed. One that subscribes just now is told of what comes after its
# answer. Index: state_pkey, subscriptions_subscriber.
SWEEP = """
DELETE FROM stage_news n WHERE (
    SELECT NOT EXISTS (SELECT FROM subscriptions u WHERE u.subscriber = s.own->>'client') FROM state s WHERE s.subject = n.subject
)
"""
CODEC = Codec(SUBSCRIPTION)


async def look(connection: Connection, rows: Sequence[Row]) -> Mapping[str, Known]:
    """What is told of these complaints, and to whom. Their marks are read first: what comes meanwhile leaves another mark."""
    seen = {row["subject"]: row["n"] for row in await connection.fetch(SEEN, [row.subject for row in rows])}
    clients = {row.subject: client for row in rows if (client := getattr(row.own, "client", None))}
    subscriptions: dict[str, list[Any]] = {}
    for found in await connection.fetch(SUBSCRIPTIONS, sorted(set(clients.values()))) if clients else ():
        own = CODEC.load_own(found["own"])
        if own.ended is None:
            subscriptions.setdefault(found["subscriber"], []).append((found["subject"], own))
    told = sorted(subject for subject, client in clients.items() if client in subscriptions)
    stages: dict[str, list[Listed]] = {}
    for found in await connection.fetch(ENTRIES, told, STAGES) if told else ():
        entry = Listed(found["source"], found["version"], EPOCH + timedelta(microseconds=found["at"]), orjson.loads(found["data"]))
        stages.setdefault(found["subject"], []).append(entry)
    return {
        row.subject: Known(
            stages.get(row.subject, ()),
            subscriptions.get(clients.get(row.subject, ""), ()) if row.subject in stages else (),
            seen.get(row.subject, 0),
        )
        for row in rows
    }


async def sweep(connection: Connection) -> None:
    await connection.execute(SWEEP)


async def forget(connection: Connection, subjects: Sequence[str], known: Mapping[str, Known]) -> None:
    await connection.execute(FORGET, list(subjects), [known[subject].seen for subject in subjects])


def wanted(complaint: Any, known: Known, context: Any) -> list[Effect]:
    return tell(complaint, known, context) if isinstance(complaint, Complaint) else []


@dataclass(frozen=True)
class WebhookSender:
    """Posts one message. now: epoch seconds by the wall clock, also where business time is stepped: receivers compare it with theirs."""

    outbound: Outbound
    now: Callable[[], float] = time.time

    async def __call__(self, effect: Effect, attempt: EffectAttempt) -> Mapping[str, Any]:
        address, secret = (attempt.plaintext.get(reference, "") for reference in effect.opens)
        if not address or not secret:
            raise Never("forgotten", "The subscription's address was deleted.")
        body = message(effect)
        headers = {"content-type": "application/json", "user-agent": "redress-webhooks", "accept": "*/*"}
        try:
            answer = await self.outbound.post(
                address, headers | signed(secret, effect.key, int(self.now()), body), body, TIMEOUT.total_seconds()
            )
        except Forbidden as error:
            raise Later(error.message) from None
        except Unresolved:
            raise Later("The host's name has no address.") from None
        except httpcore.TimeoutException:
            raise Later(f"The receiver did not answer within {TIMEOUT.total_seconds():g} s.") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise Later(f"The receiver could not be reached, or closed the connection: {type(error).__name__}.") from None
        if answer.status == 410:
            raise Never("gone", "The receiver answered 410: it is gone.")
        if not 200 <= answer.status < 300:
            asked = None if answer.retry_after is None else timedelta(seconds=answer.retry_after)
            raise Later(f"The receiver answered {answer.status}.", asked)
        return {"status": answer.status}


def message(effect: Effect) -> bytes:
    """The body: ids, number, stage, time and links, and nothing personal. The same bytes at each attempt."""
    data = effect.data
    at = (EPOCH + timedelta(microseconds=data["at"])).isoformat().replace("+00:00", "Z")
    told = {"id": data["complaint"], "number": data["number"], "stage": data["stage"], "cycle": data["cycle"], "reached_at": at}
    links = {"complaint": f"/complaints/{data['complaint']}", "stages": f"/complaints/{data['complaint']}/stages"}
    known = {name: value for name, value in told.items() if value is not None}
    return orjson.dumps({"type": TELLS, "timestamp": at, "data": known | {"links": links}})


def reactor(outbound: Outbound, retry: Retry = RETRY) -> Reactor:
    return Reactor(
        NAME,
        due="s.subject = ANY (ARRAY(SELECT n.subject FROM stage_news n))",
        index="state_pkey",
        wanted=wanted,
        perform=WebhookSender(outbound),
        still=still_told,
        given_up=disable,
        look=look,
        sweep=sweep,
        forget=forget,
        timeout=TIMEOUT + timedelta(seconds=5),  # it is also opened, and resolved
        retry=retry,
        at_once=16,
        per_target=4,
        keep=KEEP,
    )


def reactors(settings: Settings) -> Sequence[Reactor]:
    return [reactor(Outbound(local=settings.profile == "local"))]
