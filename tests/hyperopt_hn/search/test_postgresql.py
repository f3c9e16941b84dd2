"""A search that processes share in a real PostgreSQL: killed and restarted, cut off, locked out; no password shown."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperopt_hn import Hyper, HyperSpace, UserError
from hyperopt_hn.search.proposals import Search
from hyperopt_hn.search.storage import SharedStudy, check_storage
from tests.campaigns.apparatus.nursery import Nursery
from tests.campaigns.apparatus.postgres import Server, missing, server
from tests.campaigns.apparatus.programs import SMALL
from tests.campaigns.apparatus.stored import trials_of

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is one")

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 1.0)])


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture
def database(running: Server) -> Server:
    running.fresh()
    return running


def study(database: Server) -> SharedStudy:
    return SharedStudy(Search(SPACE, "random", 1), database.url, "s", {})


@pytest.mark.slow
def test_two_processes_share_a_search_and_one_is_killed_and_started_again(tmp_path: Path, database: Server) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    words = [SMALL["postgresql"].at(folder, database.url) for folder in folders]
    with Nursery() as nursery:
        children = [nursery.start(each, folder / "said") for each, folder in zip(words, folders, strict=True)]
        while not list(folders[0].rglob("checkpoint.pt")):  # its search is in the database, its owner on disk
            assert children[0].poll() is None, children[0].said()
            time.sleep(0.01)
        children[0].send(signal.SIGKILL)
        assert children[0].wait() == -signal.SIGKILL and children[1].wait() == 0, children[1].said()
        again = nursery.start(words[0], folders[0] / "said again")
        assert again.wait() == 0, again.said()
    found = trials_of(database.url)
    assert set(found.states.values()) == {"COMPLETE"} and found.untrue(folders) == []
    assert len({owner for owner, _ in found.trials.values()}) == 2
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 8 and not [path for path in written if database.password.encode() in path.read_bytes()]
    assert f"postgresql+psycopg://***@127.0.0.1:{database.port}/" in next(folders[0].rglob("config.json")).read_text()


def test_a_connection_that_was_cut_between_two_trials_is_made_again(database: Server) -> None:
    shared = study(database)
    asked = shared.ask()
    database.stop()
    database.start()
    assert asked is not None
    shared.tell(asked, 0.5)
    assert trials_of(database.url).states == {0: "COMPLETE"}


def test_a_server_that_stops_in_mid_search_is_waited_for_not_exchanged(database: Server) -> None:
    shared = study(database)
    begun = shared.state()
    asked = shared.ask()
    database.stop()
    try:
        with pytest.raises(UserError) as failed:
            shared.tell(asked, 0.5)
    finally:
        database.start()
    said = failed.value.typed
    assert "then use --resume" in said and "--storage" not in said and "\n" not in said
    assert database.password not in said and "***@127.0.0.1" in said
    again = study(database)
    again.load_state(begun)
    assert again.ask() == asked
    again.tell(asked, 0.5)
    assert trials_of(database.url).states == {0: "COMPLETE"}


def test_a_server_that_lets_nobody_in_is_one_line_without_the_password(
    database: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperopt_hn.search.optuna_bridge.storages.RACE_SECONDS", ())
    for url, reason in (
        (database.url.replace(database.password, "s3cret"), "password authentication failed"),
        (database.url.replace(database.database, "elsewhere"), 'database "elsewhere" does not exist'),
    ):
        with pytest.raises(UserError) as refused:
            check_storage(url)
        said = refused.value.typed
        assert reason in said and "see that its server runs and lets you in, or give --storage" in said
        assert "s3cret" not in said and database.password not in said and "\n" not in said


def test_a_driver_that_is_missing_is_named() -> None:
    with pytest.raises(UserError, match=r"install its driver .*'psycopg\[binary\]', postgresql\+psycopg://USER@HOST"):
        check_storage("postgresql+pg8000000://tuner@localhost/searches")
