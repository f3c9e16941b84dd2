"""A folder of two runs, one finished."""

import pytest

from hyperopt_hn import RunLog


@pytest.fixture
def folder(tmp_path):
    for arm, losses in (("one", [3.0, 1.0, 2.0]), ("two", [0.5])):
        what = {"experiment": "walk_x", "arm": arm, "preset": "quick", "seed": 7, "data": {"name": "digits"}}
        log = RunLog(tmp_path / "runs" / "walk_x" / arm, what)
        for step, loss in enumerate(losses):
            log.record({"step": step, "valid_loss": loss, "test_loss": loss + 0.1, "hypers": {"rate": 0.1 * step}})
        if arm == "one":
            log.finish({"reason": "patience"}, {})
        log.close()
    return tmp_path / "runs"
