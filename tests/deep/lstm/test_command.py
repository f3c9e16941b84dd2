"""`python -m deep lstm` and `table1` from the command line, on custom texts: what a user types, and mistypes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from deep.__main__ import main  # noqa: E402
from deep.lstm.text import read_text  # noqa: E402
from hyperopt_hn import Run  # noqa: E402

SIZES = ["--train-tokens", "0", "--valid-tokens", "0", "--test-tokens", "0", "--epochs", "1", "--hidden", "4"]


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "mine"
    place.mkdir()
    for split, lines in (("train", 40), ("valid", 20), ("test", 20)):
        (place / f"{split}.txt").write_text("the cat sat on the mat\n" * lines)
    return place


@pytest.fixture
def deep(folder, tmp_path, capsys):
    def call(*words):
        code = main([*words, "--preset", "smoke", "--data", str(folder), "--out", str(tmp_path / "runs"), *SIZES])
        return code, *capsys.readouterr()

    return call


def test_a_language_model_on_a_text_of_ones_own(deep, tmp_path):
    code, out, error = deep("lstm")
    assert code == 0, error
    (root,) = (tmp_path / "runs").iterdir()
    run = Run(root / "lstm" / "network")
    assert run.finished and "mine.txt" in root.name
    names = ["alpha", "beta", "dropouto", "dropouti", "dropouth", "dropoute", "wdrop"]
    assert [c for c in run.columns() if c.startswith("hypers/")] == [f"hypers/{name}" for name in names]
    assert {"step", "train_steps", "valid_loss", "test_loss"} <= set(run.columns())
    assert "lstm/network: finished" in out
    assert deep("lstm")[0] == 2 and deep("lstm", "--overwrite")[0] == 0


def test_a_finished_run_on_a_text_that_changed_is_not_taken_for_this_one(deep, folder):
    assert deep("lstm")[0] == 0 and deep("lstm", "--resume")[0] == 0
    (folder / "valid.txt").write_text("the mat sat on the cat\n" * 20)
    code, out, error = deep("lstm", "--resume")
    assert code == 2 and out == "" and "on other data of that name; choose another --out" in error


def test_words_that_training_lacks_are_unknown(folder):
    (folder / "test.txt").write_text("the dog sat on the mat\n")
    text = read_text(str(folder), None)
    assert "dog" not in text.words and text.words[text.test[1]] == "<unk>" and text.unseen == (0, 1)


def test_rows_of_table1_skip_what_is_there(deep, tmp_path):
    code, out, error = deep("table1", "--arms", "stn,replay,final")
    assert code == 0, error
    code, out, _ = deep("table1", "--arms", "stn,replay,final,fixed", "--resume")
    assert code == 0 and "table1/fixed" in out and "table1/stn" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["lstm", "--bptt", "500"],
            "the training text of 280 words gives 4 streams of 70 words, too few for --bptt 500",
        ),
        (["lstm", "--batch", "100"], "gives 100 streams of 2 words"),
        (["lstm", "--tune", "dropuoto"], "did you mean 'dropouto'"),
        (["lstm", "--init", "dropouto=1.5"], "dropouto"),
        (["lstm", "--init", "alpha=0"], "alpha"),
        (["lstm", "--replay", "none.csv"], "the schedule none.csv cannot be read"),
        (["lstm", "--replay", "."], "config.json is missing"),
        (["lstm", "--average", "5"], "add --decay none"),
        (["lstm", "--compile", "default"], "leave it out"),
        (["lstm", "--hyper-input", "natural", "--response", "delta"], "for --response stn"),
        (["lstm", "--hyper-input", "centred", "--response", "split"], "centred is for --response stn"),
        (["lstm", "--hiden", "3"], "did you mean '--hidden'"),
        (["table1", "--rate", "1.5"], "at most 0.99"),
        (["table1", "--period", "0"], "above 0"),
        (["table1", "--arms", "replay"], "python -m deep table1 --arms stn"),
        (["table1", "--arms", "init20"], "init"),
    ],
)
def test_mistakes_get_one_line_code_2_and_write_nothing(words, message, deep, tmp_path):
    code, _, error = deep(*words)
    assert code == 2 and message in error and error.count("\n") == 1, error
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("split", "content", "message"),
    [
        ("valid", None, "lacks valid.txt"),
        ("test", b"", "is empty"),
        ("train", b"\n \n", "is empty"),
        ("test", b"\xff\xfe", "not UTF-8"),
        ("test", b"one two\n", "the test text of 3 words gives 10 streams of 0 words"),
    ],
)
def test_bad_texts_get_one_line(split, content, message, deep, folder, tmp_path):
    file = folder / f"{split}.txt"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    code, _, error = deep("lstm")
    assert code == 2 and message in error and error.count("\n") == 1, error
    assert not (tmp_path / "runs").exists()
