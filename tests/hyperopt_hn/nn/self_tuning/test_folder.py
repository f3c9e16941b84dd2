"""Where the same script's second run goes."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from hyperopt_hn.nn.self_tuning.folder import Place, choose


def run_in(path, finished):
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    if finished:
        (path / "result.json").write_text("{}")


def test_a_free_folder_is_taken(tmp_path):
    assert choose(tmp_path / "a", False, False) == Place(tmp_path / "a")
    assert choose(tmp_path / "a", True, False) == Place(tmp_path / "a")


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_that_is_there_stays_and_the_new_one_goes_beside_it(tmp_path, finished):
    out = tmp_path / "a"
    run_in(out, finished)
    place = choose(out, False, False)
    assert place.path == tmp_path / "a-2" and not place.resume
    assert f"{out} holds a{'' if finished else 'n un'}{' ' if finished else ''}finished run" in place.line
    assert "overwrite=True" in place.line and ("resume=True" in place.line) == (not finished)
    assert choose(out, False, True) == Place(out)
    again = choose(out, True, False)
    assert (again.path, again.resume, again.finished) == (out, True, finished)


def test_the_newest_counts_and_neighbours_do_not(tmp_path):
    run_in(tmp_path / "a", True)
    run_in(tmp_path / "a-2", True)
    run_in(tmp_path / "a-10", False)
    run_in(tmp_path / "a-b", True)
    run_in(tmp_path / "aa-30", True)
    (tmp_path / "a-40").mkdir()
    assert choose(tmp_path / "a", False, False).path == tmp_path / "a-11"
    assert choose(tmp_path / "a", True, False).path == tmp_path / "a-10"
