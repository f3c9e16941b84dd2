"""The page of a small hypernetwork in a real browser without a network: its numbers are those that Python computes."""

import numpy as np
import pytest

from tests.support.browser import opened
from toy import assemble
from toy.__main__ import main
from toy.explore import command
from toy.explore.exact import ExactResponse
from toy.saved import load_run

pytest.importorskip("bokeh", reason="bokeh is not installed (pip install 'hyperopt_hn[explore]')")
SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module", params=["local-small", "global-small"])
def made(request, tmp_path_factory):
    """A finished run, its problem and its page."""
    folder = tmp_path_factory.mktemp("explore")
    runs = ["--preset", "smoke", "--data", "digits", "--out", str(folder)]
    for experiment in ("crossval", request.param):
        assert main([experiment, *runs]) == 0
    path = folder / "smoke-digits-seed7" / request.param / "hypernet"
    assert main(["explore", str(path), "--out", str(folder / "out")]) == 0
    (page,) = (folder / "out").iterdir()
    assert page.name == f"smoke-digits-seed7-{request.param}-hypernet.html"
    saved = load_run(path, end=True)
    config = command.settings(saved.run)
    problem = assemble.decay_problem(config.sizes, config.model, command.data_of(saved.run, None))
    return saved, problem, page


@pytest.fixture(scope="module")
def browser(made):
    with opened(made[2]) as found:
        yield found


def expected(saved, problem, lam):
    """The rows of the table, from the weights themselves."""
    learned, exact = saved.weights(lam), ExactResponse.of(problem.train).weights(lam)
    rows = []
    for w in (learned, exact):
        row = [problem.train_loss(w[None], np.array([[lam]]))[0]]
        row += [problem.evaluate(w[None], split)["nll"][0] for split in SPLITS[1:]]
        rows.append([*row, np.linalg.norm(w)])
    difference = np.subtract(rows[0], rows[1])
    difference[-1] = np.linalg.norm(learned - exact)
    return np.array([*rows, difference])


def shown(browser):
    data = browser.model("numbers", "data")
    return np.array([data[name] for name in (*SPLITS, "norm")]).T


def pictures(w, side):
    """As the page keeps them: an image a class, its rows from below."""
    return w.reshape(-1, 10)[:-1].T.reshape(10, side, side)[:, ::-1].reshape(10, -1)


def test_the_page_is_one_small_file(made):
    page = made[2]
    assert page.stat().st_size < 3_000_000
    text = page.read_text()
    assert "<script src=" not in text and "<link" not in text


def test_moved_sliders_give_the_numbers_and_weights_that_python_computes(made, browser):
    saved, problem, _ = made
    start = browser.model("lambda", "value")
    assert abs(start - saved.lam[0]) <= 0.005 + 1e-9
    np.testing.assert_allclose(shown(browser), expected(saved, problem, start), rtol=0, atol=1e-6)
    for lam in (-2.0, -0.37, 1.2, 3.99):
        browser.set("lambda", lam)
        np.testing.assert_allclose(shown(browser), expected(saved, problem, lam), rtol=0, atol=1e-6)
    learned, exact = saved.weights(3.99), ExactResponse.of(problem.train).weights(3.99)
    wanted = np.concatenate([pictures(w, 8) for w in (learned, exact, learned - exact)])
    np.testing.assert_allclose(browser.images("images"), wanted, rtol=0, atol=1e-6)
    written = expected(saved, problem, 3.99)
    assert all(f"{x:.6f}".replace("-", "\N{MINUS SIGN}") in browser.text() for x in written[0])
    assert browser.mistakes() == [] and browser.fetched() == []


def test_the_arrow_keys_move_lambda(made, browser):
    saved, problem, _ = made
    start = 1.0
    browser.set("lambda", start)
    handle = browser.elements(".noUi-handle")[0]
    for _ in range(3):
        handle.send_keys("\ue014")  # arrow right
    moved = browser.model("lambda", "value")
    assert moved == pytest.approx(start + 0.03)
    np.testing.assert_allclose(shown(browser), expected(saved, problem, moved), rtol=0, atol=1e-6)


def test_time_takes_lambda_along(made, browser):
    saved, _, _ = made
    arrays = saved.run.arrays
    path = arrays["tuned_path"] if "tuned_path" in arrays else arrays["path"]
    assert browser.model("now", "data")["lam"] == [path[-1, 1]]
    browser.set("time", 20)
    assert browser.model("now", "data") == {"step": [path[20, 0]], "lam": [path[20, 1]]}
    assert browser.model("lambda", "value") == pytest.approx(
        np.clip(path[20, 1], browser.model("lambda", "start"), 4.0)
    )
