"""docs/architecture.md against the files: its tree, its sizes, unique names of classes and modules."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "architecture.md"
PARTS = ("hyperopt_hn", "toy", "deep", "figures")
ALIKE = {"presets", "experiment", "assemble", "hypers", "network", "networks"}
"""File names that parallel folders of one part may share: a CNN's presets and an LSTM's."""
MOST = {"hyperopt_hn": 12, "hyperopt_hn/nn": 5, "deep": 7}
"""At most so many modules directly in a folder, `__init__` included; in every other 13, but for the figures."""


def tree(text: str) -> dict[Path, str]:
    """Path -> its words, from the first fenced block: two spaces of indentation a level."""
    block = re.search(r"## The tree\n\n```\n(.*?)```", text, re.DOTALL)
    assert block, "no tree"
    found: dict[Path, str] = {}
    above: list[str] = []
    for line in block[1].splitlines():
        entry = re.fullmatch(r"((?:  )*)([\w.]+/?)(?: {2,}(.+))?", line)
        assert entry and entry[3], f"no entry with words: {line!r}"
        above = [*above[: len(entry[1]) // 2], entry[2].rstrip("/")]
        path = Path(*above)
        assert path not in found, f"{path} twice"
        assert (ROOT / path).is_dir() == entry[2].endswith("/"), f"{path} is not there as written"
        assert (ROOT / path).exists(), f"{path} is not there"
        found[path] = entry[3]
    return found


def packages() -> set[Path]:
    """Folders with modules, the product's and the tests' own; folders of tests that mirror a package are covered."""
    found = {path.parent.relative_to(ROOT) for part in PARTS for path in (ROOT / part).rglob("*.py")}
    return found | {path.parent.relative_to(ROOT) for path in (ROOT / "tests").glob("*/__init__.py")}


def test_every_folder_is_in_the_tree_and_every_entry_is_there():
    named = tree(PAGE.read_text())
    missing = {p for p in packages() if p not in named and Path(*p.parts[1:]) not in map(Path, PARTS)}
    assert not missing, f"give these a line in docs/architecture.md: {sorted(map(str, missing))}"


def test_every_module_has_a_folder_that_is_named():
    named = tree(PAGE.read_text())
    for part in PARTS:
        for path in (ROOT / part).rglob("*.py"):
            where = path.relative_to(ROOT)
            assert where in named or where.parent in named, f"{where} is covered by no line"


def test_the_core_is_named_module_by_module():
    named = tree(PAGE.read_text())
    core = {p.relative_to(ROOT) for p in (ROOT / "hyperopt_hn").glob("*.py") if not p.stem.startswith("__")}
    assert not core - set(named), f"give these a line in docs/architecture.md: {sorted(map(str, core - set(named)))}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hyperopt_hn/  the core\n  nowhere.py  words\n", "nowhere.py is not there"),
        ("hyperopt_hn/  the core\n  loop.py\n", "no entry with words"),
        ("hyperopt_hn  a folder without its slash\n", "not there as written"),
        ("toy/  one\ntoy/  two\n", "twice"),
    ],
)
def test_a_wrong_tree_is_refused(text, message):
    with pytest.raises(AssertionError, match=message):
        tree(f"## The tree\n\n```\n{text}```\n")


def test_the_page_is_short():
    assert len(PAGE.read_text().splitlines()) <= 150


@pytest.mark.parametrize("folder", MOST)
def test_few_modules_stand_directly_in_a_folder(folder):
    assert len(list((ROOT / folder).glob("*.py"))) <= MOST[folder]


def test_no_folder_is_crowded_and_no_file_long():
    for part in PARTS:
        for folder in {path.parent for path in (ROOT / part).rglob("*.py")} - {ROOT / "figures"}:
            assert len(list(folder.glob("*.py"))) <= 13, f"{folder.relative_to(ROOT)}: give its kinds folders"
        for path in (ROOT / part).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 250, f"{path.relative_to(ROOT)}: split it by its concepts"


def test_figures_hold_figures():
    from figures.catalogue import SHEETS

    stems = {path.stem for path in (ROOT / "figures").glob("*.py")}
    assert stems - set(SHEETS) == {"__init__", "__main__", "catalogue", "record"}


def test_public_class_names_are_unique():
    seen = defaultdict(list)
    for part in PARTS:
        for path in (ROOT / part).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    seen[node.name].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in seen.items() if len(where) > 1} == {}


@pytest.mark.parametrize("part", PARTS)
def test_file_names_are_unique_in_each_part(part):
    seen = defaultdict(list)
    for path in (ROOT / part).rglob("*.py"):
        if not path.stem.startswith("__"):
            seen[path.stem].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in seen.items() if len(where) > 1 and name not in ALIKE} == {}


@pytest.mark.parametrize("part", PARTS)
def test_a_module_is_never_named_as_what_it_holds(part):
    for path in (ROOT / part).rglob("*.py"):
        names = {n.name for n in ast.parse(path.read_text()).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        assert path.stem not in names, f"{path.relative_to(ROOT)}: the package's attribute would hide the module"


def test_every_module_is_python_3_11():
    for part in (*PARTS, "tests"):
        for path in (ROOT / part).rglob("*.py"):
            text = path.read_text()
            compile(text, str(path), "exec", dont_inherit=True)
            ast.parse(text, str(path), feature_version=(3, 11))


def test_parts_are_called_by_their_names():
    """No metaphor of the project's own where the name of the part does."""
    texts = [p for p in ROOT.glob("*.md") if p.name != "CHANGELOG.md"]  # it lists old names
    texts += [*ROOT.glob("*.txt"), ROOT / "Makefile", *(ROOT / "docs").rglob("*.md")]
    texts += [path for part in (*PARTS, "tests") for path in (ROOT / part).rglob("*.py")]
    here = Path(__file__)
    found = [str(p.relative_to(ROOT)) for p in texts if p != here and re.search(r"\bwings?\b", p.read_text(), re.I)]
    assert not found
