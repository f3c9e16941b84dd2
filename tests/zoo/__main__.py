"""python -m tests.zoo [--family NAME] [--only MODEL] [--out FILE]: every model once, a line each, resumable."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path
from typing import Any

import torch

from hyperopt_hn.files.whole_lines import keep_whole_lines
from tests.zoo.catalogue import LISTED, models_of
from tests.zoo.summary import read, said, table
from tests.zoo.trial import tried

LIMIT = 400
"""Seconds after which a model is given up."""


def main() -> None:
    """Run the models that the record lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=LISTED, action="append")
    parser.add_argument("--only", action="append", help="these models alone, and again")
    parser.add_argument("--out", type=Path, default=Path("runs/zoo.jsonl"))
    parser.add_argument("--show", type=Path, metavar="RECORD", help="print a record as a table and run nothing")
    chosen = parser.parse_args()
    if chosen.show:
        print(table(read(chosen.show)))
        return
    torch.set_num_threads(1)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    keep_whole_lines(chosen.out)
    known = {(row["family"], row["name"]) for row in read(chosen.out)} if chosen.out.exists() else set()
    for family in chosen.family or LISTED:
        for name, make in models_of(family):
            if (chosen.only and name not in chosen.only) or (not chosen.only and (family, name) in known):
                continue
            signal.signal(signal.SIGALRM, _late)
            signal.alarm(LIMIT)
            line = {"family": family, **tried(name, make).row()}
            signal.alarm(0)
            with chosen.out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(said(line), flush=True)


def _late(*_: Any) -> None:
    raise TimeoutError(f"not done in {LIMIT} s")


if __name__ == "__main__":
    main()
