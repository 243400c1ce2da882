"""Kafka and PostgreSQL by TLS and with a user: everything goes that way, and who is not let in says why.

Long, for each way to be let in needs a broker and certificates of the same making.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import pytest
import structlog
from joserfc import jwt
from joserfc.jwk import ECKey
from spine_certificates import Authority
from spine_log import idle, rebuild, states, verified
from spine_stack import Stack, engine_of, eventually, metadata, registered
from tls_proxy import tls_proxy

from redress_local.kafka import TOKEN_ISSUER, Kafka, Secured
from redress_local.provision import Databases
from redress_spine.admin import rebuild as rebuild_module
from redress_spine.messaging import topics
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.relay import close
from redress_spine.store.engine import Engine, Unavailable
from redress_spine.store.errors import KafkaRefuses
from redress_spine.store.migrate import MigrationFailed, migrate

PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory(prefix="redress-test-") as folder:
        yield Authority(Path(folder))


@pytest.fixture(scope="module")
def broker(authority: Authority, issuer: Endpoint) -> Iterator[Kafka]:
    with tempfile.TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as folder:
        kafka = Kafka(Path(folder) / "kafka", secured=Secured(authority.issue("broker"), {"redress": PASSWORD}, tokens=issuer.jwks))
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


async def test_a_broker_whose_certificate_another_authority_signs_is_trusted_once_the_file_says_so(
    broker: Kafka, access: KafkaClients, authority: Authority, secured: Stack, folder: Path
) -> None:
    assert broker.secured is not None
    own = folder / "ca.pem"
    own.write_bytes(authority.file.read_bytes())
    trusting = replace(access, ca_file=own)
    intake, handling = await secured.engine("intake", kafka=trusting), await secured.engine("handling", kafka=trusting)
    await opened(intake)
    another = Authority(folder, "another")
    before, broker.secured = broker.secured, replace(broker.secured, certificate=another.issue("broker"))
    try:
        await asyncio.to_thread(broker.restart)

        async def mistrusted() -> bool:
            return "certificate that is not trusted" in "".join((await intake.health()).alarms)

        await eventually(mistrusted, 60)
        own.write_bytes(another.file.read_bytes())
        await opened(intake)

        async def well() -> bool:
            return not (await intake.health()).alarms and not (await handling.health()).alarms

        await eventually(well, 60)
        await idle(intake, handling)
    finally:
        await secured.stop(intake)
        await secured.stop(handling)
        broker.secured = before
        await asyncio.to_thread(broker.restart)


async def test_a_password_in_a_file_is_read_for_each_client(access: KafkaClients, folder: Path) -> None:
    file = folder / "password"
    by_file = replace(access, password=None, password_file=file)
    with pytest.raises(KafkaRefuses, match="its password cannot be read: No such file or directory"):
        await topics.brokers_of(by_file)
    file.write_text("wrong\n")
    assert "refuses the user" in str(await by_file.refusal())
    file.write_text(f"{PASSWORD}\n")
    assert await by_file.refusal() is None
    assert await topics.brokers_of(by_file) == 1


# -- tokens


class Endpoint:
    """A token endpoint: it signs what Kafka checks, for one client with its secret, and counts who asks."""

    def __init__(self, folder: Path) -> None:
        self._key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
        self.jwks = folder / "jwks.json"
        self.jwks.write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))
        self.asked: list[dict[str, str]] = []
        self.address = ""

    def token(self, subject: str = "redress", audience: str = "kafka", lives: int = 300) -> str:
        now = int(time.time())
        claims = {"iss": TOKEN_ISSUER, "sub": subject, "aud": audience, "iat": now, "exp": now + lives, "scope": "kafka"}
        return jwt.encode({"alg": "ES256", "kid": "one"}, claims, self._key)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        form = dict(parse_qsl((await reader.readexactly(int(fields["content-length"]))).decode()))
        self.asked.append(form)
        credentials = next(line.split(" ", 2)[2] for line in head.splitlines() if line.lower().startswith("authorization: basic "))
        known = base64.b64decode(credentials).decode() == f"client%2Fone:{PASSWORD}" and form["grant_type"] == "client_credentials"
        body = json.dumps({"access_token": self.token(), "expires_in": 300} if known else {"error": "invalid_client"}).encode()
        status = b"200 OK" if known else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Endpoint]:
    with tempfile.TemporaryDirectory(prefix="redress-test-") as folder:
        yield Endpoint(Path(folder))


@pytest.fixture
async def endpoint(issuer: Endpoint) -> AsyncIterator[Endpoint]:
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    issuer.address = f"http://{host}:{port}/token"
    issuer.asked.clear()
    yield issuer
    server.close()


async def test_clients_that_have_tokens_for_a_secret(secured: Stack, access: KafkaClients, endpoint: Endpoint, folder: Path) -> None:
    secret = folder / "secret"
    secret.write_text(f"{PASSWORD}\n")
    how = {"username": "client/one", "password": None, "password_file": secret, "token_url": endpoint.address, "token_scope": "kafka"}
    secured.kafka = by_token = replace(access, mechanism="OAUTHBEARER", **how)  # type: ignore[arg-type]
    intake, handling = await secured.engine("intake"), await secured.engine("handling")
    await opened(intake)
    await idle(intake, handling)
    assert {each["scope"] for each in endpoint.asked} == {"kafka"}
    asked = len(endpoint.asked)
    assert await topics.brokers_of(by_token) == await topics.brokers_of(by_token) == 1
    assert len(endpoint.asked) == asked, "a token is used again"

    secret.write_text("wrong")
    refused = await replace(by_token).refusal()
    assert refused and "gives the client client/one no token: 401 invalid_client. See REDRESS_KAFKA_USERNAME" in refused
    refused = await replace(by_token, token_url="http://127.0.0.1:9/token").refusal()
    assert refused and "The token endpoint does not answer: ConnectError. See REDRESS_KAFKA_TOKEN_URL." in refused


async def test_clients_whose_token_stands_in_a_file(access: KafkaClients, issuer: Endpoint, folder: Path) -> None:
    file = folder / "token"
    by_file = replace(access, mechanism="OAUTHBEARER", username=None, password=None, token_file=file)
    assert "The file of the token cannot be read: No such file" in str(await by_file.refusal())
    file.write_text(issuer.token(audience="others"))
    assert "does not take the token. See REDRESS_KAFKA_TOKEN_URL" in str(await by_file.refusal())
    file.write_text(f"{issuer.token()}\n")
    assert await by_file.refusal() is None
    assert await topics.brokers_of(by_file) == 1


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
            (made.app_dsn.partition("?")[0] + "?sslmode=disable", "refuses the user, or this kind of connection: it may require TLS"),
            (made.app_dsn.replace("_app:", "_app:no"), "refuses the user, or the password"),
            (made.app_dsn.replace("verify-full", "verify"), "has an address that cannot be used: `sslmode` parameter must be one of"),
        ):
            engine = engine_of("intake", dsn, kafka_address, stack.prefix, stack.partitions)
            with pytest.raises(Unavailable, match=f"^The database of intake {why}"):
                await engine.start()
            await engine.stop()
        how: dict[str, Any] = {"app_role": made.app_role, "service_migrations_dir": folder, "fold": 1}
        for dsn, why in (
            (made.owner_dsn.partition("?")[0] + "?sslmode=disable", "The database refuses the user, or this kind of connection"),
            (made.owner_dsn.replace(str(authority.file), str(another)), "certificate that is not trusted: unable to get local issuer"),
            (made.owner_dsn.replace(f"={authority.file}", "=system"), "certificate that is not trusted: unable to get local issuer"),
        ):
            with pytest.raises(MigrationFailed, match=why):
                await migrate(owner_dsn=dsn, **how)


async def test_a_server_without_tls_is_no_server_where_the_address_asks_for_it(database: Any, kafka_address: str) -> None:
    made = await database("intake")
    engine = engine_of("intake", f"{made.app_dsn}?sslmode=require", kafka_address, "t.", 4)
    with pytest.raises(Unavailable, match=r"^The database of intake offers no TLS, and the address requires it"):
        await engine.start()
    await engine.stop()
