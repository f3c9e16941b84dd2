"""One command line for `toy` and `deep`, made from their tables of experiments.

    python -m toy                                 the experiments, a line each
    python -m toy EXPERIMENT --help               every setting with its sentence, default and unit
    python -m toy EXPERIMENT --steps 5000 --seed 3
    python -m toy EXPERIMENT --jobs 4 --resume    its arms side by side, finished ones left out
    python -m toy all --preset quick --resume     every run that is missing

Exit codes: 0 done, 1 some arm failed for numerical reasons, 2 a mistake of the user's, 130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hyperopt_hn.cli.experiment import Context, Data, Experiment, Program
from hyperopt_hn.cli.flags import Parsed, common, understood
from hyperopt_hn.cli.folder_names import folder_name
from hyperopt_hn.cli.jobs import Job, end_with_parent, run_jobs
from hyperopt_hn.cli.site import Site
from hyperopt_hn.config import fields, flat_fields, override
from hyperopt_hn.errors import NonFiniteError, UserError, unknown
from hyperopt_hn.files.atomic import write_atomic
from hyperopt_hn.loop import alternate
from hyperopt_hn.runs.display.output import one_line, protected
from hyperopt_hn.runs.display.progress import Budget, Progress
from hyperopt_hn.runs.provenance import versions_and_commit
from hyperopt_hn.runs.sinks import TensorBoard
from hyperopt_hn.stopping import Interrupted

__all__ = ["Context", "Data", "Experiment", "Program", "main"]

MEMORY = "lower the sizes of network, batch or data"


def main(program: Program, argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; nothing that it prints can end a run."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    end_with_parent()
    shown, warnings.showwarning = warnings.showwarning, _show_warning
    try:
        return protected(lambda: _main(program, arguments))
    finally:
        warnings.showwarning = shown


def _main(program: Program, arguments: list[str]) -> int:
    try:
        check_words(arguments)
        if not arguments or arguments[0] in ("-h", "--help"):
            print(overview(program), end="")
            return 0
        if arguments[0] == "all":
            return _all(program, arguments[1:])
        return _one(program, *named(program, arguments))
    except UserError as error:
        return _failed(2, error.typed)
    except NonFiniteError as error:
        return _failed(1, str(error))
    except MemoryError as error:
        return _failed(2, f"out of memory{f' ({error})' if str(error) else ''}: {MEMORY}")
    except OSError as error:
        return _failed(2, f"{error.filename or 'the system'}: {error.strerror or error}")
    except KeyboardInterrupt as error:
        said = error.typed if isinstance(error, Interrupted) else "interrupted"
        print(f"\n{said}", file=sys.stderr)
        return 130


def _failed(code: int, message: str) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return code


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    print(f"warning: {one_line(str(message))}", file=sys.stderr)


def check_words(arguments: Sequence[str]) -> None:
    """Raises UserError for an argument that is no valid text, or a flag whose value is "--"."""
    for word in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in word) or "\0" in word:
            raise UserError(f"{word!r} is not valid UTF-8 text")
        if word.startswith("--") and word.endswith("=--"):
            raise UserError(f"{word}: '--' is no value")


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


def _all(program: Program, arguments: Sequence[str]) -> int:
    presets = list(dict.fromkeys(preset for experiment in program.experiments for preset in experiment.presets))
    parser = common(program, "all", "Every experiment, skipping finished runs.", presets, "data set (default: auto)")
    parser.add_argument("--root-file", type=Path, default=None, help="write the runs' folders to this file")
    given = parser.strict(arguments)
    loaded: dict[Any, Data] = {}
    sites: dict[Path, Site] = {}
    jobs: list[Job] = []
    for experiment in (e for e in program.experiments if given.preset in e.presets):
        data = loaded.get(experiment.load) or loaded.setdefault(
            experiment.load, experiment.load(given.data, given.data_root)
        )
        root = given.out / folder_name(given.preset, {}, data.name, given.seed)
        site = sites.setdefault(root, Site(data, root, given))
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
    asked = understood(program, experiment, arguments)
    given = asked.flags
    wanted = list(dict.fromkeys(given.arms.split(",")))
    for arm in wanted:
        if arm not in experiment.arms:
            raise UserError(unknown(f"arm of {experiment.name}", arm, experiment.arms))
    data = experiment.load(given.data, given.data_root)
    if given.data == asked.start.flags.get("data"):
        asked.start.check_data(data)
    changed = _changed(experiment, asked, data)
    shown = {k: v for k, v in changed.items() if not fields(asked.preset)[k][0].metadata.get("technical")}
    site = Site(data, given.out / folder_name(given.preset, shown, data.name, given.seed), given, changed)
    if given.resume:  # go on with what is missing
        there = [arm for arm in wanted if site.finished(f"{experiment.name}/{arm}")]
        wanted = [arm for arm in wanted if arm not in there]
        if there and program.is_main_process():
            print(f"{experiment.name}: finished and left out: {', '.join(there)}")
    if given.jobs > 1 and len(wanted) > 1:
        return run_jobs(_jobs(program, experiment, wanted, arguments), given.jobs)
    for arm in wanted:
        _run(program, experiment, arm, asked.config, site)
    return 0


def _changed(experiment: Experiment, asked: Parsed, data: Data) -> dict[str, Any]:
    """Settings that are not the preset's, as given or as fitted to the data."""
    usual = flat_fields(asked.preset)
    fitted = flat_fields(experiment.fit(asked.preset, data)) if asked.start.settings else usual
    values = {name: value for name, value in flat_fields(asked.config).items() if name != "seed"}
    return {name: value for name, value in values.items() if value not in (usual[name], fitted[name])}


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


def _run(program: Program, experiment: Experiment, arm: str, config: Any, site: Site) -> None:
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
        "command": [*site.command(program, experiment), "--arms", arm],
        **versions_and_commit(program.packages),
    }
    sinks = [TensorBoard()] if what["config"].get("tensorboard") and program.is_main_process() else []
    place = site.root / experiment.name / arm
    log = program.open_log(place, what, program.codec, site.given.resume, site.given.overwrite, sinks)
    state = log.resumed
    done = state["loop"]["done"] if state else 0
    budget = Budget(alternation.max_seconds, log.seconds)
    progress = Progress(name, alternation.total, done, not program.is_main_process(), experiment.derived, budget)
    much = f"{alternation.max_seconds:g} seconds" if alternation.max_seconds else f"{alternation.total} steps"
    progress.say(f"{name}: {much} on {data.name} into {place}" + ("; resumed" if state else ""))
    outcome = alternate(tuner, alternation, log, progress)
    progress.say(
        f"{name}: {outcome.reason} after {outcome.steps} steps, {log.seconds():.1f} s "
        f"({log.cpu_seconds():.1f} s of processor time): {outcome.sentence}"
    )
