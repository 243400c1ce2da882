"""A second PostgreSQL made from a running one: a streaming standby, or one that is restored to a point in time."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from redress_local.postgres import PROGRAMS, Postgres, as_user, system_user
from redress_local.processes import StartFailed

COPY_TIMEOUT = 30.0  # seconds


def standby(primary: Postgres, folder: Path, name: str = "standby") -> Postgres:
    """A hot standby that streams from a running primary, started. name: what `synchronous_standby_names` calls it.

    Replication is asynchronous until the primary's setting says otherwise (`synchronous`).
    """
    copy = Postgres(folder)
    backup(primary, copy.data, "--write-recovery-conf", name=name)
    shutil.copy(primary.folder / "password", copy.folder / "password")
    copy.start()
    _until(lambda: primary.sql(f"SELECT state FROM pg_stat_replication WHERE application_name = '{name}'") == "streaming", copy, "stream")
    return copy


def synchronous(primary: Postgres, name: str = "standby") -> None:
    """From now on a commit waits until this standby has it on disk."""
    primary.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    primary.sql("SELECT pg_reload_conf()")
    asked = f"SELECT sync_state FROM pg_stat_replication WHERE application_name = '{name}'"
    _until(lambda: primary.sql(asked) == "sync", primary, "replicate synchronously")


def caught_up(primary: Postgres, copy: Postgres) -> None:
    """Return once the standby has replayed what the primary has written by now."""
    written = primary.sql("SELECT pg_current_wal_flush_lsn()")
    _until(lambda: copy.sql(f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn") == "t", copy, "catch up")


def cut_off(copy: Postgres) -> None:
    """The standby receives nothing more from its primary: what is written from now on it will lack."""
    copy.sql("ALTER SYSTEM SET primary_conninfo = ''")
    copy.sql("SELECT pg_reload_conf()")
    _until(lambda: copy.sql("SELECT count(*) FROM pg_stat_wal_receiver") == "0", copy, "let go of its primary")


def promote(copy: Postgres) -> None:
    """Make the standby a primary, by a fast promotion: the control file gets the new timeline with the next checkpoint."""
    copy.sql(f"SELECT pg_promote(true, {COPY_TIMEOUT:.0f})")


def archiving(archive: Path) -> Mapping[str, str]:
    """Settings of a server that copies each finished piece of its log to this folder, which is made."""
    archive.mkdir(parents=True, exist_ok=True)
    if user := system_user():
        shutil.chown(archive, user, user)
    return {"archive_mode": "on", "archive_command": f"cp %p {archive.resolve()}/%f"}


def backup(primary: Postgres, target: Path, *options: str, name: str = "backup") -> Path:
    """A base backup of a running server, in a new folder. Raises StartFailed."""
    target = target.resolve()
    target.mkdir(mode=0o700, parents=True)
    user = system_user()
    if user:
        shutil.chown(target, user, user)
        for parent in target.parents:
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o001)  # to pass through, not to list
    address = f"{primary.admin_dsn}?application_name={name}"
    made = as_user(user, [PROGRAMS / "pg_basebackup", "-d", address, "-D", target, "-c", "fast", "-X", "stream", *options])
    if made.returncode != 0:
        raise StartFailed(f"pg_basebackup failed:\n{made.stdout}{made.stderr}")
    return target


def archived(primary: Postgres) -> None:
    """Return once all that the server has written by now is in its archive."""
    piece = primary.sql("SELECT pg_walfile_name(pg_switch_wal())")
    _until(lambda: primary.sql("SELECT last_archived_wal FROM pg_stat_archiver") >= piece, primary, "archive")


def restored(primary: Postgres, base: Path, folder: Path, archive: Path, **target: str) -> Postgres:
    """A server from a base backup of the primary and its archive, started and promoted at a target: `name="before"` (a restore point) or
    `time="2026-03-02 08:00:00+00"`. The primary itself may be gone: only its password is asked for."""
    settings = {f"recovery_target_{what}": value for what, value in target.items()}
    settings |= {"restore_command": f"cp {archive.resolve()}/%f %p", "recovery_target_action": "promote"}
    copy = Postgres(folder, settings=settings)
    copy.folder.mkdir(parents=True)
    subprocess.run(["cp", "--archive", base, copy.data], check=True)
    signal = copy.data / "recovery.signal"
    signal.touch()
    if user := system_user():
        shutil.chown(signal, user, user)
    shutil.copy(primary.folder / "password", copy.folder / "password")
    copy.start()
    until_primary(copy)
    return copy


def until_primary(copy: Postgres) -> None:
    """Return once the server writes a timeline of its own."""
    _until(lambda: copy.sql("SELECT pg_is_in_recovery()") == "f", copy, "become a primary")


def _until(check: Callable[[], bool], server: Postgres, what: str) -> None:
    end = time.monotonic() + COPY_TIMEOUT
    while not check():
        if time.monotonic() > end:
            assert server.child is not None
            raise server.child.failed(f"did not {what} within {COPY_TIMEOUT:.0f} s")
        time.sleep(0.05)
