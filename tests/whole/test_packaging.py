"""What the package says of itself: versions, extras, commands, citation, the documents that belong to it."""

import re
import tomllib

import pytest

from hyperopt_hn import __version__
from hyperopt_hn.cli import console
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = (ROOT / "CITATION.cff").read_text()


def test_versions_agree():
    assert PROJECT["version"] == __version__
    assert re.search(rf"^version: {re.escape(__version__)}$", CITATION, re.MULTILINE)


def test_the_papers_and_their_authors_are_cited():
    for words in ("1802.09419", "1903.03088", "2010.13514", "Lorraine", "Duvenaud", "MacKay", "Vicol", "Grosse", "Bae"):
        assert words in CITATION


def test_the_command_is_there():
    assert PROJECT["scripts"] == {"hyperopt-hn": f"{console.__name__}:main"}


def test_extras():
    extras = PROJECT["optional-dependencies"]
    assert [need.split(">")[0] for need in extras["nn"]] == ["torch"]
    assert {need.split(">")[0] for need in extras["nn"]} < {need.split(">")[0] for need in extras["deep"]}
    for message in (ROOT / "hyperopt_hn").rglob("*.py"):
        for name in re.findall(r"hyperopt_hn\[(\w+)\]", message.read_text()):
            assert name in extras, f"{message.name} names the extra {name}"


def test_pinned_packages_satisfy_the_requirements():
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    needs = [*PROJECT["dependencies"], *(need for extra in PROJECT["optional-dependencies"].values() for need in extra)]
    for need in needs:
        name, least = re.fullmatch(r"([\w-]+)(?:\[\w+\])?(?:>=([\d.]+))?.*", need).groups()
        assert name in pinned, name
        if least:
            assert [int(n) for n in pinned[name].split(".")] >= [int(n) for n in least.split(".")], need


def test_the_readme_says_that_no_licence_is_chosen():
    assert not list(ROOT.glob("LICEN[CS]E*"))
    assert "no licence" in (ROOT / "README.md").read_text().lower()


@pytest.mark.parametrize("title", ["Set up", "Run", "Add a response", "Add a layer that responds", "Add a figure"])
def test_each_task_takes_ten_lines(title):
    text = (ROOT / "CONTRIBUTING.md").read_text()
    body = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert body and len([line for line in body[1].splitlines() if line.strip() and line != "```"]) <= 10


def test_files_that_the_documents_name_exist():
    for document in ("CONTRIBUTING.md", "docs/architecture.md"):
        for name in re.findall(
            r"`((?:hyperopt_hn|toy|deep|figures|tests|docs)/[\w/.]+)`", (ROOT / document).read_text()
        ):
            if "NAME" not in name:
                assert (ROOT / name).exists(), f"{document}: {name}"
