"""Which hyperparameters a run tunes, which it holds, and where they start, by names and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hyperopt_hn.config import check, option
from hyperopt_hn.errors import UserError, unknown
from hyperopt_hn.space import Hyper, HyperSpace

Groups = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class TuningChoice:
    """Which hyperparameters are tuned; those named nowhere are switched off: no dropout, augmentation or penalty."""

    tune: str = option("all", "hyperparameters to tune: names and groups, comma-separated; all; none")
    fix: str = option("", "names and groups that hold their initial values instead of being tuned")
    init: str = option("", "initial or fixed values, name=value or group=value, comma-separated")
    spread: float = option(0.5, "initial standard deviation of each perturbation; 0: none", unit="raw λ", least=0)

    def __post_init__(self) -> None:
        check(self)


def choose(hypers: Sequence[Hyper], groups: Groups, choice: TuningChoice) -> HyperSpace:
    """The space of the tuned and the fixed, in the order of `hypers`; a name with a value is fixed unless tuned.

    Later words of `init` win over earlier ones, so that a group may be followed by exceptions. Raises UserError for
    an unknown name or group (naming the nearest), a name both tuned and fixed, and a value outside its range.
    """
    known = {hyper.name: hyper for hyper in hypers}
    table = {**groups, "all": tuple(known)}
    tuned = () if choice.tune.strip() == "none" else _names(choice.tune, known, table)
    fixed = _names(choice.fix, known, table)
    both = [name for name in tuned if name in fixed]
    if both and choice.tune.strip() == "all":  # all, but for those that are fixed
        tuned = tuple(name for name in tuned if name not in both)
    elif both:
        raise UserError(f"{both[0]!r} is given to both --tune and --fix; leave it out of one")
    values = _values(choice.init, known, table)
    present = [hyper for hyper in hypers if hyper.name in {*tuned, *fixed, *values}]
    moved = [replace(h, init=values.get(h.name, h.init), spread=choice.spread) for h in present]
    return HyperSpace(moved, [hyper.name for hyper in moved if hyper.name in tuned])


def fixed_at(space: HyperSpace, values: Mapping[str, float]) -> HyperSpace:
    """The space with nothing tuned and these values held, the others at their initial ones."""
    return space.with_init(values).with_tuned([])


def _names(text: str, known: Mapping[str, Hyper], table: Groups) -> tuple[str, ...]:
    """The names that a comma-separated list of names and groups means, each once."""
    found: dict[str, None] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word in known:
            found[word] = None
        elif word in table:
            found.update(dict.fromkeys(name for name in table[word] if name in known))
        else:
            raise UserError(unknown("hyperparameter or group", word, [*known, *table, "none"]))
    return tuple(found)


def _values(text: str, known: Mapping[str, Hyper], table: Groups) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        word, sign, number = (piece.strip() for piece in part.partition("="))
        if not sign:
            raise UserError(f"--init needs name=value, not {part!r}")
        try:
            value = float(number)
        except ValueError:
            raise UserError(f"--init {word}={number}: {number!r} is not a number") from None
        found.update(dict.fromkeys(_names(word, known, table), value))
    return found
