"""Durable registrations a second: intake as it runs, over the same app reduced to FastAPI and one INSERT."""

from __future__ import annotations

from redress_bench.bare_app import DSN, TABLE
from redress_bench.bodies import bodies
from redress_bench.figure import Bound, Figure, Line, Progress, percentile, ratios
from redress_bench.load import Load, Measured, drive
from redress_bench.stage import app, drained, measures, system
from redress_local.places import free_ports
from redress_local.processes import run
from redress_local.provision import provision
from redress_spine.store import connections

CLIENTS = 32
BOUND = (
    "The one core of the Python process: the door, FastAPI and pydantic take most of it, sealing and chaining a tenth; the shared commit "
    "keeps PostgreSQL's fsync out of the way."
)


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    rounds, seconds = (3, 3.0) if quick else (6, 6.0)
    sent = bodies(seed)
    with system(["intake"]) as stack:
        dsn = run(_bare_database(stack.servers.postgres))
        (port,) = free_ports(1)
        token = stack.issuer.mint("front-end", "bench", ttl=3600)
        ours = Load(stack.urls["intake"] + "/complaints", sent, seconds, CLIENTS, token=token)
        theirs = Load(f"http://127.0.0.1:{port}/complaints", sent, seconds, CLIENTS, keyed=False)
        pairs: list[tuple[Measured, Measured]] = []
        behind: list[float] = []
        with app("redress_bench.bare_app:app", port, stack.folder, {DSN: dsn}):
            for each in (ours, theirs):
                drive(Load(**{**each.__dict__, "seconds": 2.0}))
            drained([ours.url.removesuffix("/complaints")])
            for n in range(rounds):
                one = drive(ours)
                behind.append(measures(stack.urls["intake"]).get("backlog_events", 0.0))
                drained([stack.urls["intake"]])
                other = drive(theirs)
                pairs.append((one, other))
                progress(f"round {n + 1} of {rounds}: {one.rate:.0f}/s against {other.rate:.0f}/s, {one.rate / other.rate:.2f}")
    rates = [(one.rate, other.rate) for one, other in pairs]
    return Figure(
        "front_door",
        f"Registrations answered with 201, {CLIENTS} clients: the whole intake service in one uvicorn worker (token, validation, sealing, "
        "idempotency, journal, state; relay and projector in the same process) over FastAPI and one INSERT.",
        BOUND,
        rounds,
        [
            Line.of("front door ÷ FastAPI + one INSERT", "", ratios(rates), Bound("at least", 0.5, 0.7)),
            Line.of("front door", "registrations/s", [one for one, _ in rates]),
            Line.of("FastAPI + one INSERT", "registrations/s", [other for _, other in rates]),
            Line.of("front door, p99", "ms", [percentile(one.latencies, 0.99) * 1000 for one, _ in pairs]),
        ],
        [f"Events not yet on the log when a round ended: at most {max(behind):.0f}."],
    )


async def _bare_database(admin: str) -> str:
    made = await provision(admin, "bare", database="bench_bare")
    connection = await connections.connect(made.owner_dsn)
    try:
        await connection.execute(TABLE)
        await connection.execute(f"GRANT INSERT ON complaints TO {made.app_role}")
    finally:
        await connection.close()
    return made.app_dsn
