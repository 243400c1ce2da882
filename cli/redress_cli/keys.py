"""The master keys: which one wraps what, a new one, and their exchange while the services run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer
from aiokafka.errors import KafkaError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from redress_cli.consent import Yes, accountable, ask
from redress_cli.console import AsJson, err, fail, out
from redress_cli.harmless import harmless
from redress_cli.installation import Installation, definition_of
from redress_cli.target import ContextName, StackFolder, installation
from redress_local.places import SERVICES
from redress_spine.admin.rewrap import HEARD, KeysByMaster, Rewrap, Rewrapped, RewrapRefused, by_master
from redress_spine.store.connections import SharedSession
from redress_spine.store.errors import MasterKeyAway
from redress_spine.store.keyring import KEY_BYTES, Keyring
from redress_spine.store.master_keys import SEALED, SETTLE, MasterKeyUnusable, checked, files_of
from redress_spine.store.vault import MAKER
from redress_spine.store.vault_transit import VaultTransit

app = typer.Typer(
    name="keys", help="The master keys, which wrap the keys of personal data. Each command's --help has examples.", no_args_is_help=True
)
StepTold = Callable[[str, int, int], None]
Answer = TypeVar("Answer")
SomeServices = Annotated[list[str] | None, typer.Argument(help=f"One or more of {', '.join(SERVICES)}; all if none is named.")]
KeyFile = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Its file; the next number beside the first one if none is named.")]


@app.command()
def status(service: SomeServices = None, folder: StackFolder = None, context: ContextName = None, as_json: AsJson = False) -> None:
    """Show how many keys of each service are wrapped by which master key. It asks the databases alone, and reads all keys.

    A master key that wraps none, and that is older than "needed from", may be taken away.

    Examples:

        redress keys status

        redress keys status intake --json
    """
    where = installation(folder, context)
    found, failed = list[KeysByMaster](), False
    for name in where.chosen(service):
        try:
            found.append(asyncio.run(by_master(name, where.app_dsn(name))))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            err.print(harmless(f"{name} cannot be asked: {type(error).__name__}: {error}"), style="red", markup=False)
            failed = True
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    elif found:
        out.print(_table(found))
    if failed:
        raise typer.Exit(1)


@app.command()
def new(file: KeyFile = None, folder: StackFolder = None, context: ContextName = None) -> None:
    """Make a master key: 32 random bytes in a file, sealed by Vault where that is set. Nothing uses it before it is in the folder of all
    services, and `redress keys rewrap` has chosen it.

    Examples:

        redress keys new

        redress keys new /run/secrets/redress/master.2.key
    """
    where = installation(folder, context)
    path = file or _next(where)
    _named_as_read(path, where)
    provider, key = where.vault(), secrets.token_bytes(KEY_BYTES)
    blob = _answered(provider.wrap(key)) if provider is not None else key
    _write(path, blob)
    sealed = f", sealed by Vault's {provider.key_id}" if provider is not None else ""
    out.print(f"A new master key is in {path}{sealed}.", highlight=False, markup=False, soft_wrap=True)


@app.command()
def seal(folder: StackFolder = None, context: ContextName = None, yes: Yes = False) -> None:
    """Let Vault seal the files of the master keys: those in clear, and those that an older version of its key sealed. The keys stay what
    they are, and so does all that they wrap.

    Example:

        redress keys seal
    """
    where = installation(folder, context)
    if (provider := where.vault()) is None:
        fail("No Vault is configured to seal them: REDRESS_VAULT_URL, or redress context add NAME --vault-set url=https://…")
    if where.master_key_file is None or not (files := files_of(where.master_key_file)):
        fail("The files of the master keys are not here: there is nothing to seal.")
    ask(f"seal {', '.join(each.name for each in files.values())} by Vault's {provider.key_id}", where, yes)
    with accountable("keys seal", where, files=[str(each) for each in files.values()]):
        for path in files.values():
            anew = _answered(_sealed_anew(provider, path, path.read_bytes()))
            draft = path.with_name(path.name + ".draft")
            draft.unlink(missing_ok=True)
            _write(draft, anew)
            draft.replace(path)
            out.print(f"{path} is sealed.", highlight=False, markup=False, soft_wrap=True)


@app.command()
def rewrap(
    service: SomeServices = None,
    now: Annotated[
        bool, typer.Option("--now", help="Do not wait until the new file is 5 minutes old: each service has it already.")
    ] = False,
    yes: Yes = False,
    folder: StackFolder = None,
    context: ContextName = None,
) -> None:
    """Wrap all keys again with the newest master key while the services run, and check that it opens them. Killed at any point, it is run
    again and goes on. Exit code 1 while the older master keys are still needed.

    The keys of intake are sent to Kafka again: its relay has to run. Nothing that is sealed is touched.

    Examples:

        redress keys rewrap

        redress keys rewrap triage handling --yes
    """
    where = installation(folder, context)
    # Who makes keys comes last: then no other service has any to send that an old master key wraps.
    names = sorted(where.chosen(service), key=lambda name: name == MAKER)
    if (ring := where.master_keys()) is None:
        fail("The master keys cannot be read here: REDRESS_MASTER_KEY_FILE, or redress context add NAME --master-key-file FILE")
    ask(f"wrap all keys of {', '.join(names)} again by master key {ring.newest}", where, yes)
    if not (now or where.ours):
        _settle(where, ring)
    works = {name: _work(where, name, ring) for name in names}
    with accountable("keys rewrap", where, services=names, master=ring.newest):
        if [name for name, work in works.items() if _asked(name, work(_silent).choose)]:
            err.print(f"In {HEARD:.0f} s each replica wraps by master key {ring.newest}.", markup=False)
            time.sleep(HEARD)
        whole = [_told(_rewrapped(name, work)) for name, work in works.items()]
        if not all(whole):
            raise typer.Exit(1)
    if len(ring.numbers) > 1:
        older = ", ".join(map(str, ring.numbers[:-1]))
        out.print(f"Master key {ring.newest} unwraps all keys. None of these services needs {older} any more; backups from before do.")
    else:
        named = f"{ring.newest} is the only master key here, so nothing was exchanged. For an exchange make a new one: redress keys new"
        err.print(named, markup=False, soft_wrap=True)


def _work(where: Installation, service: str, ring: Keyring) -> Callable[[StepTold], Rewrap]:
    definition, dsn, kafka = definition_of(service).verified(where.partitions, where.mac_keys()), where.app_dsn(service), where.kafka()
    return lambda told: Rewrap(definition, dsn, kafka, ring, told)


def _silent(what: str, done: int, every: int) -> None:
    pass


def _rewrapped(service: str, work: Callable[[StepTold], Rewrap]) -> Rewrapped:
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True) as progress:
        task = progress.add_task(service, total=None)

        def told(what: str, done: int, every: int) -> None:
            progress.update(task, description=f"{service}: {what}", completed=done, total=every or None)

        return _asked(service, work(told).run)


def _asked(service: str, asked: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """What it answers; ends the command where it does not."""
    try:
        return asyncio.run(asked())
    except (RewrapRefused, MasterKeyAway, SharedSession) as error:
        fail(f"{service}: {error}")
    except (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        fail(f"{service} was not completed: {type(error).__name__}: {error}. Run it again to continue.")


def _told(done: Rewrapped) -> bool:
    sent = " They were sent again." if done.sent else ""
    out.print(f"{done.service}: {done.anew} of {done.keys} keys were wrapped again by master key {done.master}.{sent}", highlight=False)
    for each in done.differences:
        err.print(harmless(f"{done.service} {each.where}: {each.which} {each.what}. {each.advice}"), style="red", markup=False)
    if done.more:
        err.print(f"… and {done.more} more in {done.service}", style="red")
    if done.differences:
        err.print(f"{done.service}: the older master keys are still needed.", style="red")
    return not done.differences


def _settle(where: Installation, ring: Keyring) -> None:
    """Until the newest file is so old that every service has it: a key that one of them lacks is no key to it."""
    assert where.master_key_file is not None
    left = files_of(where.master_key_file)[ring.newest].stat().st_mtime + SETTLE - time.time()
    if left > 0 and len(ring.numbers) > 1:
        err.print(f"Master key {ring.newest} is new. In {left:.0f} s each service has it; --now does not wait.", markup=False)
        time.sleep(left)


def _next(where: Installation) -> Path:
    first = where.master_key_file
    if first is None:
        fail("No master key is configured, so name the file of the new one.")
    number = max(files_of(first), default=0) + 1
    return first if number == 1 else first.with_name(f"{first.stem}.{number}{first.suffix}")


def _named_as_read(path: Path, where: Installation) -> None:
    """Ends the command where it would stand beside the first one under a name that no service reads."""
    first = where.master_key_file
    if first is None or path.resolve().parent != first.resolve().parent or path.name == first.name:
        return
    if not re.fullmatch(rf"{re.escape(first.stem)}\.[1-9][0-9]{{0,8}}{re.escape(first.suffix)}", path.name):
        fail(f"No service reads {path.name} beside {first.name}. Name it {_next(where).name}.")


def _write(path: Path, blob: bytes) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(blob)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.")


async def _sealed_anew(provider: VaultTransit, path: Path, blob: bytes) -> bytes:
    """What the file has (blob), sealed by the newest version of Vault's key. Raises MasterKeyAway, MasterKeyUnusable."""
    if blob.startswith(SEALED):
        key, anew = await provider.unwrap(blob), await provider.renewed(blob)
    else:
        key = checked(path, blob, sealed=False)
        anew = await provider.wrap(key)
    if await provider.unwrap(anew) != key:
        raise MasterKeyUnusable(f"Vault does not return what it sealed: {path} stays as it is.")
    return anew


def _answered(asked: Coroutine[Any, Any, bytes]) -> bytes:
    try:
        return asyncio.run(asked)
    except (MasterKeyAway, MasterKeyUnusable) as error:
        fail(str(error))


def _table(found: list[KeysByMaster]) -> Table:
    table = Table("service", "master key", "keys", "wraps", "needed from", "")
    for each in found:
        current = each.current if each.current is not None else min(each.keys, default=1)
        for n, number in enumerate(sorted({*each.keys, current})):
            whole = "" if n else str(each.oldest if each.oldest is not None else current)
            waiting = "[red]to be sent" if each.unsent and not n else ""
            wraps = "what is new" if number == current else ""
            table.add_row("" if n else each.service, str(number), str(each.keys.get(number, 0)), wraps, whole, waiting)
    return table
