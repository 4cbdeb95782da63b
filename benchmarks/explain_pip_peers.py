"""Readers of logs that pip installs, asked about the histories of `benchmarks.explain`.

Run by the Python of an environment of their own, since some bring other versions of what steepest
needs: ``python -m venv peers; peers/bin/pip install gradsnitch trainspotter losslint runmedic
trainproof; peers/bin/python benchmarks/explain_pip_peers.py ROWS``. Each row of the file gets
"peers": whether the tool raised a warning or worse about the run's log (step, loss, validation
loss, η, gradient norm).
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import importlib.metadata
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLUMNS = {
    "step": "step",
    "loss": "loss",
    "validation_loss": "val_loss",
    "learning_rate": "lr",
    "gradient_norm": "grad_norm",
}


def written(history: dict[str, list[Any]], path: Path) -> None:
    """Write a history as those tools read it."""
    names = [name for name in COLUMNS if name in history]
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow([COLUMNS[name] for name in names])
        for row in zip(*(history[name] for name in names), strict=True):
            table.writerow(["" if value is None else value for value in row])


def _command(package: str, *arguments: str) -> Callable[[Path], bool]:
    """Whether the package's command ends with 1 for a warning or worse."""
    (entry,) = [
        one
        for one in importlib.metadata.distribution(package).entry_points
        if one.group == "console_scripts" and one.name == package
    ]
    main = entry.load()

    def asked(path: Path) -> bool:
        before, sys.argv = sys.argv, [package, *arguments, str(path)]
        quiet = contextlib.redirect_stdout(io.StringIO())
        try:
            with quiet, contextlib.redirect_stderr(io.StringIO()):
                code = main()
        except SystemExit as end:
            code = end.code
        finally:
            sys.argv = before
        return bool(code)

    return asked


def _gradsnitch(path: Path) -> bool:
    found = importlib.import_module("gradsnitch").lint_csv(str(path))
    return any(one.severity.upper() != "INFO" for one in found)


TOOLS: dict[str, Callable[[], Callable[[Path], bool]]] = {
    "gradsnitch": lambda: _gradsnitch,
    "trainspotter": lambda: _command("trainspotter", "analyze", "--fail-on", "warning"),
    "losslint": lambda: _command("losslint", "check", "--fail-severity", "warning"),
    "runmedic": lambda: _command("runmedic", "diagnose", "--fail-on", "warning"),
    "trainproof": lambda: _command("trainproof", "doctor"),
}


def main() -> None:
    """Ask each tool that is installed about each row, and write the rows again."""
    file = Path(sys.argv[1])
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for name, tool in TOOLS.items():
        try:
            ask = tool()
        except (ImportError, importlib.metadata.PackageNotFoundError) as error:
            print(name, "is not there:", error)
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log.csv"
            for row in rows:
                if not row["history"].get("step"):
                    continue
                written(row["history"], path)
                try:
                    said = ask(path)
                except Exception as error:
                    print(name, row["key"], type(error).__name__, error)
                    continue
                row.setdefault("peers", {})[name] = said
        print(name, sum(row.get("peers", {}).get(name, False) for row in rows), "of", len(rows))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main()
