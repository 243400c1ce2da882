"""Write the published form of the events, or check it: `python -m redress_spine.schemas [--check]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from redress_events.contracts import CONTRACTS
from redress_spine.schemas.folder import Plan

FOLDER: Final = Path(__file__).parents[4] / "schemas"  # libs/spine/redress_spine/schemas/ is four below the root
DESCRIPTION: Final = """\
Write JSON Schemas, AsyncAPI documents and golden files of every event into schemas/. Nothing is written when a published
type changed in a way that its readers, or the events on the log, do not allow; the message says what to do instead.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """0: written, or in agreement. 1: refused, or drifted."""
    parser = argparse.ArgumentParser(prog="python -m redress_spine.schemas", description=DESCRIPTION)
    parser.add_argument("--check", action="store_true", help="write nothing; fail with a diff when the folder and the code disagree")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="another folder than schemas/ at the root of the repository")
    chosen = parser.parse_args(arguments)

    plan = Plan.of(chosen.folder, CONTRACTS.values())
    if plan.refusals:
        print("\n".join(plan.refusals), file=sys.stderr)
        return 1
    if not chosen.check:
        print("\n".join(plan.write(chosen.folder)) or "Nothing changed.")
        return 0
    if drift := plan.drift(chosen.folder):
        print("\n".join(drift), file=sys.stderr)
        print("The schemas and the code disagree. Run `make schemas`, look at what changed, and commit it.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
