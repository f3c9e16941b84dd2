"""A PostgreSQL server of one's own: made in a temporary folder, started, asked for empty databases, stopped."""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

USER = "tuner"
SETTINGS = "-c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories=''"


@dataclass
class Server:
    """A running server: where its programs and data are, its port, its password, and the database in use."""

    programs: Path
    data: Path
    port: int
    password: str
    database: str = ""
    owner: dict[str, object] = field(default_factory=dict)
    """Words for `subprocess` that make a program run as another user than root, whom the server refuses."""
    count: int = 0

    @property
    def url(self) -> str:
        """The storage as a run is given it."""
        return f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/{self.database}"

    def fresh(self) -> None:
        """Go over to a new, empty database."""
        import psycopg

        self.count += 1
        self.database = f"searches{self.count}"
        whole = self.url.replace("+psycopg", "").replace(self.database, "postgres")
        with psycopg.connect(whole, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self.database}")

    def run(self, program: str, *words: str) -> None:
        """One of PostgreSQL's programs to its end; RuntimeError with what it said where it fails."""
        told = self.data.with_suffix(".told")  # a pipe would be held open by the server that pg_ctl starts
        with told.open("w") as file:
            code = subprocess.run(
                [str(self.programs / program), "-D", str(self.data), *words],
                cwd=self.data.parent, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False, **self.owner,
            ).returncode  # fmt: skip
        if code:
            raise RuntimeError(f"{program} ended with {code}: {told.read_text()[-500:]}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = str(self.data.with_suffix(".log"))
        self.run("pg_ctl", "-w", "-l", log, "-o", f"-p {self.port} {SETTINGS}", "start")

    def stop(self) -> None:
        """Cut all connections and stop."""
        self.run("pg_ctl", "-w", "-m", "fast", "stop")


def missing() -> str:
    """Why there can be no server here; empty: there can be one."""
    if programs() is None:
        return "PostgreSQL's initdb and pg_ctl are not installed"
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg, the driver, is not installed: pip install 'psycopg[binary]'"
    return "a PostgreSQL server refuses to run as root, and there is no user postgres" if _owner() is None else ""


def programs() -> Path | None:
    """The folder with initdb and pg_ctl, which distributions leave out of PATH."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "pg_ctl").exists() and (place / "initdb").exists()), None)


@contextmanager
def server() -> Iterator[Server]:
    """A running server with a user and a password of its own, which is gone afterwards."""
    if why := missing():
        raise RuntimeError(why)
    found, owner = programs(), _owner()
    assert found is not None and owner is not None
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        place = Path(folder)
        if owner:
            os.chown(place, int(str(owner["user"])), int(str(owner["group"])))
        made = Server(found, place / "data", _free_port(), secrets.token_hex(8), owner=owner)
        secret = place / "password"
        secret.write_text(made.password)
        made.run("initdb", "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "-N")
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _owner() -> dict[str, object] | None:
    """Nothing to change where this is not root; None where root finds nobody to be instead."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        return None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
