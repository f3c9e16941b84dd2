"""The command line: made from dataclasses, one-line errors with exit code 2, nothing written by a mistake."""

from dataclasses import dataclass

import pytest

from hyperopt_hn import Alternation, Run, UserError, options
from hyperopt_hn.launch import Experiment, Wing, main
from hyperopt_hn.options import option
from tests.recording import RecordingTuner


@dataclass(frozen=True)
class Inner:
    """A nested configuration."""

    steps: int = option(4, "how many steps", unit="steps", least=1)
    rate: float = option(0.5, "a rate", least=0, most=1)
    hidden: tuple[int, ...] = option((), "layer sizes")
    deep: bool = option(False, "whether deep")
    maybe: float | None = option(None, "optional")

    def __post_init__(self):
        options.check(self)


@dataclass(frozen=True)
class Config:
    """The experiment's configuration."""

    inner: Inner = Inner()
    seed: int = option(7, "seed")


def build(config, arm, context):
    return RecordingTuner(config.seed), Alternation(steps=config.inner.steps, evaluate_every=2)


WING = Wing(
    "walk",
    "Random walks.",
    (
        Experiment("one", "a walk", {"quick": Config(), "paper": Config(Inner(steps=9))}, ("a", "b"), build),
        Experiment("two", "another", {"quick": Config()}, ("a",), build),
    ),
    ("numpy",),
)


@pytest.fixture
def walk(tmp_path, capsys):
    def call(*words):
        code = main(WING, [*words, "--data", "digits", "--out", str(tmp_path / "runs")])
        return code, *capsys.readouterr()

    return call


def test_runs_every_arm_and_records_what_it_ran(walk, tmp_path):
    code, out, _ = walk("one", "--steps", "3", "--seed", "5", "--hidden", "3,4", "--deep", "yes", "--maybe", "0.25")
    assert code == 0 and "one/b: finished after 6 steps" in out
    label = "quick+deep=True+hidden=3,4+maybe=0.25+steps=3-digits-seed5"
    run = Run(tmp_path / "runs" / label / "one" / "b")
    assert run.config["config"] == {"steps": 3, "rate": 0.5, "hidden": [3, 4], "deep": True, "maybe": 0.25, "seed": 5}
    assert run.config["data"]["name"] == "digits" and run.config["versions"]["numpy"]
    assert {"commit", "dirty", "preset"} <= set(run.config)


def test_presets_and_all(walk, tmp_path):
    code, _, _ = walk("all", "--preset", "paper", "--root-file", str(tmp_path / "root"))
    assert code == 0 and (tmp_path / "root").read_text().strip() == str(tmp_path / "runs" / "paper-digits-seed7")
    assert Run(tmp_path / "runs" / "paper-digits-seed7" / "one" / "a").result["steps"] == 18
    assert not (tmp_path / "runs" / "paper-digits-seed7" / "two").exists()


def test_all_skips_what_is_finished(walk, tmp_path):
    walk("one", "--arms", "a")
    result = tmp_path / "runs" / "quick-digits-seed7" / "one" / "a" / "result.json"
    before = result.read_bytes()
    code, out, _ = walk("all")
    assert code == 0 and result.read_bytes() == before and "one/b" in out and "one/a" not in out


def test_help_shows_every_field(capsys):
    assert main(WING, []) == 0 and "a walk" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(WING, ["one", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    for words in ("how many steps [steps] (default: 4)", "a rate (default: 0.5)", "--hidden", "--preset", "--seed"):
        assert words in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["onne"], "did you mean 'one'"),
        (["one", "--stpes", "3"], "did you mean '--steps'"),
        (["one", "--steps", "0"], "at least 1"),
        (["one", "--steps", "many"], "not a whole number"),
        (["one", "--rate", "1.5"], "at most 1"),
        (["one", "--rate", "nan"], "NaN"),
        (["one", "--deep", "perhaps"], "neither true nor false"),
        (["one", "--arms", "c"], "no arm of one 'c'"),
        (["one", "--preset", "quik"], "invalid choice"),
        (["one", "--data", "mnits"], "mnist"),
        (["one", "--steps"], "expected one argument"),
        (["all", "--seeds", "3"], "did you mean '--seed'"),
    ],
)
def test_mistakes_get_one_line_code_2_and_write_nothing(words, message, tmp_path, capsys):
    extra = [] if "--data" in words else ["--data", "digits"]
    assert main(WING, [*words, "--out", str(tmp_path / "runs"), *extra]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_finished_run_is_kept(walk):
    walk("one")
    code, _, error = walk("one")
    assert code == 2 and "finished run; use --overwrite" in error
    assert walk("one", "--overwrite")[0] == 0


def test_names_of_options_must_differ():
    @dataclass(frozen=True)
    class Twice:
        inner: Inner = Inner()
        steps: int = option(1, "again")

    with pytest.raises(TypeError, match="steps"):
        options.fields(Twice())


def test_override_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'steps'"):
        options.override(Config(), {"step": 3})
