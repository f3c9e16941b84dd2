"""Sphinx extension: after a build every inner link of the site must lead to a file, and to an anchor, that is there.

It reads the finished HTML, so that links of every origin are seen: of pages, docstrings, themes, plain `<a href>`. What
leads nowhere is a warning, and with `-W` the build fails. Links to other sites are not followed.
"""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LEADS = {"a": ("href",), "link": ("href",), "img": ("src",), "script": ("src",), "iframe": ("src",), "source": ("src",)}
"""Tag -> its attributes that lead somewhere."""


class _Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (name == "id" or (tag == "a" and name == "name")):
                self.anchors.add(value)
            elif value and name in LEADS.get(tag, ()):
                self.links.append(value)


@cache
def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


def broken_links(site: Path) -> list[str]:
    """Of a folder of HTML files, "page: link" for each inner link to a file or an anchor that is not there."""
    site = site.resolve()
    _read.cache_clear()
    return [
        f"{file.relative_to(site)}: {link}"
        for file in sorted(site.rglob("*.html"))
        for link in dict.fromkeys(_read(file).links)
        if not _leads(site, file, link)
    ]


def _leads(site: Path, file: Path, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site) or not target.is_file():
        return False
    anchor = unquote(parts.fragment)
    return not anchor or target.suffix != ".html" or anchor in _read(target).anchors


def _check(app: Any, error: Exception | None) -> None:
    from sphinx.util import logging

    if error is None and app.builder.format == "html":
        for found in broken_links(Path(app.outdir)):
            logging.getLogger(__name__).warning("a link that leads nowhere, %s", found)


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
