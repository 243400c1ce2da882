"""The result of a soak as people read it: a table on the screen, and in RESULTS.md between marks of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import median

from redress_bench.results import FOLDER, VERSIONS, machine

from redress_soak.soak import Result

BEGIN, END = "<!-- written by `make soak`: begin -->", "<!-- written by `make soak`: end -->"
HEADS = ("fault", "times", "lasted up to", "recovered, median", "recovered, longest")
COMPARED_WITH = {"eventsourcing"}  # what `make bench` alone installs


def rows(result: Result) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for kind in sorted({each.kind for each in result.happened}):
        those = [each for each in result.happened if each.kind == kind]
        times = [each.recovered for each in those]
        lasted = max(each.lasted for each in those)
        found.append((kind, str(len(those)), f"{lasted:.1f} s", f"{median(times):.1f} s", f"{max(times):.1f} s"))
    return found


def table(result: Result) -> str:
    """For the screen."""
    everything = [HEADS, *rows(result)]
    widths = [max(len(row[n]) for row in everything) for n in range(len(HEADS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in everything)


def summary(result: Result) -> str:
    counts = (
        f"{result.complaints:,} complaints answered with 201 ({result.cut_off:,} posts were cut off or refused meanwhile, and repeated), "
        f"{result.events:,} events, {result.deadlines:,} deadlines breached, {result.annulled:,} of them annulled"
    )
    if result.wrong:
        return f"{counts}. It did NOT hold: {len(result.wrong)} things are wrong."
    held = "each complaint is there once, closed once and published as it ended; each deadline was judged once"
    return f"{counts}. It held: {held}; log, journals and states of all services are equal; nothing waits."


def write(result: Result) -> None:
    """Into RESULTS.md; what stands outside of the marks stays as it is."""
    now = datetime.now(UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
    lines = [BEGIN, "", "| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    lines += ["| " + " | ".join(row) + " |" for row in rows(result)]
    lines += ["", summary(result), *(f"- {each}" for each in result.wrong[:20]), ""]
    versions = [name for name in VERSIONS if name not in COMPARED_WITH]
    lines += [f"`make soak MINUTES={result.minutes:g} SEED={result.seed}`, {now}, on {machine(versions)}.", "", END]
    file = FOLDER / "RESULTS.md"
    before, _, rest = file.read_text().partition(BEGIN)
    file.write_text(before + "\n".join(lines) + rest.partition(END)[2])
