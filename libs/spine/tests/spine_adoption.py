"""An adoption as a process of its own, which is killed at one of its steps."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from spine_log import described
from spine_stack import MASTER, Stack

from redress_local.provision import Databases
from redress_spine.admin.adopt import Adoption


async def killed_at(stack: Stack, source: str, step: int, what: str) -> bool:
    """Run an adoption that SIGKILLs itself at the n-th of its steps that are called so; False if it ended before."""
    made = await stack.database(source)
    told = json.dumps([source, made.owner_dsn, stack.kafka, stack.prefix, stack.partitions, step, what])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "spine_adoption", told, env=environment)
    code = await process.wait()
    assert code in (0, -signal.SIGKILL), code
    return code != 0


async def main(source: str, dsn: str, kafka: str, prefix: str, partitions: int, step: int, named: str) -> None:
    stack = Stack(kafka, _none)
    stack.prefix, stack.partitions = prefix, partitions
    steps = 0

    def count(what: str, own: int, every: int) -> None:
        nonlocal steps
        steps += what.startswith(named)
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)

    await Adoption(described(stack, source), fold=1, owner_dsn=dsn, kafka=kafka, master_key=MASTER, settle=0, batch=2, progress=count).run()


async def _none(_: str) -> Databases:
    raise AssertionError("It makes no database.")


if __name__ == "__main__":
    asyncio.run(main(*json.loads(sys.argv[1])))
