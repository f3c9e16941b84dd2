"""Every product module has its test file at the same path under tests/, or a line here that names the one it has."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PARTS = ("hyperopt_hn", "toy", "deep", "figures")

COVERED_BY = {
    "hyperopt_hn/bilevel.py": "tests/whole/test_contract.py",
    "hyperopt_hn/files/atomic.py": "tests/hyperopt_hn/runs/test_generations.py",
    "hyperopt_hn/files/whole_lines.py": "tests/hyperopt_hn/search/test_storage.py",
    "hyperopt_hn/files/signed_archives.py": "tests/hyperopt_hn/runs/test_generations.py",
    "hyperopt_hn/hyper.py": "tests/hyperopt_hn/test_space.py",
    "hyperopt_hn/cli/experiment.py": "tests/hyperopt_hn/cli/test_launch.py",
    "hyperopt_hn/cli/site.py": "tests/hyperopt_hn/cli/test_launch.py",
    "hyperopt_hn/runs/display/lines.py": "tests/hyperopt_hn/runs/display/test_progress.py",
    "hyperopt_hn/cli/flags.py": "tests/hyperopt_hn/cli/test_launch.py",
    "hyperopt_hn/data/cifar/cifar_pickles.py": "tests/hyperopt_hn/data/cifar/test_cifar.py",
    "hyperopt_hn/data/images.py": "tests/hyperopt_hn/data/test_catalogue.py",
    "hyperopt_hn/data/topics.py": "tests/hyperopt_hn/data/test_text.py",
    "hyperopt_hn/runs/__main__.py": "tests/hyperopt_hn/runs/test_writer.py",
    "hyperopt_hn/search/grid.py": "tests/hyperopt_hn/search/test_proposals.py",
    "hyperopt_hn/search/optuna_bridge/translation.py": "tests/hyperopt_hn/search/test_proposals.py",
    "hyperopt_hn/search/optuna_bridge/sampling.py": "tests/hyperopt_hn/search/test_proposals.py",
    "hyperopt_hn/search/optuna_bridge/storages.py": "tests/hyperopt_hn/search/test_storage.py",
    "hyperopt_hn/search/optuna_bridge/studies.py": "tests/hyperopt_hn/search/test_storage.py",
    "hyperopt_hn/search/study.py": "tests/hyperopt_hn/search/test_proposals.py",
    "hyperopt_hn/runs/sinks/*.py": "tests/hyperopt_hn/runs/test_sinks.py",
    "hyperopt_hn/runs/team.py": "tests/hyperopt_hn/nn/test_distributed.py",
    "hyperopt_hn/nn/conversion/binding.py": "tests/hyperopt_hn/nn/test_context.py",
    "hyperopt_hn/nn/diagnosis/axes/*.py": "tests/hyperopt_hn/nn/diagnosis/axes/test_batch_axes.py",
    "hyperopt_hn/nn/conversion/obstacles.py": "tests/hyperopt_hn/nn/conversion/test_converter.py",
    "hyperopt_hn/nn/layers/by_parameter/*.py": "tests/hyperopt_hn/nn/layers/by_parameter/test_layer.py",
    "hyperopt_hn/nn/conversion/collapsing.py": "tests/hyperopt_hn/nn/conversion/test_converter.py",
    "hyperopt_hn/nn/conversion/selection.py": "tests/hyperopt_hn/nn/conversion/test_converter.py",
    "hyperopt_hn/nn/conversion/ties.py": "tests/hyperopt_hn/nn/conversion/test_forms.py",
    "hyperopt_hn/nn/conversion/undone_gates.py": "tests/hyperopt_hn/nn/conversion/test_forms.py",
    "hyperopt_hn/nn/modules/places.py": "tests/hyperopt_hn/nn/test_context.py",
    "hyperopt_hn/nn/conversion/copies.py": "tests/hyperopt_hn/nn/conversion/test_converter.py",
    "hyperopt_hn/nn/layers/*.py": "tests/hyperopt_hn/nn/layers/test_layers.py",
    "hyperopt_hn/nn/layers/attention/*.py": "tests/hyperopt_hn/nn/layers/test_layers.py",
    "hyperopt_hn/nn/layers/feedforward/*.py": "tests/hyperopt_hn/nn/layers/test_layers.py",
    "hyperopt_hn/nn/layers/lstm/*.py": "tests/hyperopt_hn/nn/layers/test_layers.py",
    "hyperopt_hn/nn/responses/*.py": "tests/hyperopt_hn/nn/responses/test_base.py",
    "hyperopt_hn/nn/setup/hypers.py": "tests/hyperopt_hn/nn/responses/test_base.py",
    "hyperopt_hn/nn/setup/random_states.py": "tests/hyperopt_hn/nn/tuning/test_checkpoint.py",
    "hyperopt_hn/nn/per_example/*.py": "tests/hyperopt_hn/nn/per_example/test_per_example.py",
    "hyperopt_hn/nn/self_tuning/*.py": "tests/hyperopt_hn/nn/test_self_tuner.py",
    "hyperopt_hn/nn/diagnosis/*.py": "tests/hyperopt_hn/nn/tuning/test_tuner.py",
    "hyperopt_hn/nn/tuning/*.py": "tests/hyperopt_hn/nn/tuning/test_tuner.py",
    "hyperopt_hn/cli/one_line_parser.py": "tests/deep/api/test_run_pages.py",
    "hyperopt_hn/cli/page_command.py": "tests/deep/api/test_run_pages.py",
    "toy/__main__.py": "tests/toy/test_experiments.py",
    "toy/assemble.py": "tests/toy/test_experiments.py",
    "hyperopt_hn/runs/pages/page.py": "tests/toy/explore/test_hypernetwork_page.py",
    "deep/__main__.py": "tests/deep/cnn/test_command.py",
    "deep/replay.py": "tests/deep/cnn/test_runs.py",
    "deep/augment/draws.py": "tests/deep/augment/test_pipeline.py",
    "deep/cnn/presets.py": "tests/deep/cnn/test_command.py",
    "deep/compare/presets.py": "tests/deep/compare/test_arms.py",
    "hyperopt_hn/runs/pages/curves.py": "tests/hyperopt_hn/nn/tuning/test_axes.py",
    "deep/study/*.py": "tests/deep/study/test_main.py",
    "deep/study/cost/*.py": "tests/deep/study/cost/test_cost_arms.py",
    "deep/study/slopes/*.py": "tests/deep/study/slopes/test_main.py",
    "deep/lstm/presets.py": "tests/deep/lstm/test_experiment.py",
    "deep/lstm/text.py": "tests/deep/lstm/test_experiment.py",
    "figures/*.py": "tests/figures/test_content.py",
    "figures/paper/*.py": "tests/figures/paper/test_paper.py",
    "figures/study/__main__.py": "tests/figures/study/test_which_method_tunes_what.py",
    "figures/study/study_records.py": "tests/figures/study/test_from_records.py",
    "figures/study/cost_against_quality.py": "tests/figures/study/test_from_records.py",
    "figures/study/lambda_in_lockstep.py": "tests/figures/study/test_from_records.py",
    "figures/kit/*.py": "tests/figures/kit/test_tables.py",
    "figures/kit/drawing/*.py": "tests/figures/test_content.py",
}
"""Module, or all of a folder -> the test file in which it is tested, which imports it (perhaps through others)."""


def modules():
    """Paths of all product modules, relative to the root; packages' own files hold no code of theirs."""
    found = (path.relative_to(ROOT) for part in PARTS for path in (ROOT / part).rglob("*.py"))
    return sorted(path for path in found if path.stem != "__init__")


