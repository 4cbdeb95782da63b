"""Which column of a log is the step, the loss, the validation loss and η, by its usual names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from steepest.errors import InputError, nearest
from steepest.events.words import listed

_WORD = re.compile(r"[a-zA-Z]+|η")
STEPS = ("step", "global step", "iteration", "iter", "steps", "epoch", "epochs", "batch")
RATES = ("learning rate", "lr", "eta", "η", "train learning rate", "optimizer learning rate")
LOSSES = ("loss", "nll", "crossentropy", "objective", "cost", "mse")
VALIDATED = {"val", "valid", "validation", "eval", "evaluation", "test", "dev", "heldout"}
_EXTRA = {"per", "std", "ratio", "scale", "best", "l2", "penalty", "reg", "regularization", "aux"}
"""Words of a quantity beside the loss."""


def words_of(name: str) -> list[str]:
    """A name's words, lower case.

    Examples
    --------
    >>> words_of("val/epochLoss_step"), words_of("trainLoss")
    (['val', 'epoch', 'loss', 'step'], ['train', 'loss'])
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word.lower() for word in _WORD.findall(parted)]


def columns_of(
    names: Iterable[str],
    given: Mapping[str, str | None],
    file: Path,
    records: Mapping[str, int] | None = None,
) -> dict[str, str | None]:
    """Names of the columns "step", "loss", "validation" and "rate"; None of what is not there.

    `given` are those that the user names; of the others that would do, those with fewer than half
    of the most `records` give way.

    Raises
    ------
    InputError
        A named column is not there, or none looks like a loss.

    Examples
    --------
    >>> columns_of(["epoch", "val_loss", "train_loss", "lr"], {}, Path("log.csv"))
    {'step': 'epoch', 'loss': 'train_loss', 'validation': 'val_loss', 'rate': 'lr'}
    """
    names = list(names)
    for what, name in given.items():
        if name is not None and name not in names:
            near = nearest(name, names)
            raise InputError(
                f"{file} has no column {name!r}.",
                expected=f"the column of --{what}",
                found=listed(names, 12) or "no columns",
                do=f"--{what} {near}" if near else f"name one of these with --{what}",
            )
    losses = [name for name in names if _is_loss(name)]
    validated = [name for name in losses if VALIDATED & set(words_of(name))]
    training = [name for name in losses if name not in validated]
    found = {
        "step": given.get("step") or _named(names, STEPS),
        "loss": given.get("loss") or _plainest(_fullest(training, records), "train"),
        "validation": given.get("validation") or _plainest(_fullest(validated, records), "val"),
        "rate": given.get("rate") or _named(names, RATES),
    }
    if found["loss"] is None and found["validation"] is None:
        raise InputError(
            f"{file} has no column that looks like a loss.",
            expected='a name with "loss", such as loss, train_loss or val/loss',
            found=listed(names, 12) or "no columns",
            do="name it: --loss COLUMN, --validation COLUMN",
        )
    return found


def _is_loss(name: str) -> bool:
    words = words_of(name)
    joined = "".join(words)
    named = any(word in LOSSES for word in words) or "crossentropy" in joined
    return named and not _EXTRA & set(words)


def _fullest(names: list[str], records: Mapping[str, int] | None) -> list[str]:
    """Those with at least half as many records as the one that has most."""
    if records is None or not names:
        return names
    most = max(records[name] for name in names)
    return [name for name in names if 2 * records[name] >= most]


def _plainest(names: list[str], word: str) -> str | None:
    """The shortest of them, first those that say what they are of."""
    said = [name for name in names if any(one.startswith(word) for one in words_of(name))]
    return min(said or names, key=lambda name: (len(words_of(name)), len(name)), default=None)


def _named(names: list[str], usual: tuple[str, ...]) -> str | None:
    by_words = {" ".join(words_of(name)): name for name in reversed(names)}
    for one in usual:
        if one in by_words:
            return by_words[one]
    last = {words[-1]: name for name in reversed(names) if (words := words_of(name))}
    return next((last[one] for one in usual if one in last), None)
