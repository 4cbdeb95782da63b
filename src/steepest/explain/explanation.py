"""An explanation: the verdict, findings in order of weight, and the checks."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steepest.errors import InputError, Interrupted
from steepest.evaluate.figures import rendered_in
from steepest.explain.checks import checks_for
from steepest.explain.findings import Check, Finding, plain
from steepest.explain.measured import Measured, measure
from steepest.explain.pictures import pictures_of
from steepest.explain.record import Record, read_record
from steepest.explain.trials import Trials, settings_of
from steepest.explain.wording import below
from steepest.folder import RunFolder
from steepest.folder.files import explained, json_text, write_atomically
from steepest.folder.run_folder import in_use
from steepest.recipe import Recipe
from steepest.training import TrainingCallback
from steepest.training.callback import interruptible

FORMAT = {"format": "steepest-explanation", "version": 1}
MOST_TRIALS = 8
WIDTH = 80
_HEADINGS = {"wrong": "WRONG", "better": "COULD BE BETTER", "note": "NOTE"}


@dataclass(frozen=True)
class Explanation:
    """Why a run went as it did.

    Parameters
    ----------
    run
        Its name.
    verdict
        One sentence.
    findings
        The most important first.
    checks
        Those that passed, and those that were skipped.
    measured
        The numbers that all rests on, with `to_json`.
    recipe
        The recipe with the tried change that ended lowest, or the run's own where none helped; None
        of a log or a loop.
    interrupted
        Whether Ctrl-C ended the trials.
    """

    run: str
    verdict: str
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    measured: Any
    recipe: Recipe | None = None
    interrupted: bool = False

    @property
    def best(self) -> Finding | None:
        """The finding whose change, tried, helped and ended at the lowest loss.

        A fact that comes first, or another loss, whose values do not compare, goes before.
        """
        helped = [
            (one.trial, one)
            for one in self.findings
            if one.change and one.trial is not None and one.trial.severity is not None
        ]
        if not helped or helped[0][1].fact or helped[0][0].training is None:
            return helped[0][1] if helped else None
        alike = [pair for pair in helped if pair[0].training is not None]
        return min(alike, key=lambda pair: pair[0].after)[1]

    def to_json(self) -> dict[str, Any]:
        """What explanation.json holds."""
        return plain(
            {
                **FORMAT,
                "run": self.run,
                "verdict": self.verdict,
                "findings": [one.to_json() for one in self.findings],
                "checks": [one.to_json() for one in self.checks],
                "measured": self.measured.to_json(),
            }
        )

    def __str__(self) -> str:
        lines = [*wrapped(self.verdict), ""]
        for number, found in enumerate(self.findings, 1):
            lines += wrapped(f"{number}. {_HEADINGS[found.severity]}: {found.title}")
            entries = {"seen": found.seen, "why": found.why, "do": found.do}
            if found.trial is not None:
                entries["tried"] = found.trial.sentence.removeprefix("tried ")
            for name, text in entries.items():
                lines += wrapped(f"{name:<6} {text}", 3, 10)
            lines.append("")
        for passed, title in ((True, "Passed"), (False, "Skipped")):
            chosen = [one for one in self.checks if one.passed is passed]
            if chosen:
                lines.append(f"{title}:")
                for one in chosen:
                    lines += wrapped(f"{one.name}: {one.sentence}", 2, 4)
        return "\n".join(lines).rstrip()


def wrapped(text: str, first: int = 0, rest: int = 0) -> list[str]:
    """Lines of at most 80 characters, with so many spaces before the first and the others."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def explain_run(
    path: str | Path, *, try_fixes: bool = True, callback: TrainingCallback | None = None
) -> Explanation:
    """Explain a run, and write explanation.json into its folder.

    Of one that still goes on: what its losses so far tell, and nothing is written.

    Parameters
    ----------
    path
        The run's folder.
    try_fixes
        Try the change of each finding, by training again for 6,000 steps or a minute at most.
    callback
        Told of the progress; Ctrl-C ends the trials, and what was found so far is reported.

    Raises
    ------
    RunFolderError, InputError, EventsError
        See `read_record`.
    """
    callback = callback or TrainingCallback()
    callback.stage("Reading the run")
    folder = RunFolder(path)
    if in_use(folder.path) and folder.metrics is None and folder.progress is not None:
        from steepest.explain.logs.explained import explain_running

        return explain_running(folder)
    record = read_record(path, callback)
    explanation = explain(record, try_fixes=try_fixes, callback=callback)
    callback.stage("Drawing")
    with folder.locked():
        folder.write_json("explanation.json", explanation.to_json())
        _draw(folder, explanation)
    return explanation


def _draw(folder: RunFolder, explanation: Explanation) -> None:
    """Write ``figures/explain-NAME`` with their numbers, in the formats that the recipe names."""
    formats = tuple(dict.fromkeys(("png", *folder.recipe.evaluate.formats)))
    for name, draw, numbers in pictures_of(explanation.measured):
        contents = {"json": json_text(plain(numbers)).encode(), **rendered_in(draw(), formats)}
        files = {
            f"figures/explain-{name}.{kind}": lambda path, content=content: path.write_bytes(
                content
            )
            for kind, content in contents.items()
        }
        folder.write_all(files, f"the figure explain-{name}")


