"""`make soak`: random faults from a seed under load for some minutes, then every check. Exit code 1 where one fails."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time

from redress_local.servers import NO_DOCKER_VARIABLE
from redress_soak.results import summary, table, write
from redress_soak.soak import soak

LONG_ENOUGH = 20.0  # minutes: shorter ones are not written down


def main() -> int:
    asked = argparse.ArgumentParser(prog="make soak", description=__doc__)
    asked.add_argument("--minutes", type=float, default=LONG_ENOUGH, help="of faults; closing and checking come on top")
    asked.add_argument("--seed", default="", help="which faults, in which order; a new one if none is given")
    asked.add_argument("--only", default="", help="these faults alone: takeover,lost_start; it is not written down")
    options = asked.parse_args()
    seed = int(options.seed or random.SystemRandom().randint(1, 10**6))
    os.environ[NO_DOCKER_VARIABLE] = "1"  # only local servers can be killed
    began = time.monotonic()

    def progress(what: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {what}", flush=True)

    progress(f"seed {seed}, {options.minutes:g} minutes")
    result = soak(options.minutes, seed, progress, options.only.split(",") if options.only else ())
    print(table(result), summary(result), sep="\n\n")
    for each in result.wrong:
        print(f"WRONG: {each}", file=sys.stderr)
    if options.minutes >= LONG_ENOUGH and not options.only:
        write(result)
    print(f"Seed {seed}.")
    return int(bool(result.wrong))


if __name__ == "__main__":
    sys.exit(main())
