"""What a connection may send, how long it may take, and how many there may be: bytes on a socket, to the real server.

Long, for all of it talks to one server over one kind of wire.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest

from redress_chassis import Settings, serving
from redress_chassis.serving import Server

ALIVE = b"GET /health/live HTTP/1.1\r\nHost: jar\r\n\r\n"
TWO_LENGTHS = b"POST /notes HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
TWO_ENDS = b"POST /notes HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
PATIENCE = 60  # seconds, on a machine that is slow
PATIENT = {"header_seconds": 600.0, "body_seconds": 600.0, "idle_seconds": 600}
SOON = pytest.mark.parametrize("limits", [{"header_seconds": 1.0, "body_seconds": 1.0, "idle_seconds": 1}])
Connect = Callable[[], Awaitable["Wire"]]


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content of the next answer."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")[:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            return int(first.split()[1]), headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def problem(self) -> tuple[int, str]:
        """Status and code of the next answer, which is the last of the connection."""
        status, headers, content = await self.answer()
        assert headers["connection"] == "close" and headers["cache-control"] == "no-store"
        assert headers["content-type"] == "application/problem+json"
        assert await self.closed()
        return status, orjson.loads(content)["code"]

    async def closed(self) -> bool:
        """Once the other side has closed it."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass
        return True


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "TICK", 0.05)


@pytest.fixture
def limits() -> dict[str, Any]:
    """In which a test's server differs."""
    return {}


@pytest.fixture
async def server(serve: Any, settings: Settings, limits: dict[str, Any]) -> Server:
    started: Server = await serve(settings.model_copy(update=PATIENT | limits))
    return started


@pytest.fixture
async def connect(server: Server) -> AsyncIterator[Connect]:
    made: list[Wire] = []

    async def another() -> Wire:
        made.append(Wire(*await asyncio.open_connection("127.0.0.1", server.servers[0].sockets[0].getsockname()[1])))
        return made[-1]

    yield another
    for wire in made:
        wire.writer.close()


def post(token: str, body: bytes = b"", more: bytes = b"") -> bytes:
    head = b"POST /notes HTTP/1.1\r\nHost: jar\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\nAuthorization: Bearer "
    return head + token.encode() + b"\r\n" + more + (b"Content-Length: %d\r\n\r\n" % len(body) + body if body else b"")


@pytest.fixture
def token(issuer: Any) -> str:
    minted: str = issuer.token("front-end")
    return minted


async def test_a_connection_answers_one_request_after_the_other(connect: Connect, token: str) -> None:
    wire = await connect()
    for _ in range(3):
        wire.send(ALIVE)
        status, headers, content = await wire.answer()
        assert (status, orjson.loads(content)["status"]) == (200, "live")
        assert "server" not in headers and "date" in headers
    wire.send(post(token, b'{"title": "a", "text": "b"}'))
    assert (await wire.answer())[0] == 201


async def test_a_head_of_the_size_that_is_allowed_is_taken_with_a_body_that_is_larger(connect: Connect, token: str) -> None:
    wire = await connect()
    wire.send(post(token, b'{"title": "a", "text": "%s"}' % (b"b" * 3_900), b"X-Filler: %s\r\n" % (b"x" * 25_000)))
    assert (await wire.answer())[0] == 201


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health/live HTTP/1.1\r\nX: " + b"x" * 33_000 + b"\r\n\r\n",
        b"GET /health/live?" + b"x" * 33_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"GET /health/live HTTP/1.1\r\n" + b"X" * 33_000,
    ],
    ids=["a long header", "a long address", "many headers", "a name without an end"],
)
async def test_a_head_that_is_too_large_is_431(connect: Connect, head: bytes) -> None:
    wire = await connect()
    wire.send(ALIVE)
    assert (await wire.answer())[0] == 200
    wire.send(head)
    assert await wire.problem() == (431, "head-too-large")


@pytest.mark.parametrize("body", [b"", b"Transfer-Encoding: chunked\r\n\r\n0\r\n"])
async def test_a_header_that_does_not_end_is_read_no_further(connect: Connect, body: bytes) -> None:
    """Nor one behind a body."""
    wire, sent, piece = await connect(), 0, b"x" * 1024 * 1024
    wire.send(b"GET /health/live HTTP/1.1\r\n" + body + b"X: ")
    try:
        while sent < 256 * len(piece):
            wire.send(piece)
            async with asyncio.timeout(PATIENCE):
                await wire.writer.drain()
            sent += len(piece)
    except ConnectionError:
        pass
    assert sent < 64 * len(piece), "what the system holds for both sides, and no more"
    other = await connect()
    other.send(ALIVE)
    assert (await other.answer())[0] == 200


async def test_what_follows_a_body_is_no_header(connect: Connect, token: str, jar: Any) -> None:
    wire = await connect()
    body = b'{"title": "a", "text": "b"}'
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nIdempotency-Key: other\r\n\r\n" % (len(body), body)
    wire.send(post(token, more=chunked))
    assert (await wire.answer())[0] == 201
    assert ["other" in each.key for each in jar.metadata] == [False]


@SOON
async def test_half_sent_requests_are_closed_when_their_time_is_up(connect: Connect) -> None:
    wires = []
    for _ in range(200):
        wires.append(await connect())
        wires[-1].send(ALIVE[:-4])
    assert {await wire.problem() for wire in wires} == {(408, "too-slow")}


