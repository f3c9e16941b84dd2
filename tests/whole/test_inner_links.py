"""A link of the site that leads nowhere is found, and the build fails of it; names of other libraries become links."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))  # where Sphinx finds its extensions

from inner_links import broken_links  # noqa: E402

ELSEWHERE = '<a href="https://example.org/none"></a><a href="mailto:a@b.c"></a>'


def test_links_to_pages_anchors_pictures_and_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a b.txt").write_text("a file")
    (tmp_path / "sub" / "two.html").write_text('<h1 id="λ">x</h1><a href="../one.html#top">up</a><a href="#λ">here</a>')
    good = '<a name="top"></a><a href="sub/two.html#%CE%BB"></a><a href="a%20b.txt"></a><img src="a b.txt">'
    (tmp_path / "one.html").write_text(good + ELSEWHERE)
    assert broken_links(tmp_path) == []
    bad = ["none.html", "sub/two.html#none", "none.png", "#none", "../outside.html", "sub", "a%20c.txt"]
    tags = "".join(f'<img src="{link}">' if link.endswith("png") else f'<a href="{link}">x</a>' for link in bad)
    (tmp_path / "one.html").write_text(good + tags + ELSEWHERE)
    assert broken_links(tmp_path) == [f"one.html: {link}" for link in bad]


@pytest.mark.parametrize("link", ["nowhere.html", "index.html#nowhere", "index.html"])
def test_the_build_fails_of_a_broken_link_alone(link: str, tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="sphinx is not installed (make docs installs it)")
    inventory = str(DOCS / "inventories" / "torch.txt")
    conf = (
        f"import sys; sys.path.insert(0, {str(DOCS)!r})\n"
        "extensions = ['inner_links', 'sphinx.ext.intersphinx', 'outside_names']\n"
        f"intersphinx_mapping = {{'torch': ('https://docs.pytorch.org/', {inventory!r})}}\n"
    )
    (tmp_path / "conf.py").write_text(conf)
    text = "Title\n=====\n\n``torch.save(x)``, ``torch.nothing``\n\n.. raw:: html\n\n   <a href='%s'>x</a>\n"
    (tmp_path / "index.rst").write_text(text % link)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(tmp_path)]
    done = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, text=True, timeout=120)
    if link == "index.html":
        assert done.returncode == 0, done.stderr
        page = (tmp_path / "out" / "index.html").read_text()
        assert page.count("https://docs.pytorch.org/generated/torch.save.html#torch.save") == 1
        assert "docs.pytorch.org/generated/torch.nothing" not in page
    else:
        assert done.returncode != 0 and f"leads nowhere, index.html: {link}" in done.stderr
