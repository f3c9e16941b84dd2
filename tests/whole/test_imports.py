"""Which way imports run: the arrows and doors of docs/architecture.md, in the source and in fresh interpreters."""

import ast
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

ALLOWED = {
    "figures": {"hyperopt_hn.runs", "hyperopt_hn.errors", "hyperopt_hn.files", "figures"},
    "toy": {"hyperopt_hn", "toy"},
    "deep": {"hyperopt_hn", "deep"},
    "hyperopt_hn": {"hyperopt_hn"},
}
OURS = tuple(ALLOWED)
FORBIDDEN = {
    "figures": {"autograd", "torch", "sklearn", "optuna", "scipy"},
    "toy": {"torch", "torchvision", "hyperopt_hn.nn"},
    "deep": {"autograd"},
    "hyperopt_hn": {"autograd"},
}
DOORS = {  # the only places where a heavy library may be imported
    "optuna": ("hyperopt_hn/search/optuna_bridge/",),
    "matplotlib": ("figures/", "hyperopt_hn/runs/display/plotting.py"),
    "bokeh": ("hyperopt_hn/runs/pages/", "toy/explore/"),
    "torch": ("hyperopt_hn/nn/", "deep/"),
    "torchvision": ("hyperopt_hn/nn/", "deep/"),
    "autograd": ("toy/",),
    "tensorboard": ("hyperopt_hn/runs/sinks/",),
}

FLOORS = (  # of hyperopt_hn.nn: each imports from those before it alone
    "modules",
    "context distributed",
    "layers per_example",
    "conversion setup",
    "responses",
    "diagnosis",
    "tuning",
    "self_tuning",
    "self_tuner",
)


def modules():
    """Dotted name -> file of everything in the product."""
    found = {}
    for part in OURS:
        for path in (ROOT / part).rglob("*.py"):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def imports(path, known=None):
    """Every module that a file imports, wherever in it; `from a import b` is a.b where that is a module, else a."""
    known = MODULES if known is None else known
    tree = ast.parse(path.read_text())
    tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and "__name__" in ast.unparse(n.test))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module


MODULES = modules()


def within(name, prefixes):
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize("part", OURS)
def test_arrows(part):
    for path in (ROOT / part).rglob("*.py"):
        for name in imports(path):
            where = f"{path.relative_to(ROOT)} imports {name}"
            if name.split(".")[0] in OURS:
                assert within(name, ALLOWED[part]), where
            assert not within(name, FORBIDDEN[part]), where
            if part == "hyperopt_hn" and "nn" not in path.parts:
                assert not within(name, {"hyperopt_hn.nn"}), where


def test_floors():
    floor = {f"hyperopt_hn.nn.{name}": number for number, names in enumerate(FLOORS) for name in names.split()}

    def of(name):
        return floor.get(".".join(name.split(".")[:3]))

    parts = {".".join(name.split(".")[:3]) for name in MODULES if name.startswith("hyperopt_hn.nn.")}
    assert parts == set(floor)
    for name, path in MODULES.items():
        for other in imports(path):
            if of(name) is not None and of(other) is not None and name.split(".")[2] != other.split(".")[2]:
                assert of(other) < of(name), f"{name} imports {other}"


@pytest.mark.parametrize("library", DOORS)
def test_doors(library):
    for path in MODULES.values():
        where = path.relative_to(ROOT).as_posix()
        if any(within(name, {library}) for name in imports(path)):
            assert where.startswith(DOORS[library]), f"{where} imports {library}"


def test_one_file_of_runs_draws():
    drawing = [
        p for p in (ROOT / "hyperopt_hn" / "runs").rglob("*.py") if any(within(n, {"matplotlib"}) for n in imports(p))
    ]
    assert len(drawing) <= 1


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


def circle(edges):
    """A path of imports that ends where it began, or None."""
    done, active = set(), []

    def visit(name):
        if name in active:
            return [*active[active.index(name) :], name]
        if name not in done:
            active.append(name)
            for other in sorted(edges[name]):
                if found := visit(other):
                    return found
            active.pop()
            done.add(name)
        return None

    return next((found for name in edges if (found := visit(name))), None)


def test_no_circles():
    found = {name: {m for m in imports(path) if m in MODULES and m != name} for name, path in MODULES.items()}
    assert circle(found) is None


def test_a_circle_is_found_also_through_a_package(tmp_path):
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    (tmp_path / "x.py").write_text("from hyperopt_hn import Hyper\nfrom hyperopt_hn import loop\n")
    assert list(imports(tmp_path / "x.py")) == ["hyperopt_hn", "hyperopt_hn.loop"]


def test_nn_without_torch_names_the_remedy():
    code = "import sys; sys.modules['torch'] = None; import hyperopt_hn.nn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "pip install 'hyperopt_hn[nn]'" in done.stderr.splitlines()[-1]