@SOON
async def test_a_drop_now_and_then_gives_no_more_time(connect: Connect) -> None:
    wire = await connect()
    wire.send(ALIVE[:-2])

    async def dropping() -> None:
        while True:
            wire.send(b"X: y\r\n")
            await asyncio.sleep(0.1)

    drops = asyncio.create_task(dropping())
    try:
        assert (await wire.answer())[0] == 408
    finally:
        drops.cancel()


@SOON
@pytest.mark.parametrize("kept_busy", [b"", b"\r\n"])
async def test_who_asks_for_nothing_is_closed_in_silence(connect: Connect, kept_busy: bytes) -> None:
    """Also when an empty line makes uvicorn forget the time."""
    fresh, used = await connect(), await connect()
    used.send(ALIVE)
    assert (await used.answer())[0] == 200
    used.send(kept_busy)
    assert await fresh.closed() and await used.closed()


@SOON
async def test_a_connection_rests_no_longer_after_a_body_that_came_late(connect: Connect) -> None:
    """uvicorn's own time ends with its first byte."""
    wire = await connect()
    wire.send(post("none", more=b"Content-Length: 2\r\n\r\n{"))
    assert (await wire.answer())[0] == 401
    wire.send(b"}")
    assert await wire.closed()


@SOON
async def test_a_body_that_does_not_come_is_408_and_nothing_is_done(connect: Connect, token: str, jar: Any) -> None:
    wire = await connect()
    wire.send(post(token, b'{"title": "a", "text": "b"}')[:-5])
    assert await wire.problem() == (408, "too-slow")
    assert jar.rows == {}


@SOON
async def test_a_body_that_nobody_wants_is_not_read_for_ever(connect: Connect) -> None:
    wire = await connect()
    wire.send(post("none", more=b"Content-Length: 1000\r\n\r\n{"))
    assert (await wire.answer())[0] == 401
    assert await wire.closed()


@pytest.mark.parametrize("limits", [{"max_connections": 3}])
async def test_who_rests_longest_gives_way_to_a_newcomer(connect: Connect) -> None:
    first, *others = [await connect() for _ in range(3)]
    for wire in (first, *others):
        wire.send(ALIVE)
        assert (await wire.answer())[0] == 200
    newcomer = await connect()
    newcomer.send(ALIVE)
    assert (await newcomer.answer())[0] == 200
    assert await first.closed()
    for wire in others:
        wire.send(ALIVE)
        assert (await wire.answer())[0] == 200


@pytest.mark.parametrize("limits", [{"max_connections": 2}])
async def test_where_all_have_a_request_under_way_a_newcomer_is_refused(connect: Connect, token: str, jar: Any) -> None:
    taken, leave = asyncio.Semaphore(0), asyncio.Event()
    create = jar.create

    async def waiting(*given: Any, **options: Any) -> Any:
        taken.release()
        await leave.wait()
        return await create(*given, **options)

    jar.create = waiting
    busy = [await connect() for _ in range(2)]
    for wire in busy:
        wire.send(post(token, b'{"title": "a", "text": "b"}'))
        await taken.acquire()
    assert await (await connect()).problem() == (503, "busy")
    leave.set()
    assert [(await wire.answer())[0] for wire in busy] == [201, 201]


@pytest.mark.parametrize("sent", [b"hello\r\n\r\n", b"GET\r\n\r\n", TWO_LENGTHS, TWO_ENDS, b"\x16\x03\x01\x02"])
async def test_what_is_no_request_is_400(connect: Connect, sent: bytes) -> None:
    wire = await connect()
    wire.send(sent)
    assert await wire.problem() == (400, "malformed-request")


async def test_requests_that_do_not_wait_for_their_answers_are_few(connect: Connect) -> None:
    wire = await connect()
    wire.send(ALIVE * 4)
    assert [(await wire.answer())[0] for _ in range(4)] == [200] * 4
    wire.send(ALIVE * 1_000)
    assert await wire.closed()


@pytest.mark.parametrize("asked", [b"websocket", b"h2c"])
async def test_another_protocol_is_not_gone_over_to(connect: Connect, asked: bytes) -> None:
    wire = await connect()
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    wire.send(ALIVE[:-2] + b"Connection: Upgrade\r\nUpgrade: " + asked + b"\r\n" + key + b"\r\n")
    assert (await wire.answer())[0] == 200


@pytest.mark.parametrize("limits", [{"body_seconds": 1.0}])
async def test_who_takes_nothing_of_an_answer_is_left(connect: Connect, token: str, jar: Any, server: Server) -> None:
    wire = await connect()
    wire.send(post(token, b'{"title": "a", "text": "b"}'))
    await wire.answer()
    port = server._ports[0]
    (connection,) = port.connected
    connection.pause_writing()  # as the transport does when the other side has no room
    assert await wire.closed()


async def test_what_was_refused_is_one_line_of_the_log(connect: Connect, capsys: pytest.CaptureFixture[str], server: Server) -> None:
    wires = [await connect() for _ in range(5)]
    for wire in wires:
        wire.send(b"GET /?" + b"x" * 40_000)
        await wire.problem()
    server._ports[0].sweep(0)
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines() if "connections-refused" in line]
    assert sum(line["reasons"]["head-too-large"] for line in lines) == 5
