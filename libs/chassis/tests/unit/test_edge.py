"""The edge by its settings: what a caller may ask, two ports, a proxy in front, TLS, pages of other origins, and every answer's headers.

Long, for one app is called in all of it.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from spine_certificates import Authority

from redress_chassis import Problem, Service, Settings, serving
from redress_chassis.edge import caller_limits
from redress_chassis.edge.caller_limits import CallerLimits, address_of
from redress_chassis.serving import Server
from redress_local.places import free_ports

GOOD = {"title": "a", "text": "b"}
HERE = "127.0.0.1"
Call = Callable[..., Any]


@pytest.fixture
def call(service: Service, settings: Settings, jar: Any) -> Call:
    """A client of an app with these settings, whose calls come from `address`."""

    @asynccontextmanager
    async def calling(address: str = HERE, **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = service.app(settings.model_copy(update=changed), engine=jar)
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://jar") as client:
            yield client

    return calling


def at(port: int, scheme: str = "http", **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{scheme}://{HERE}:{port}", trust_env=False, timeout=60, **options)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_bucket_has_a_burst_and_fills_again_by_its_rate():
    now = 100.0
    limits = CallerLimits(rate=2, burst=3, now=lambda: now)
    for _ in range(3):
        limits.take("alice")
    for _ in range(5):
        with pytest.raises(Problem) as refused:
            limits.take("alice")
        assert (refused.value.status, refused.value.headers) == (429, {"retry-after": "1"}), "what is refused is not counted"
    limits.take("bob")
    now = 100.5
    limits.take("alice")
    with pytest.raises(Problem):
        limits.take("alice")
    now = 1_000.0
    for _ in range(3):
        limits.take("alice")
    with pytest.raises(Problem):
        limits.take("alice")


def test_who_would_wait_long_is_told_so():
    limits = CallerLimits(rate=0.1, burst=1, now=lambda: 0.0)
    limits.take("alice")
    with pytest.raises(Problem) as refused:
        limits.take("alice")
    assert refused.value.headers["retry-after"] == "10"


def test_a_rate_of_zero_is_no_limit():
    limits = CallerLimits(rate=0, burst=1)
    for _ in range(10):
        limits.take("alice")


def test_so_many_callers_are_remembered_and_no_more(monkeypatch):
    monkeypatch.setattr(caller_limits, "REMEMBERED", 100)
    limits = CallerLimits(rate=1, burst=1, now=lambda: 0.0)
    limits.take("first")
    for n in range(1_000):
        limits.take(str(n))
    assert len(limits._due) == 100
    limits.take("first")
    with pytest.raises(Problem):
        limits.take("999")


ADDRESSES = {
    "10.1.2.3": "10.1.2.3",
    "2001:db8:1:2:3::4": "2001:db8:1:2::/64",
    "fe80::1%eth0": "fe80::/64",
    "::ffff:10.1.2.3": "10.1.2.3",
    "x" * 1_000: "x" * 64,
    "::1": "::/64",
    "a:b": "a:b",
    "unknown": "unknown",
}


@pytest.mark.parametrize(("host", "counted"), ADDRESSES.items())
def test_an_ipv6_address_stands_for_its_network(host, counted):
    assert address_of({"client": (host, 1)}) == counted


def test_whoever_has_no_address_is_one_caller():
    assert address_of({"client": None}) == address_of({}) == ""


async def test_a_caller_who_asks_too_much_is_429_and_another_is_not(call, issuer, jar):
    def headers(who: str, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {issuer.token('front-end', sub=who)}", "idempotency-key": key}

    async with call(caller_rate=0.001, caller_burst=2) as client:
        for key in "ab":
            assert (await client.post("/notes", json=GOOD, headers=headers("alice", key))).status_code == 201
        refused = await client.post("/notes", json=GOOD, headers=headers("alice", "c"))
        assert code(refused) == (429, "too-many-requests") and int(refused.headers["retry-after"]) > 100
        assert len(jar.rows) == 2
        assert (await client.post("/notes", json=GOOD, headers=headers("bob", "d"))).status_code == 201
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert [(await client.get(path, headers=headers("alice", "e"))).status_code for _ in range(4)] == [200] * 4
        assert 'status="429"} 1.0' in (await client.get("/metrics")).text


async def test_who_has_no_token_is_counted_by_address_and_keeps_nobody_out(call, issuer):
    async with call(caller_rate=0.001, caller_burst=2) as client:
        answers = [code(await client.get("/notes", headers={"authorization": f"Bearer bad{n}"})) for n in range(3)]
        assert answers == [(401, "bad-token"), (401, "bad-token"), (429, "too-many-requests")]
        assert (await client.get("/openapi.json")).status_code == 429
        headers = {"authorization": f"Bearer {issuer.token('handler', department='network')}"}
        assert (await client.get("/notes", headers=headers)).status_code == 200


async def test_two_authorizations_are_refused_and_other_headers_may_be_repeated(call, issuer):
    token = f"Bearer {issuer.token('handler', department='network')}"
    async with call() as client:
        for first, second in ((token, "Bearer other"), (token, token)):
            answer = await client.get("/notes", headers=[("Authorization", first), ("Authorization", second)])
            assert code(answer) == (400, "repeated-header")
            assert (answer.json()["pointer"], answer.json()["errors"][0]["in"]) == ("/authorization", "header")
        answer = await client.get("/notes", headers=[("Authorization", token), ("Redress-Break-Glass", "a"), ("Redress-Break-Glass", "b")])
        assert code(answer) == (400, "repeated-header")
        answer = await client.get("/health/live", headers=[("Authorization", "a"), ("authorization", "b")])
        assert code(answer) == (400, "repeated-header")
        several = [("Authorization", token), ("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "5.6.7.8")]
        assert (await client.get("/notes", headers=several)).status_code == 200


async def test_no_answer_is_kept_shown_in_a_frame_or_taken_for_something_else(call, issuer):
    token = {"authorization": f"Bearer {issuer.token('front-end')}"}
    async with call() as client:
        created = await client.post("/notes", json=GOOD, headers=token | {"idempotency-key": "k"})
        for answer in (
            created,
            await client.get(created.headers["location"], headers=token),
            await client.get("/notes"),
            await client.get("/nowhere", headers=token),
            await client.get("/health/live"),
            await client.get("/docs"),
        ):
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].count("frame-ancestors 'none'") == 1
            assert "strict-transport-security" not in answer.headers
        over_tls = await client.get("https://jar/health/live")
        assert "max-age=" in over_tls.headers["strict-transport-security"]


async def test_without_a_setting_no_other_origin_is_let_in(call):
    async with call() as client:
        answer = await client.get("/health/live", headers={"origin": "https://console.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        asked = {"origin": "https://console.example", "access-control-request-method": "POST"}
        answer = await client.options("/notes", headers=asked)
        assert answer.status_code == 401 and "access-control-allow-origin" not in answer.headers


async def test_the_origins_that_are_named_may_call_and_no_other(call, issuer):
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,idempotency-key"}
    async with call(cors_origins="https://a.example, https://b.example") as client:
        answer = await client.options("/notes", headers={"origin": "https://b.example", **asked})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://b.example")
        assert "access-control-allow-credentials" not in answer.headers
        answer = await client.options("/notes", headers={"origin": "https://c.example", **asked})
        assert answer.status_code == 400 and "access-control-allow-origin" not in answer.headers
        answer = await client.get("/notes", headers={"origin": "https://a.example"})
        assert answer.status_code == 401, "also what is refused can be read"
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert "etag" in answer.headers["access-control-expose-headers"].lower()


async def test_preflights_are_counted_and_logged_like_all_that_comes(call, capsys):
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
    async with call(cors_origins="https://a.example", caller_rate=0.001, caller_burst=2) as client:
        capsys.readouterr()
        answers = [await client.options("/notes", headers=asked) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert "x-content-type-options" in answers[0].headers
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        logged = [(line["method"], line["status"], line.get("code")) for line in lines if line["event"] == "request"]
        assert logged == [("OPTIONS", 200, None)] * 2 + [("OPTIONS", 429, "too-many-requests")]
        metrics = (await client.get("/metrics")).text
        assert 'redress_request_seconds_count{method="OPTIONS",route="",status="200"} 2.0' in metrics


OPERATIONS = ("/metrics", "/docs", "/docs/redoc", "/docs/swagger-ui.css", "/openapi.json", "/ops/parked")


async def test_operations_have_a_port_of_their_own_where_it_is_set(serve, settings, issuer):
    (port,) = free_ports(1)
    server: Server = await serve(settings.model_copy(update={"ops_port": port}))
    own = server.servers[0].sockets[0].getsockname()[1]
    handler = {"authorization": f"Bearer {issuer.token('handler', 'ops', department='network')}"}
    async with at(own, headers=handler) as main, at(port, headers=handler) as ops:
        for path in ("/health/live", "/health/ready"):
            assert (await main.get(path)).status_code == (await ops.get(path)).status_code == 200
        assert (await main.get("/notes")).status_code == 200
        assert code(await ops.get("/notes")) == (404, "not-found")
        assert [code(await main.get(path)) for path in OPERATIONS] == [(404, "not-found")] * 6
        assert [(await ops.get(path)).status_code for path in OPERATIONS[:5]] == [200] * 5
        assert code(await ops.get("/ops/parked", headers={"authorization": ""})) == (401, "bad-token")
        assert (await ops.get("/ops/parked")).status_code != 404


async def test_without_it_everything_is_at_one_port(serve, settings):
    server: Server = await serve(settings)
    assert len(server.servers) == 1
    async with at(server.servers[0].sockets[0].getsockname()[1]) as client:
        assert [(await client.get(path)).status_code for path in OPERATIONS] == [200, 200, 200, 200, 200, 401]


async def test_a_full_port_leaves_the_one_for_operations_free(serve, settings):
    (port,) = free_ports(1)
    server: Server = await serve(settings.model_copy(update={"ops_port": port, "max_connections": 1}))
    own = server.servers[0].sockets[0].getsockname()[1]
    async with at(own) as main, at(port) as ops:
        assert (await main.get("/health/live")).status_code == (await ops.get("/health/live")).status_code == 200
        assert [len(each.connected) for each in server._ports] == [1, 1]


async def test_behind_a_proxy_the_path_in_front_is_told_to_callers(serve, settings, issuer):
    server: Server = await serve(settings.model_copy(update={"root_path": "/jar"}))
    token = {"authorization": f"Bearer {issuer.token('front-end')}", "idempotency-key": "k"}
    async with at(server.servers[0].sockets[0].getsockname()[1], headers=token) as client:  # the proxy has taken /jar away
        created = await client.post("/notes", json=GOOD)
        assert created.status_code == 201
        assert created.headers["location"] == f"/jar/notes/{created.json()['id']}"
        assert (await client.get(created.headers["location"].removeprefix("/jar"))).status_code == 200
        assert (await client.get("/openapi.json")).json()["servers"][0]["url"] == "/jar"
        for page in ("/docs", "/docs/redoc"):
            text = (await client.get(page)).text
            assert text.count('="/jar/') == 5 and "/jar/openapi.json" in text
        assert (await client.get("/health/live")).status_code == 200
        assert 'route="/notes"' in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    ("trusted", "said", "root"),
    [
        (HERE, "/jar", "/jar"),
        ("10.0.0.0/8", "/jar", "/set"),  # of anybody else it is not believed
        (None, "/jar", "/set"),
        (HERE, "//elsewhere.example", "/set"),
        (HERE, "/jar/", "/set"),
        (HERE, None, "/set"),
    ],
)
async def test_a_trusted_proxy_says_under_which_path_it_shows_the_service(serve, settings, issuer, trusted, said, root):
    server: Server = await serve(settings.model_copy(update={"trusted_proxies": trusted, "root_path": "/set"}))
    headers = {"authorization": f"Bearer {issuer.token('front-end')}", "idempotency-key": "k"}
    async with at(server.servers[0].sockets[0].getsockname()[1], headers=headers) as client:
        told = {} if said is None else {"x-forwarded-prefix": said}
        created = await client.post("/notes", json=GOOD, headers=told)
        assert created.headers["location"] == f"{root}/notes/{created.json()['id']}"
        assert (await client.get(f"/notes/{created.json()['id']}", headers=told)).status_code == 200
        assert (await client.get("/openapi.json", headers=told)).json()["servers"][0]["url"] == root
        for sent, expected in (("%ff", 400), ("%25ff", 404)):  # the address is judged as it was sent
            answer = await client.get(f"/nowhere/{sent}", headers=told)
            assert answer.status_code == expected, answer.text


@pytest.mark.parametrize(("trusted", "counted"), [(HERE, "203.0.113.7"), ("10.0.0.0/8", HERE), (None, HERE)])
async def test_forwarded_headers_are_believed_of_trusted_addresses_alone(serve, settings, trusted, counted):
    """By who is counted, and by what an answer over TLS says."""
    server: Server = await serve(settings.model_copy(update={"trusted_proxies": trusted, "caller_rate": 0.001, "caller_burst": 1}))
    said = {"x-forwarded-for": "198.51.100.1, 203.0.113.7", "x-forwarded-proto": "https"}
    async with at(server.servers[0].sockets[0].getsockname()[1]) as client:
        answer = await client.get("/openapi.json", headers=said)
        assert ("strict-transport-security" in answer.headers) is (counted != HERE)
        assert (await client.get("/openapi.json", headers=said)).status_code == 429
        answer = await client.get("/openapi.json", headers={"x-forwarded-for": "203.0.113.8"})
        assert answer.status_code == (429 if counted == HERE else 200)


async def test_the_server_shows_its_certificate_and_a_renewed_one(serve, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "TICK", 0.05)
    monkeypatch.setattr(serving, "RENEWED_EVERY", 0.0)
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    file = old.issue("jar")
    server: Server = await serve(settings.model_copy(update={"tls_cert_file": file}))
    port = server.servers[0].sockets[0].getsockname()[1]

    async def live(authority: Authority) -> int:
        async with at(port, "https", verify=ssl.create_default_context(cafile=authority.file)) as client:
            return (await client.get("/health/live")).status_code

    assert await live(old) == 200
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        await live(new)
    with pytest.raises(httpx.TransportError):
        async with at(port) as plain:
            await plain.get("/health/live")

    whole = new.issue("renewed").read_text()
    file.write_text("half a file")  # whoever reads now keeps what was there
    assert await live(old) == 200
    file.write_text(whole)
    async with asyncio.timeout(60):
        while True:
            try:
                assert await live(new) == 200
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
async def test_a_handshake_has_a_time_limit(serve, settings, tmp_path: Path, sent: bytes):
    changed = {"tls_cert_file": Authority(tmp_path).issue("jar"), "header_seconds": 0.5}
    server: Server = await serve(settings.model_copy(update=changed))
    reader, writer = await asyncio.open_connection(HERE, server.servers[0].sockets[0].getsockname()[1])
    writer.write(sent)
    async with asyncio.timeout(60):
        with suppress(ConnectionError):
            await reader.read()
    writer.close()
