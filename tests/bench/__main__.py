"""`python -m tests.bench [MODULE ...]`: run every module here that has rows(), or the named ones, and print the ratios.

Exits with 1 if a ratio is below its bar.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

from tests.bench.harness import table

HERE = Path(__file__).parent


def main(wanted: list[str]) -> int:
    """Print one table for each module; 1 if a bar was missed."""
    names = sorted(m.name for m in pkgutil.iter_modules([str(HERE)]) if not (m.ispkg or m.name.startswith("_")))
    if unknown := set(wanted) - set(names):
        print(f"no benchmark {sorted(unknown)[0]!r}; there are: {', '.join(n for n in names if n != 'harness')}")
        return 2
    if len(wanted) != 1:  # a process each, so that one's memory does not count in another's
        chosen = [name for name in wanted or names if name != "harness"]
        codes = [subprocess.run([sys.executable, "-m", "tests.bench", name]).returncode for name in chosen]
        return max(codes)
    missed = False
    kind = "MNIST" if os.environ.get("HYPEROPT_HN_DATA") else "random images of MNIST's shape"
    print(f"CPU time, medians, on {kind}; agreement: largest difference over largest reference")
    module = importlib.import_module(f"tests.bench.{wanted[0]}")
    if hasattr(module, "rows"):
        found = module.rows()
        print(f"\n{wanted[0]}: {(module.__doc__ or '').splitlines()[0]}\n{table(found)}\n", flush=True)
        missed = any(row.missed for row in found)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
