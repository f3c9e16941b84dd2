"""The command line: made from dataclasses, one-line errors with exit code 2, nothing written by a mistake."""

import warnings
from dataclasses import dataclass, replace

import pytest

from hyperopt_hn import Alternation, Run, UserError
from hyperopt_hn.cli.launch import Experiment, Program, main
from hyperopt_hn.config import check, fields, option, override
from tests.support.recording import RecordingTuner


@dataclass(frozen=True)
class Inner:
    """A nested configuration."""

    steps: int = option(4, "how many steps", unit="steps", least=1)
    rate: float = option(0.5, "a rate", least=0, most=1)
    hidden: tuple[int, ...] = option((), "layer sizes")
    deep: bool = option(False, "whether deep")
    maybe: float | None = option(None, "optional")
    colour: str = option("red", "a word", choices=("red", "green"))

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class Config:
    """The experiment's configuration."""

    inner: Inner = Inner()
    seed: int = option(7, "seed")


def build(config, arm, context):
    return RecordingTuner(config.seed), Alternation(steps=config.inner.steps, evaluate_every=2)


PROGRAM = Program(
    "walk",
    "Random walks.",
    (
        Experiment("one", "a walk", {"quick": Config(), "paper": Config(Inner(steps=9))}, ("a", "b"), build),
        Experiment("two", "another", {"quick": Config()}, ("a",), build),
        Experiment("walk-far", "a name of two words", {"far": Config()}, ("a",), build, subcommand=True),
    ),
    ("numpy",),
)


@pytest.fixture
def walk(tmp_path, capsys):
    def call(*words):
        code = main(PROGRAM, [*words, "--data", "digits", "--out", str(tmp_path / "runs")])
        return code, *capsys.readouterr()

    return call


def test_runs_every_arm_and_records_what_it_ran(walk, tmp_path):
    code, out, _ = walk("one", "--steps", "3", "--seed", "5", "--hidden", "3,4", "--deep", "yes", "--maybe", "0.25")
    assert code == 0 and "one/b: finished after 6 steps" in out
    label = "quick+deep=True+hidden=3,4+maybe=0.25+steps=3-digits-seed5"
    run = Run(tmp_path / "runs" / label / "one" / "b")
    assert run.config["config"] == {
        "steps": 3,
        "rate": 0.5,
        "hidden": [3, 4],
        "deep": True,
        "maybe": 0.25,
        "colour": "red",
        "seed": 5,
    }
    assert run.config["data"]["name"] == "digits" and run.config["versions"]["numpy"]
    assert {"commit", "dirty", "preset"} <= set(run.config)


def test_the_recorded_command_makes_the_run_again(walk, tmp_path):
    given = ("--steps", "3", "--hidden", "3,4", "--deep", "--maybe", "0.25", "--colour", "green", "--seed", "5")
    walk("walk-far", "--preset", "far", "--arms", "a", *given)
    (path,) = (tmp_path / "runs").glob("*/walk-far/a")
    run = Run(path)
    assert run.command[:6] == ["python", "-m", "walk", "walk", "far", "--preset"]
    assert not any(str(tmp_path) in word for word in run.command)
    out = tmp_path / "again"
    assert main(PROGRAM, [*run.command[3:], "--out", str(out)]) == 0
    again = out / path.relative_to(tmp_path / "runs")
    assert Run(again).config["config"] == run.config["config"] and Run(again).command == run.command
    assert (again / "log.jsonl").read_bytes() == (path / "log.jsonl").read_bytes()
    assert main(PROGRAM, [*run.command[3:], "--out", str(tmp_path / "runs")]) == 2  # it is there


