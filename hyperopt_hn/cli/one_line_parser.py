"""argparse for the commands beside experiments: a mistake is one line that ends in the command's help."""

from __future__ import annotations

import argparse
from typing import NoReturn

from hyperopt_hn.errors import UserError


class OneLineParser(argparse.ArgumentParser):
    """Raises UserError where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")
