"""The wheel holds all that is needed: installed apart from this folder, it runs the README's example.

The environment has the wheel alone for its own; what it depends on is lent by the tests' one. `make wheel` installs
everything anew.
"""

import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytest.importorskip("torch")
pytest.importorskip("setuptools", minversion="77")
pytest.importorskip("pip")

SEEN = """
import hyperopt_hn, pathlib, sys
assert pathlib.Path(hyperopt_hn.__file__).is_relative_to(sys.prefix), hyperopt_hn.__file__
assert not [name for name in sys.modules if name.split(".")[0] in ("toy", "deep", "figures", "tests")]
"""


@pytest.mark.slow
def test_the_wheel_runs_the_readmes_example_in_an_environment_of_its_own(tmp_path):
    source = tmp_path / "source"
    listed = ["git", "ls-files", "-z", "hyperopt_hn", "pyproject.toml", "README.md"]
    tracked = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True)
    for name in tracked.stdout.decode().split("\0")[:-1]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "own", with_pip=False)
    python = tmp_path / "own" / "bin" / "python"
    (own,) = (tmp_path / "own" / "lib").glob("python*/site-packages")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(own), str(wheel)], check=True)
    lent = [path for path in sys.path if Path(path, "torch").is_dir()] or [sysconfig.get_path("purelib")]
    (own / "lent.pth").write_text("\n".join(lent) + "\n")
    example = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    done = subprocess.run(
        [python, "-W", "error", "-c", example + SEEN], capture_output=True, text=True, cwd=tmp_path,
        env={"PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "verdict: trust" in done.stdout and (tmp_path / "net.pt").exists()