def test_remedies_are_flags_on_the_command_line(walk):
    walk("two")
    code, _, error = walk("two")
    assert code == 2 and "--overwrite" in error and "overwrite=True" not in error


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
    assert main(PROGRAM, []) == 0 and "a walk" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(PROGRAM, ["one", "--help"])
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
    assert main(PROGRAM, [*words, "--out", str(tmp_path / "runs"), *extra]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_finished_run_is_kept(walk):
    walk("one")
    code, _, error = walk("one")
    assert code == 2 and "finished run; use --overwrite" in error
    code, out, _ = walk("one", "--resume")
    assert code == 0 and "finished and left out" in out and "into" not in out
    assert walk("one", "--overwrite")[0] == 0


def test_names_of_options_must_differ():
    @dataclass(frozen=True)
    class Twice:
        inner: Inner = Inner()
        steps: int = option(1, "again")

    with pytest.raises(TypeError, match="steps"):
        fields(Twice())


def test_override_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'steps'"):
        override(Config(), {"step": 3})


def test_a_name_of_two_words_and_a_flag_without_a_value(walk, tmp_path):
    for words in (("walk", "far", "--preset", "far", "--deep"), ("walk-far", "--preset", "far", "--colour", "green")):
        assert walk(*words)[0] == 0
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {
        "far+deep=True-digits-seed7",
        "far+colour=green-digits-seed7",
    }


def test_a_word_that_is_no_choice(walk):
    code, _, err = walk("one", "--colour", "gren")
    assert code == 2 and "green" in err and err.count("\n") == 1


def test_an_experiment_loads_its_own_data(tmp_path, capsys):
    """What the loader gives is what the arm is built from, what names the folder and what is recorded."""

    @dataclass(frozen=True)
    class Words:
        name: str = "words"
        sha256: str = "0"
        note: str = "made here"

    seen = []

    def look(config, arm, context):
        seen.append(context.data)
        return build(config, arm, context)

    def load(name, root):
        seen.append((name, root))
        return Words()

    program = Program("walk", "", (Experiment("one", "", {"quick": Config()}, ("a",), look, load=load),), ("numpy",))
    for words in (["one"], ["all"]):
        given = [*words, "--data", "x", "--data-root", "y", "--out", str(tmp_path), "--overwrite"]
        assert main(program, given) == 0
    assert seen == [("x", "y"), Words()] * 2
    assert Run(tmp_path / "quick-words-seed7" / "one" / "a").config["data"]["note"] == "made here"


def test_arms_side_by_side(tmp_path):
    """Real processes of `toy`; with --resume only the missing ones."""
    from toy.__main__ import PROGRAM as TOY

    words = ["depth", "--preset", "smoke", "--data", "digits", "--out", str(tmp_path), "--jobs", "2"]
    assert main(TOY, words) == 0
    root = tmp_path / "smoke-digits-seed7" / "depth"
    made = {arm.name: (arm / "result.json").stat().st_mtime_ns for arm in root.iterdir()}
    assert set(made) == {"linear", "one-hidden", "two-hidden"}
    (root / "linear" / "result.json").unlink()
    assert main(TOY, [*words, "--resume"]) == 0
    again = {arm.name: (arm / "result.json").stat().st_mtime_ns for arm in root.iterdir()}
    assert {name for name in made if made[name] != again[name]} == {"linear"}


def test_a_missing_subcommand(walk):
    for words in (("walk",), ("walk", "fra")):
        code, _, err = walk(*words)
        assert code == 2 and "needs a subcommand: walk far" in err


def test_no_fewer_than_one_job(walk):
    code, _, err = walk("one", "--jobs", "0")
    assert code == 2 and "--jobs 0 is too small" in err


def test_finished_arms_are_named(walk):
    walk("one", "--arms", "a")
    code, out, _ = walk("one", "--resume")
    assert code == 0 and "one: finished and left out: a" in out


@dataclass(frozen=True)
class Place:
    """Where it runs."""

    device: str = option("auto", "where to compute", choices=("auto", "cpu"), technical=True)
    amp: str = option("", "precision", choices=("", "bf16"))

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class Placed:
    """How far."""

    inner: Inner = Inner()
    place: Place = Place()
    seed: int = option(7, "seed")


PLACED = Program("walk", "Walks.", (Experiment("one", "a walk", {"quick": Placed()}, ("a",), build),), ("numpy",))


def test_technical_settings_are_no_part_of_the_folders_name_but_recorded(tmp_path):
    words = ["one", "--data", "digits", "--out", str(tmp_path), "--device", "cpu", "--amp", "bf16", "--jobs", "3"]
    assert main(PLACED, words) == 0
    (root,) = tmp_path.iterdir()
    assert root.name == "quick+amp=bf16-digits-seed7"
    assert Run(root / "one" / "a").config["config"]["device"] == "cpu"


def test_help_is_in_groups_after_a_short_usage(capsys):
    with pytest.raises(SystemExit):
        main(PLACED, ["one", "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: python -m walk one [--preset NAME] [--SETTING VALUE ...]" and lines[1] == ""
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == [
        "options:",
        "what is run:",
        "where it is written, and how:",
        "A nested configuration:",
        "Where it runs:",
        "technical settings (no part of the folder's name):",
    ]
    where = {word: n for n, line in enumerate(lines) for word in line.split() if word.startswith("--")}
    assert where["--amp"] < lines.index(titles[-1]) < where["--device"]


def test_choices_are_the_same_in_help_and_errors(capsys):
    with pytest.raises(SystemExit):
        main(PLACED, ["one", "--help"])
    assert "--amp {none,bf16}" in capsys.readouterr().out
    assert main(PLACED, ["one", "--amp", "q"]) == 2
    assert "there are: none, bf16" in capsys.readouterr().err
    assert main(PLACED, ["one", "--amp", ""]) == 2
    with pytest.raises(UserError, match="there are: none, bf16"):
        Place(amp="q")


def test_keeping_and_making_again_contradict(walk):
    code, _, error = walk("one", "--resume", "--overwrite")
    assert code == 2 and "give one of them" in error


def test_warnings_are_one_line(tmp_path, capsys):
    def warned(config, arm, context):
        warnings.warn("slow\nhere", stacklevel=1)
        return build(config, arm, context)

    program = replace(PROGRAM, experiments=(replace(PROGRAM.experiments[0], build=warned),))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        shown = warnings.showwarning
        code = main(program, ["one", "--data", "digits", "--out", str(tmp_path), "--arms", "a"])
    assert code == 0 and "warning: slow here\n" in capsys.readouterr().err
    assert warnings.showwarning is shown


def test_a_full_memory_and_a_failing_system_are_one_line(tmp_path, capsys):
    for error, message in (
        (MemoryError("Unable to allocate 8 TiB"), "out of memory (Unable to allocate 8 TiB): lower the sizes"),
        (OSError(28, "No space left on device", "/x"), "/x: No space left on device"),
    ):

        def fails(config, arm, context, error=error):
            raise error

        program = replace(PROGRAM, experiments=(replace(PROGRAM.experiments[0], build=fails),))
        assert main(program, ["one", "--data", "digits", "--out", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
