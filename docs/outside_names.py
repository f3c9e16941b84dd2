"""Sphinx extension: a name of another library in backticks, such as `torch.compile`, links to its documentation.

The names stand in `inventories/`, so that nothing is fetched; a name that is not there stays as it is.
"""

from __future__ import annotations

from typing import Any


def _link(app: Any, doctree: Any, page: str) -> None:
    from docutils import nodes
    from sphinx.ext.intersphinx import InventoryAdapter

    known = {name: item for kind in InventoryAdapter(app.env).main_inventory.values() for name, item in kind.items()}
    for literal in list(doctree.findall(nodes.literal)):
        item = known.get(literal.astext().split("(")[0])
        if item is not None and not isinstance(literal.parent, nodes.reference):
            link = nodes.reference("", "", literal.deepcopy(), internal=False, refuri=item.uri)
            literal.replace_self(link)


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", _link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
