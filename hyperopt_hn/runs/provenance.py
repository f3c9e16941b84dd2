"""What a run was made with: versions, and the commit of the program if it is part of a git checkout."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
"""Environment variables that name a repository, set in hooks: it may be another one than ours."""


def versions_and_commit(packages: Sequence[str]) -> dict[str, Any]:
    """Versions, and the commit of the program if its files belong to a git checkout; one that encloses it is none."""
    here = Path(__file__).parent
    environment = {name: value for name, value in os.environ.items() if name not in REPOSITORY}

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *words], cwd=here, env=environment, capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    ours = git("ls-files", "--error-unmatch", Path(__file__).name) is not None  # not one that merely encloses us
    versions = {"python": platform.python_version(), **{name: _version(name) for name in packages}}
    return {
        "versions": versions,
        "commit": git("rev-parse", "HEAD") if ours else None,
        "dirty": ours and bool(git("status", "--porcelain", "--untracked-files=no")),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "not installed"
