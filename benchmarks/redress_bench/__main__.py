"""`make bench`: measures the figures, prints them as a table, and writes them down."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from redress_bench.figure import Figure
from redress_bench.results import keep, table

FIGURES = ("front_door", "journal", "mac", "relay", "rebuild", "memory", "latency", "capacity", "burst", "whole_life", "deadlines")
SEED = 20260302


def main() -> int:
    """1 where a figure misses its limit."""
    asked = argparse.ArgumentParser(prog="make bench", description=__doc__)
    asked.add_argument("--only", default="", help="one or several of: " + " ".join(FIGURES))
    asked.add_argument("--quick", action="store_true", help="shorter and rougher; prints, and writes nothing down")
    asked.add_argument("--seed", type=int, default=SEED)
    asked.add_argument(
        "--against",
        type=Path,
        help="another checkout, made ready by `make setup`: capacity is measured on its system too, in turn; prints alone",
    )
    options = asked.parse_args()
    names = options.only.replace(",", " ").split() or FIGURES
    if unknown := set(names) - set(FIGURES):
        asked.error(f"There is no benchmark {', '.join(sorted(unknown))}. There are {', '.join(FIGURES)}.")
    if options.against and names != ["capacity"]:
        asked.error("Only capacity is measured beside another checkout: --only capacity --against DIR.")
    compared = {"against": options.against} if options.against else {}
    began = time.monotonic()
    found: list[Figure] = []
    for name in names:

        def progress(what: str, name: str = name) -> None:
            print(f"{time.monotonic() - began:5.0f} s  {name}: {what}", file=sys.stderr, flush=True)

        progress("begins")
        figure: Figure = importlib.import_module(f"redress_bench.{name}").measure(options.quick, options.seed, progress, **compared)
        found.append(figure)
        for line in figure.lines:
            progress(f"{line.what}: {line.value:.3g} {line.unit} ({line.low:.3g} to {line.high:.3g}) {line.verdict}")
    print(table(found))
    if not (options.quick or options.against):
        keep(found, options.seed)
    return int(any(line.verdict == "MISSED" for figure in found for line in figure.lines))


if __name__ == "__main__":
    sys.exit(main())