def explain(
    record: Record, *, try_fixes: bool = True, callback: TrainingCallback | None = None
) -> Explanation:
    """Measure, diagnose, try, and rank."""
    callback = callback or TrainingCallback()
    measured = measure(record, callback)
    found: list[Finding] = []
    checks = list(measured.skipped)
    for check in checks_for(record):
        for outcome in check(record, measured):
            if isinstance(outcome, Finding):
                found.append(outcome)
            else:
                checks.append(outcome)
    if try_fixes:
        found, tried = _tried(record, found, callback)
        checks += tried
    else:
        checks += [
            Check(one.cause, False, f"{one.title} Its fix was not tried.")
            for one in found
            if one.suspected
        ]
        found = [one for one in found if not one.suspected]
    found = ranked(found)
    explanation = Explanation(
        run=record.name,
        verdict=_verdict(record, measured, found),
        findings=tuple(found),
        checks=tuple(checks),
        measured=measured,
        recipe=record.recipe,
        interrupted=callback.interrupted,
    )
    best = explanation.best
    if best is None:
        return explanation
    return replace(explanation, recipe=record.recipe.with_settings(settings_of(best.change)))


def ranked(found: Iterable[Finding]) -> list[Finding]:
    """The most important first; dead units after the rate that killed them, if that is as wrong."""
    found = sorted(found, key=lambda one: one.rank)
    rate = next((one for one in found if one.cause == "learning-rate-too-large"), None)
    dead = next((one for one in found if one.cause == "dead-units"), None)
    if rate is not None and dead is not None and rate.severity == dead.severity:
        found.remove(dead)
        found.insert(found.index(rate) + 1, dead)
    return found


def _tried(
    record: Record, found: Iterable[Finding], callback: TrainingCallback
) -> tuple[list[Finding], list[Check]]:
    """The findings with their trials; suspicions whose change did not help become checks."""
    trials, kept, checks = Trials(record, callback), list[Finding](), list[Check]()
    done: dict[str, Finding] = {}
    with interruptible(callback):
        for one in sorted(found, key=lambda one: one.rank):
            key = repr(sorted(one.change.items()))
            if not one.change:
                kept.append(one)
                continue
            trial, why = None, "not tried: others came first"
            if callback.interrupted:
                why = "not tried: interrupted"
            elif key in done:
                trial = done[key].trial
            elif len(done) < MOST_TRIALS:
                callback.stage(f"Trying: {one.cause}")
                try:
                    trial = trials(one.change)
                    why = "not tried: the recipe refuses this change"
                except Interrupted:
                    why = "not tried to the end: interrupted"
            if trial is None:
                if one.suspected:
                    checks.append(Check(one.cause, False, f"{one.title} {why.capitalize()}."))
                else:
                    kept.append(one)
                continue
            judged = one.with_trial(trial)
            done[key] = judged
            if one.suspected and trial.severity is None:
                checks.append(Check(one.cause, True, f"{one.seen}; {trial.sentence}"))
            else:
                kept.append(_with_direction(record, judged))
    return kept, checks


def _with_direction(record: Record, one: Finding) -> Finding:
    """A learning rate that is not the best is too large or too small: the trial's η tells."""
    if one.cause != "learning-rate" or one.trial is None or not math.isfinite(one.trial.rate):
        return one
    rate, own = one.trial.rate, record.rate
    word = "large" if rate < own else "small"
    factor = own / rate if rate < own else rate / own
    return replace(
        one,
        cause=f"learning-rate-too-{word}",
        title=f"η = {own:.3g} is too {word}, by a factor of some {factor:.2g}.",
        do=f'descent.learning_rate = {below(rate)}, as "auto" chooses',
    )


def _verdict(record: Record, measured: Measured, found: list[Finding]) -> str:
    curves = measured.curves
    wrong = [one for one in found if one.severity == "wrong"]
    ended = {
        "diverged": "The run diverged",
        "unfinished": f"The run is unfinished, at step {record.taken:,}",
    }.get(record.status, f"The run ended at J = {curves.end:.4g}")
    if wrong:
        return f"{ended}. {wrong[0].title}"
    healthy = f"{ended}, from {curves.first:.4g}; a constant has {curves.constant:.4g}"
    better = [one for one in found if one.severity == "better"]
    if better:
        return f"{healthy}. Nothing is wrong; it could be better: {better[0].title}"
    return f"{healthy}. Nothing wrong was found."


def refuse_existing(path: Path | None) -> None:
    """Raise InputError for a file that is there already, or whose folder is not."""
    if path is not None and (path.exists() or not path.absolute().parent.is_dir()):
        raise InputError(
            f"{path} {'is there already' if path.exists() else 'is in no folder that exists'}.",
            expected="a new file",
            do="choose another with --write",
        )


def write_mended(explanation: Explanation, path: Path) -> str:
    """Write the recipe with the change that ended lowest, to a new file.

    Returns why nothing is written where no change was tried, or none helped; else nothing.
    """
    refuse_existing(path)
    recipe = explanation.recipe
    if recipe is None:
        raise InputError(
            f"{explanation.run} has no recipe to mend.",
            expected="the folder of a run of steepest",
            do="leave --write out",
        )
    if explanation.interrupted:
        return "The trials were interrupted, nothing is written."
    if explanation.best is None:
        sentences = [one.sentence for one in explanation.checks]
        tried = any(one.trial is not None for one in explanation.findings) or any(
            "tried for" in sentence for sentence in sentences
        )
        what = "No change that was tried helped" if tried else "No change was tried"
        return f"{what}, nothing is written."
    with explained(f"Writing {path.name}", path.parent, "explanation.json is written"):
        write_atomically(path, lambda file: file.write_text(recipe.to_toml()))
    return ""
