"""One command line for `toy` and `deep`, made from their tables of experiments.

    python -m toy                                 the experiments, a line each
    python -m toy EXPERIMENT --help               every setting with its sentence, default and unit
    python -m toy EXPERIMENT --steps 5000 --seed 3
    python -m toy EXPERIMENT --jobs 4 --resume    its arms side by side, finished ones left out
    python -m toy all --preset quick --resume     every run that is missing

Exit codes: 0 done, 1 some arm failed for numerical reasons, 2 a mistake of the user's, 130 interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperopt_hn.cli.experiment import Context, Data, Experiment, Program
from hyperopt_hn.cli.flags import common, preset_of, understood
from hyperopt_hn.cli.jobs import Job, run_jobs
from hyperopt_hn.config import fields, flat_fields, override, unknown
from hyperopt_hn.errors import NonFiniteError, UserError
from hyperopt_hn.files import write_atomic
from hyperopt_hn.loop import Interrupted, alternate
from hyperopt_hn.runs.progress import UNLIMITED, Progress
from hyperopt_hn.runs.provenance import versions_and_commit
from hyperopt_hn.runs.reader import Run
from hyperopt_hn.runs.sinks import TensorBoard

__all__ = ["Context", "Data", "Experiment", "Program", "main"]

LONGEST_NAME = 60
"""A folder's name lists at most so many characters of changed settings, then their hash."""