def mirrored(module: Path) -> Path:
    """Where a module's tests are expected: tests/deep/cnn/test_images.py for deep/cnn/images.py."""
    return Path("tests", module.parent, f"test_{module.stem.strip('_')}.py")


def matches(module: Path, pattern: str) -> bool:
    """Whether a line of the table is about this module; a star stays within its folder."""
    return module.parent == Path(pattern).parent and module.match(pattern)


def named(module: Path) -> list[str]:
    """The test files that the table gives to a module."""
    return [test for pattern, test in COVERED_BY.items() if matches(module, pattern)]


@cache
def imported(path: Path) -> frozenset[Path]:
    """The files of this project that one of its files imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        places = [Path(*name.split(".")) for name in names]
        found |= {place for each in places for place in (each.with_suffix(".py"), each / "__init__.py")}
    return frozenset(place for place in found if (ROOT / place).exists())


def reached(path: Path) -> set[Path]:
    """The files that a file imports, and those that they import, and so on."""
    seen: set[Path] = set()
    rest = [path]
    while rest:
        for other in imported(rest.pop()) - seen:
            seen.add(other)
            rest.append(other)
    return seen


@pytest.mark.parametrize("part", PARTS)
def test_every_module_has_its_test_file(part):
    here = [module for module in modules() if module.parts[0] == part]
    bare = [str(m) for m in here if not (ROOT / mirrored(m)).exists() and not named(m)]
    assert not bare, f"write {mirrored(Path(bare[0]))}, or name the file that tests it in COVERED_BY; without: {bare}"


@pytest.mark.parametrize(("pattern", "test"), COVERED_BY.items())
def test_every_line_of_the_table_is_true(pattern, test):
    met = [module for module in modules() if matches(module, pattern)]
    assert met, f"{pattern} is no module any more; take the line out of COVERED_BY"
    assert (ROOT / test).exists(), f"{test}, which is to cover {pattern}, does not exist"
    bare = [module for module in met if not (ROOT / mirrored(module)).exists()]
    unseen = [str(module) for module in bare if module not in reached(Path(test))]
    assert not unseen, f"{test} does not import {unseen}"
    assert bare, f"{pattern} has a test file at its own path; take the line out of COVERED_BY"
