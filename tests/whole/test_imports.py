"""Which way imports run: the arrows of the house, measured from the source and from a fresh interpreter."""

import ast
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

ALLOWED = {
    "figures": {"hyperopt_hn.runs.writer", "hyperopt_hn.errors", "hyperopt_hn.files", "figures"},
    "toy": {"hyperopt_hn", "toy"},
    "deep": {"hyperopt_hn", "deep"},
    "hyperopt_hn": {"hyperopt_hn"},
}
OURS = tuple(ALLOWED)
FORBIDDEN = {  # heavy libraries enter by their own doors only
    "figures": {"autograd", "torch", "sklearn", "optuna", "scipy"},
    "toy": {"torch", "torchvision", "hyperopt_hn.nn"},
    "deep": {"autograd"},
    "hyperopt_hn": {"autograd"},
}


def imports(path):
    tree = ast.parse(path.read_text())
    tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and "__name__" in ast.unparse(n.test))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name, prefixes):
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize("room", OURS)
def test_arrows(room):
    for path in (ROOT / room).rglob("*.py"):
        for name in imports(path):
            where = f"{path.relative_to(ROOT)} imports {name}"
            if name.split(".")[0] in OURS and name != "hyperopt_hn":
                assert within(name, ALLOWED[room]), where
            assert not within(name, FORBIDDEN[room]), where
            if room == "hyperopt_hn" and "nn" not in path.parts:
                assert not within(name, {"torch", "torchvision", "hyperopt_hn.nn"}), where


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import hyperopt_hn", ["torch", "autograd", "sklearn", "optuna", "matplotlib"]),
        (
            "import hyperopt_hn.cli.launch, hyperopt_hn.search.proposals, hyperopt_hn.course",
            ["torch", "autograd", "optuna"],
        ),
        ("import toy.__main__", ["torch", "matplotlib"]),
        ("import figures.__main__", ["torch", "autograd", "sklearn", "optuna", "scipy", "toy"]),
    ],
)
def test_a_fresh_interpreter_loads_no_more(statement, absent):
    code = f"{statement}; import sys; print([m for m in {absent} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_no_circles():
    modules = {}
    for room in OURS:
        for path in (ROOT / room).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            modules[name] = set(imports(path))
    edges = {name: {m for m in found if m in modules and m != name} for name, found in modules.items()}
    # A module's own package stands among its imports when it takes a neighbour from it: no arrow of its own.
    edges = {name: {m for m in found if not name.startswith(f"{m}.")} for name, found in edges.items()}
    done, active = set(), []

    def visit(name):
        assert name not in active, " -> ".join([*active, name])
        if name not in done:
            active.append(name)
            for other in edges[name]:
                visit(other)
            active.pop()
            done.add(name)

    for name in edges:
        visit(name)


def test_the_torch_room_without_torch_names_the_remedy():
    code = "import sys; sys.modules['torch'] = None; import hyperopt_hn.nn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "pip install 'hyperopt_hn[deep]'" in done.stderr.splitlines()[-1]
