"""Kafka and PostgreSQL by TLS and with a user: everything goes that way, and who is not let in says why."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import structlog
from spine_certificates import Authority
from spine_log import idle, rebuild, states, verified
from spine_stack import Stack, engine_of, eventually, metadata, registered
from tls_proxy import tls_proxy

from redress_local.kafka import Kafka, Secured
from redress_local.provision import Databases
from redress_spine.admin import rebuild as rebuild_module
from redress_spine.messaging import topics
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.relay import close
from redress_spine.store.engine import Engine, Unavailable
from redress_spine.store.migrate import MigrationFailed, dbmate

PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory(prefix="redress-test-") as folder:
        yield Authority(Path(folder))


@pytest.fixture(scope="module")
def broker(authority: Authority) -> Iterator[Kafka]:
    with tempfile.TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as folder:
        kafka = Kafka(Path(folder) / "kafka", secured=Secured(authority.issue("broker"), {"redress": PASSWORD}))
        kafka.start()
        yield kafka
        kafka.stop()


@pytest.fixture
def access(broker: Kafka, authority: Authority) -> KafkaClients:
    return KafkaClients(
        broker.secured_address,
        security="SASL_SSL",
        mechanism="SCRAM-SHA-512",
        username="redress",
        password=PASSWORD,
        ca_file=authority.file,
    )


@pytest.fixture
async def secured(access: KafkaClients, database: Any) -> AsyncIterator[Stack]:
    made = Stack(access, database)
    await topics.ensure(access, partitions=made.partitions, prefix=made.prefix)
    yield made
    await made.end()


async def opened(intake: Engine) -> None:
    """A complaint is registered, and its case opened by the other service."""
    subject = (await intake.create("complaint", lambda context: [registered()], metadata()))[0].subject

    async def observed() -> bool:
        return bool((await intake.read(subject)).state.observed.opened)

    await eventually(observed)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_an_event_travels_by_tls_with_a_user(
    secured: Stack, access: KafkaClients, mechanism: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_module, "worth", lambda records: 1)  # another process makes clients of its own
    secured.kafka = replace(access, mechanism=mechanism)
    intake, handling = await secured.engine("intake"), await secured.engine("handling")
    await opened(intake)
    await idle(intake, handling)
    before = await states(secured, "intake")
    await rebuild(secured, "intake", folder)
    assert await states(secured, "intake") == before != []
    await verified(secured, "intake")
    assert PASSWORD not in repr(access)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"password": "wrong"}, "refuses the user redress, or the password. See REDRESS_KAFKA_USERNAME"),
        ({"mechanism": "PLAIN", "password": "wrong"}, "refuses the user redress, or the password. See REDRESS_KAFKA_USERNAME"),
        ({"username": "nobody"}, "refuses the user nobody"),
        ({"mechanism": "SCRAM-SHA-256"}, "does not offer SCRAM-SHA-256. See REDRESS_KAFKA_SASL_MECHANISM"),
        (
            {"ca_file": "another"},
            "has a certificate that is not trusted: unable to get local issuer certificate. See REDRESS_KAFKA_CA_FILE",
        ),
        ({"ca_file": None}, "has a certificate that is not trusted: unable to get local issuer certificate. See REDRESS_KAFKA_CA_FILE"),
    ],
)
async def test_who_is_refused_by_kafka_says_why(
    secured: Stack, access: KafkaClients, folder: Path, caplog: pytest.LogCaptureFixture, changed: Mapping[str, Any], message: str
) -> None:
    if changed.get("ca_file"):
        changed = {"ca_file": Authority(folder, "another").file}
    with structlog.testing.capture_logs() as lines, caplog.at_level(logging.WARNING):
        engine = await secured.engine("intake", kafka=replace(access, **changed))

        async def said() -> bool:
            health = await engine.health()
            return not health.ready and any(message in reason for reason in health.reasons) and message in "".join(health.alarms)

        def told() -> list[str]:
            return [line["error"] for line in lines if line["event"] == "projector-failed" and "KafkaRefuses" in line["error"]]

        async def told_twice() -> bool:
            return len(told()) > 1

        await eventually(said)
        await eventually(told_twice)
    assert all(message in each for each in told())
    assert len([line for line in lines if line["event"] == "alarm" and message in line["detail"]]) == 1
    assert not [record for record in caplog.records if record.exc_info], "a traceback for what is a wrong setting"
    assert PASSWORD not in str(lines) + caplog.text


async def test_who_was_refused_goes_on_once_the_user_is_right(broker: Kafka, access: KafkaClients, secured: Stack) -> None:
    assert broker.secured is not None
    wrong = replace(access, mechanism="PLAIN", password="to come")
    intake, handling = await secured.engine("intake", kafka=wrong), await secured.engine("handling", kafka=wrong)

    async def refused() -> bool:
        return "refuses the user" in "".join((await intake.health()).alarms)

    await eventually(refused)
    right, broker.secured = broker.secured, replace(broker.secured, users={"redress": "to come"})
    try:
        await asyncio.to_thread(broker.restart)
        await opened(intake)
        await idle(intake, handling)

        async def well() -> bool:
            health = await intake.health()
            return health.ready and not health.alarms

        await eventually(well)
    finally:
        await secured.stop(intake)
        await secured.stop(handling)
        broker.secured = right
        await asyncio.to_thread(broker.restart)


async def test_a_journal_that_nobody_numbered_waits_for_kafka_and_says_why_it_is_not_there(secured: Stack, access: KafkaClients) -> None:
    owner = await secured.connect("intake", owner=True)
    await owner.execute("DELETE FROM public.partitioning")
    await owner.close()
    engine = await secured.engine("intake", start=False, kafka=replace(access, password="wrong"))
    with pytest.raises(Unavailable, match=r"or wait for Kafka\. Kafka at .* refuses the user redress"):
        await engine.start()
    await engine.stop()


async def test_a_plain_client_is_not_let_in_where_tls_is_asked_for(secured: Stack, access: KafkaClients) -> None:
    admin = KafkaClients(access.bootstrap).admin(request_timeout_ms=2_000)
    with pytest.raises(Exception, match="Unable to bootstrap"):
        await admin.start()
    await close(admin)


async def test_where_brokers_ask_clients_for_certificates_theirs_is_shown(
    broker: Kafka, access: KafkaClients, authority: Authority
) -> None:
    assert broker.secured is not None
    without, broker.secured = broker.secured, replace(broker.secured, clients=authority.file)
    try:
        await asyncio.to_thread(broker.restart)
        refused = await access.refusal()
        assert refused and "made no TLS connection" in refused and refused.endswith("See REDRESS_KAFKA_SECURITY and _CERT_FILE.")
        own = replace(access, cert_file=authority.issue("client"))
        assert await own.refusal() is None
        assert await topics.brokers_of(own) == 1
    finally:
        broker.secured = without
        await asyncio.to_thread(broker.restart)


# -- PostgreSQL


async def test_journal_and_state_by_tls(postgres_admin: str, database: Any, authority: Authority, kafka_address: str, folder: Path) -> None:
    async with tls_proxy(postgres_admin, authority.issue("postgres")) as address:

        def through(dsn: str) -> str:
            parts = urlsplit(dsn)
            netloc = f"{parts.netloc.rpartition('@')[0]}@{address}"
            return urlunsplit(parts._replace(netloc=netloc, query=f"sslmode=verify-full&sslrootcert={authority.file}"))

        async def make(service: str) -> Databases:
            made: Databases = await database(service)
            return replace(made, owner_dsn=through(made.owner_dsn), app_dsn=through(made.app_dsn))

        stack = Stack(kafka_address, make)
        await topics.ensure(kafka_address, partitions=stack.partitions, prefix=stack.prefix)
        try:
            intake, handling = await stack.engine("intake"), await stack.engine("handling")
            await opened(intake)
            await idle(intake, handling)
            await rebuild(stack, "intake", folder)
            await verified(stack, "intake")
        finally:
            await stack.end()

        made = await stack.database("intake")
        another = Authority(folder, "another").file
        for dsn, why in (
            (made.app_dsn.replace(str(authority.file), str(another)), "has a certificate that is not trusted: unable to get local issuer"),
            (
                made.app_dsn.replace(address, address.replace("127.0.0.1", "localhost")),
                "has a certificate that is not trusted: Hostname mis",
            ),
            (made.app_dsn.replace(str(authority.file), str(folder / "absent")), "has an address that names a file which cannot be read"),
            (made.app_dsn.partition("?")[0] + "?sslmode=disable", "refuses the user, or a connection like this one: it may ask for TLS"),
            (made.app_dsn.replace("_app:", "_app:no"), "refuses the user, or the password"),
            (made.app_dsn.replace("verify-full", "verify"), "has an address that cannot be used: `sslmode` parameter must be one of"),
        ):
            engine = engine_of("intake", dsn, kafka_address, stack.prefix, stack.partitions)
            with pytest.raises(Unavailable, match=f"^The database of intake {why}"):
                await engine.start()
            await engine.stop()
        with pytest.raises(MigrationFailed, match="no encryption"):
            await dbmate(made.owner_dsn.partition("?")[0], "public", folder)
        with pytest.raises(MigrationFailed, match="certificate signed by unknown authority"):
            await dbmate(made.owner_dsn.replace(str(authority.file), str(another)), "public", folder)


async def test_a_server_without_tls_is_no_server_where_the_address_asks_for_it(database: Any, kafka_address: str) -> None:
    made = await database("intake")
    engine = engine_of("intake", f"{made.app_dsn}?sslmode=require", kafka_address, "t.", 4)
    with pytest.raises(Unavailable, match=r"^The database of intake offers no TLS, and the address asks for it"):
        await engine.start()
    await engine.stop()
