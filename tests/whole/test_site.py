"""The site: its tutorials run, its links lead somewhere, and where Sphinx is installed it builds without a warning."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGES = [*ROOT.glob("*.md"), *(ROOT / "deep").glob("*.md"), *(ROOT / "docs").rglob("*.md")]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
GENERATED = ("drawn/", "explore/")  # by `make docs`


def heading_ids(text: str) -> set[str]:
    """The anchors of a page's headings, as they are made from their words."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```python.*?```", "", text, flags=re.DOTALL)):
        target, _, anchor = link.partition("#")
        if "://" in link or target.startswith(GENERATED):
            continue
        file = page.parent / target if target else page
        assert file.exists(), link
        if anchor:
            assert anchor in heading_ids(file.read_text()), link


def test_every_page_is_in_the_contents() -> None:
    contents = "".join(re.findall(r"```{toctree}.*?```", (ROOT / "docs" / "index.md").read_text(), re.DOTALL))
    pages = {str(p.relative_to(ROOT / "docs").with_suffix("")) for p in PAGES if p.is_relative_to(ROOT / "docs")}
    pages -= {"index", *(page for page in pages if page.startswith("api/"))}
    assert pages == set(re.findall(r"^[\w/-]+$", contents, re.MULTILINE)) - {"api/index"}


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs(page: Path, tmp_path: Path) -> None:
    if page.stem != "hypernetwork":
        pytest.importorskip("torch")
    code = "\n".join(re.findall(r"```\{code-cell\} python\n(.*?)```", page.read_text(), re.DOTALL))
    assert code.count("assert ") >= 1
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-W", "default::UserWarning", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    for package in ("sphinx", "furo", "myst_nb"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (make docs installs it)")
    source = Path(shutil.copytree(ROOT / "docs", tmp_path / "tree" / "docs"))
    for name in ("README.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path / "tree" / name)  # a link would be followed to where it points
    shutil.copytree(ROOT / "deep", tmp_path / "tree" / "deep")
    for name in ("hyperopt_hn", "toy", "figures"):
        (tmp_path / "tree" / name).symlink_to(ROOT / name)
    pictures = source / "drawn"
    pictures.mkdir(exist_ok=True)
    for name in re.findall(r"\(drawn/([^)]+)\)", (source / "gallery.md").read_text()):
        shutil.copy(ROOT / "docs" / "pictures" / "hypernets_local_small.png", pictures / name)
    (source / "extra" / "explore").mkdir(parents=True, exist_ok=True)
    for name in re.findall(r'href="(explore/[^"]+)"', (source / "index.md").read_text()):
        (source / "extra" / name).write_text("<p>a page to play with</p>")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command = [*build, str(source), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "w_φ" in (tmp_path / "site" / "index.html").read_text()
