"""Ranges of a recipe's keys: ``descent.learning_rate=log(1e-4,1)``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steepest.errors import RecipeError, nearest
from steepest.recipe import Recipe

if TYPE_CHECKING:
    import optuna

KINDS = {
    "log": "log(LOW,HIGH): a number, uniform in its logarithm",
    "uniform": "uniform(LOW,HIGH): a number",
    "int": "int(LOW,HIGH): an integer, both ends included",
    "choice": "choice(A,B,…): one of the values, each as TOML writes it",
}
_CALL = re.compile(r"\s*([A-Za-z]\w*)\s*\((.*)\)\s*", re.S)
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Range:
    """What a key of the recipe may be in a trial.

    Attributes
    ----------
    key
        Of the recipe, with dots.
    kind
        "log", "uniform", "int" or "choice".
    ends
        The two ends, or the choices, as TOML.

    Examples
    --------
    >>> Range.parse("descent.learning_rate", "log(1e-4,1)")
    Range(key='descent.learning_rate', kind='log', ends=('0.0001', '1.0'))
    >>> Range.parse("model.hidden", "choice([64,64],[128])").ends
    ('[64,64]', '[128]')
    >>> Range.parse("descent.batch_size", "128") is None
    True
    """

    key: str
    kind: str
    ends: tuple[str, ...]

    @classmethod
    def parse(cls, key: str, text: str) -> Range | None:
        """Return the range that a setting's value says; None if it is an ordinary value.

        Raises
        ------
        RecipeError
            It is nearly a range, or one without sense.
        """
        call = _CALL.fullmatch(text)
        if call is None:
            return None
        kind, inside = call.groups()
        if kind not in KINDS:
            close = nearest(kind, KINDS)
            if close is None:  # an expression, such as count(Jet_pt > 20)
                return None
            raise _refused(key, text, f"one of {', '.join(KINDS)}", f"write {close}({inside})")
        values = _split(inside)
        ends = tuple(values) if kind == "choice" else _numbers(key, kind, text, values)
        if kind == "choice" and (len(set(ends)) < max(len(ends), 2) or "" in ends):
            raise _refused(key, text, "two different values or more")
        return cls(key, kind, ends)

    @property
    def text(self) -> str:
        """The range as it is written."""
        return f"{self.kind}({','.join(self.ends)})"

    def suggest(self, trial: optuna.Trial) -> str:
        """Return the value that a trial takes, as TOML."""
        if self.kind == "choice":
            return str(trial.suggest_categorical(self.key, self.ends))
        if self.kind == "int":
            return str(trial.suggest_int(self.key, *map(int, self.ends)))
        low, high = map(float, self.ends)
        return repr(trial.suggest_float(self.key, low, high, log=self.kind == "log"))


def _numbers(key: str, kind: str, text: str, values: list[str]) -> tuple[str, str]:
    number: Any = int if kind == "int" else float
    try:
        low, high = (number(value) for value in values)
    except ValueError:
        what = "integers" if kind == "int" else "numbers"
        raise _refused(key, text, f"two {what}: {KINDS[kind]}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise _refused(key, text, "a lower and a higher end, both finite")
    if kind == "log" and low <= 0:
        raise _refused(
            key, text, "ends above 0, which have a logarithm", "use uniform, or raise it"
        )
    return repr(low), repr(high)


def _split(text: str) -> list[str]:
    """Split at commas that are in no bracket and no quotes."""
    parts, closing, quote = [""], [], ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _CLOSING:
            closing.append(_CLOSING[letter])
        elif closing and letter == closing[-1]:
            closing.pop()
        elif letter == "," and not closing:
            parts.append("")
            continue
        parts[-1] += letter
    return [part.strip() for part in parts]


def _refused(key: str, text: str, expected: str, do: str | None = None) -> RecipeError:
    return RecipeError(
        f"The range of {key} cannot be understood.",
        expected=expected,
        found=text,
        do=do or f"--set '{key}=log(1e-4,1)', or uniform, int, choice",
    )


def ranges_in(settings: Iterable[str]) -> tuple[list[str], tuple[Range, ...]]:
    """Part settings ``KEY=VALUE`` into ordinary ones and ranges.

    Raises
    ------
    RecipeError
        There is no range, two have one key, or one cannot be understood.

    Examples
    --------
    >>> ranges_in(["descent.epochs=5", "descent.l2=log(1e-6,1e-2)"])
    (['descent.epochs=5'], (Range(key='descent.l2', kind='log', ends=('1e-06', '0.01')),))
    """
    plain, ranges = [], []
    for setting in settings:
        key, _, text = setting.partition("=")
        found = Range.parse(key.strip(), text)
        if found is None:
            plain.append(setting)
        else:
            ranges.append(found)
    keys = [each.key for each in ranges]
    if not keys:
        raise RecipeError(
            "A sweep needs a range.",
            expected="a setting such as descent.learning_rate=log(1e-4,1)",
            found=", ".join(plain) or "no setting",
            do="; ".join(KINDS.values()),
        )
    if len(set(keys)) < len(keys):
        raise RecipeError(
            "Two ranges are of one key.",
            expected="each key once",
            found=", ".join(f"{each.key}={each.text}" for each in ranges),
        )
    return plain, tuple(ranges)


OTHER_LOSSES = ("descent.loss", "model.heads")
"""Keys that change what the validation loss means, besides those of the events."""
OF_FEATURES = ("events.features", "events.fill", "events.particles")
"""Keys of the events that change the inputs alone."""


def check_ranges(recipe: Recipe, ranges: Iterable[Range]) -> None:
    """Raise RecipeError for what cannot be swept: the ends of each range are tried.

    Losses of two trials are compared, so they must be those of the same events.
    """
    if recipe.events.split.cross_validated:
        raise RecipeError(
            "A sweep chooses on validation events, and no fold has any that are its own.",
            expected="one model in each trial",
            found="events.split.folds without events.split.fold",
            cause="each event is in the test part of one of the folds, also those validated on",
            do="name a fold: --set events.split.fold=0",
        )
    if recipe.events.split.validation == 0.0:
        raise RecipeError(
            "A sweep compares validation losses, but there are no validation events.",
            expected="events.split.validation above 0",
            found="events.split.validation = 0",
        )
    for each in ranges:
        _refuse_other_losses(each.key)
    first = {each.key: f"{each.key}={each.ends[0]}" for each in ranges}
    for each in ranges:
        for end in each.ends:
            try:
                recipe.with_settings({**first, each.key: f"{each.key}={end}"}.values())
            except RecipeError as error:
                told = {name: text for name, text in error.details.items() if text}
                raise RecipeError(
                    f"{each.key}={each.text} is no range of the recipe: {error.what}", **told
                ) from None


def _refuse_other_losses(key: str) -> None:
    def within(names: tuple[str, ...]) -> bool:
        return any(key == name or key.startswith(f"{name}.") for name in names)

    if key.startswith("evaluate") or within(OTHER_LOSSES) or (
        key.startswith("events") and not within(OF_FEATURES)
    ):  # fmt: skip
        raise RecipeError(
            f"A sweep cannot vary {key}.",
            expected="a key of model or descent, or one of " + ", ".join(OF_FEATURES),
            found=key,
            cause="it changes the events that are validated on, or what their loss means: the "
            "losses of two trials could not be compared",
            do="sweep once for each value: --set KEY=VALUE",
        )