def main(program: Program, argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(overview(program), end="")
            return 0
        if arguments[0] == "all":
            return _all(program, arguments[1:])
        return _one(program, *named(program, arguments))
    except UserError as error:
        print(f"error: {error.typed}", file=sys.stderr)
        return 2
    except NonFiniteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        said = error.typed if isinstance(error, Interrupted) else "interrupted"
        print(f"\n{said}", file=sys.stderr)
        return 130


def named(program: Program, arguments: Sequence[str]) -> tuple[Experiment, Sequence[str]]:
    """The experiment that the first word names, or the first two, and the words after it."""
    parts = [experiment.name.replace("-", " ") for experiment in program.experiments]
    whole = [name for name in parts if name.split()[0] == arguments[0] and " " in name]
    if whole and " ".join(arguments[:2]) not in whole:
        raise UserError(f"{arguments[0]!r} needs a subcommand: {', '.join(whole)}")
    words = 2 if "-".join(arguments[:2]) in {experiment.name for experiment in program.experiments} else 1
    return program.find("-".join(arguments[:words])), arguments[words:]


def overview(program: Program) -> str:
    """The experiments, a line each, and how to go on."""
    width = max(len(experiment.name) for experiment in program.experiments)
    lines = [
        f"{program.about}\n",
        f"usage: python -m {program.name} EXPERIMENT [--preset NAME] [--SETTING VALUE ...]\n",
    ]
    lines += [f"  {experiment.name:{width}}  {experiment.about}" for experiment in program.experiments]
    lines += [
        f"  {'all':{width}}  every experiment, skipping finished runs\n",
        f"python -m {program.name} EXPERIMENT --help shows its settings.",
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Site:
    """Where runs go and on what: the data, the folder of all runs of these settings, the common flags."""

    data: Data
    root: Path
    given: argparse.Namespace
    changed: Mapping[str, Any] = field(default_factory=dict)
    """Settings that differ from the preset's."""

    def finished(self, name: str) -> bool:
        """Whether the run is there. Raises UserError for one on other data of the same name."""
        path = self.root / name
        if not (path / "result.json").exists():
            return False
        recorded = Run(path).config.get("data", {}).get("sha256")
        if recorded is not None and recorded != self.data.sha256:
            raise UserError(f"{path} is a finished run on other data of that name; use --overwrite, or another --out")
        return True


def _all(program: Program, arguments: Sequence[str]) -> int:
    presets = list(dict.fromkeys(preset for experiment in program.experiments for preset in experiment.presets))
    parser = common(program, "all", "Every experiment, skipping finished runs.", presets, "data set (default: auto)")
    parser.add_argument("--root-file", type=Path, default=None, help="write the runs' folders to this file")
    given = parser.strict(arguments)
    loaded: dict[Any, Data] = {}
    sites: dict[Path, _Site] = {}
    jobs: list[Job] = []
    for experiment in (e for e in program.experiments if given.preset in e.presets):
        data = loaded.get(experiment.load) or loaded.setdefault(
            experiment.load, experiment.load(given.data, given.data_root)
        )
        root = given.out / _label(given.preset, {}, data, given.seed)
        site = sites.setdefault(root, _Site(data, root, given))
        config = override(experiment.presets[given.preset], {"seed": given.seed})
        missing = [arm for arm in experiment.arms if given.overwrite or not site.finished(f"{experiment.name}/{arm}")]
        if given.jobs > 1:
            jobs += _jobs(program, experiment, missing, _without(arguments, "--root-file"))
        else:
            for arm in missing:
                _run(program, experiment, arm, config, site)
    code = run_jobs(jobs, given.jobs)
    if given.root_file is not None:
        write_atomic(given.root_file, lambda file: file.write("".join(f"{root}\n" for root in sites).encode()))
    return code


def _one(program: Program, experiment: Experiment, arguments: Sequence[str]) -> int:
    given, preset = understood(program, experiment, arguments), preset_of(experiment, arguments)
    known = flat_fields(preset)
    changed = {k: v for k, v in vars(given).items() if k in known and k != "seed"}
    config = override(preset, {**changed, "seed": given.seed})
    wanted = given.arms.split(",")
    for arm in wanted:
        if arm not in experiment.arms:
            raise UserError(unknown(f"arm of {experiment.name}", arm, experiment.arms))
    data = experiment.load(given.data, given.data_root)
    moved = {k: v for k, v in changed.items() if v != known[k]}
    site = _Site(data, given.out / _label(given.preset, moved, data, given.seed), given, moved)
    if given.resume and not given.overwrite:  # go on with what is missing
        there = [arm for arm in wanted if site.finished(f"{experiment.name}/{arm}")]
        wanted = [arm for arm in wanted if arm not in there]
        if there and program.is_main_process():
            print(f"{experiment.name}: finished and left out: {', '.join(there)}")
    if given.jobs > 1 and len(wanted) > 1:
        return run_jobs(_jobs(program, experiment, wanted, arguments), given.jobs)
    for arm in wanted:
        _run(program, experiment, arm, config, site)
    return 0


def _jobs(program: Program, experiment: Experiment, arms: Sequence[str], arguments: Sequence[str]) -> list[Job]:
    """A process for each arm with these arguments; of a flag that is given twice the last one holds."""
    head = (sys.executable, "-m", program.name, experiment.name, *arguments)
    return [
        Job(
            f"{experiment.name}/{arm}",
            (*head, "--arms", arm, "--jobs", "1"),
            tuple(f"{experiment.name}/{other}" for other in experiment.after.get(arm, ())),
        )
        for arm in arms
    ]


def _without(arguments: Sequence[str], flag: str) -> list[str]:
    """The arguments without this flag and its value."""
    kept, skip = [], False
    for word in arguments:
        if not skip and not word.startswith(f"{flag}=") and word != flag:
            kept.append(word)
        skip = word == flag
    return kept


def _label(preset: str, changed: Mapping[str, Any], data: Data, seed: int) -> str:
    text = "".join(f"+{k}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for k, v in sorted(changed.items()))
    if len(text) > LONGEST_NAME or "/" in text:
        text = f"+{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return f"{preset}{text}-{data.name}-seed{seed}"


def _command(program: Program, experiment: Experiment, site: _Site) -> list[str]:
    """The words that make the runs of these settings again, from config.json alone; the folder is not in them."""
    given = site.given
    own = given.data.endswith(".npz") or Path(given.data).is_dir()
    words = ["python", "-m", program.name, *experiment.words, "--preset", given.preset]
    words += ["--data", given.data if own else site.data.name, "--seed", str(given.seed)]
    known = fields(experiment.presets[given.preset])
    for name, value in site.changed.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        empty = text == "" and known[name][0].metadata.get("choices")
        words += [f"--{name.replace('_', '-')}", "none" if empty else text]
    return words


def _run(program: Program, experiment: Experiment, arm: str, config: Any, site: _Site) -> None:
    name, data = f"{experiment.name}/{arm}", site.data
    config = experiment.fit(config, data)
    tuner, alternation = experiment.build(config, arm, Context(data, site.root, program.name))
    source: dict[str, str | None] = {"name": data.name, "sha256": data.sha256, "note": data.note}
    if not experiment.needs_data:
        source = {"name": "none", "sha256": None, "note": "closed form, no data"}
    what = {
        "experiment": experiment.name,
        "arm": arm,
        "preset": site.given.preset,
        "seed": site.given.seed,
        "config": flat_fields(config),
        "data": source,
        "command": [*_command(program, experiment, site), "--arms", arm],
        **versions_and_commit(program.packages),
    }
    sinks = [TensorBoard()] if what["config"].get("tensorboard") and program.is_main_process() else []
    log = program.open_log(
        site.root / experiment.name / arm, what, program.codec, site.given.resume, site.given.overwrite, sinks
    )
    state = log.resumed
    done = state["loop"]["done"] if state else 0
    progress = Progress(name, alternation.total, done, not program.is_main_process(), experiment.derived)
    much = f"{alternation.total} steps" if alternation.total < UNLIMITED else f"{alternation.max_seconds:g} seconds"
    progress.say(f"{name}: {much} on {data.name} into {site.root / name}" + ("; resumed" if state else ""))
    outcome = alternate(tuner, alternation, log, progress)
    progress.say(
        f"{name}: {outcome.reason} after {outcome.steps} steps, {log.seconds():.1f} s "
        f"({log.cpu_seconds():.1f} s of processor time): {outcome.sentence}"
    )
