"""Train five models on the embedded jets and write the README's table of what they reach.

Run by `make readme`. What the table says is what metrics.json says; nothing is typed by hand.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from rich.console import Console

import steepest
from steepest.evaluate import Merit
from steepest.recipe import Recipe, default_recipe

ROOT = Path(__file__).parents[1]
README, EXAMPLES = ROOT / "README.md", ROOT / "examples" / "jets"
BEGIN, END = "<!-- table: make readme -->", "<!-- end of table -->"
LINEAR = [
    "model.hidden=[]",
    "descent.optimizer=nesterov",
    "descent.batch_size=all",
    "descent.schedule=constant",
    "descent.scaling=whiten",
    "descent.l2=0",
    "descent.epochs=1000",
    "descent.stop.loss_tolerance=1e-9",
]
TWO = "events.features=['mass', {name = 'tau32', value = 'tau3 / tau2'}]"
MODELS = {
    "logistic regression on mass and τ₃₂": (default_recipe(), [*LINEAR, TWO]),
    "logistic regression on the default recipe's features": (default_recipe(), LINEAR),
    "dense network on the default recipe's features": (default_recipe(), []),
    "Deep Sets on the particles": (EXAMPLES / "deep-sets.toml", []),
    "ParticleNet-Lite on the particles": (EXAMPLES / "particle-net-lite.toml", []),
}
"""The recipe and the settings of each row."""
MERITS = ("auc", "accuracy", "background_rejection_at_0.5", "background_rejection_at_0.3")


def row(name: str, path: Path, settings: list[str]) -> tuple[str, int]:
    """Train one model; return its row and the number of test events."""
    settings = [*settings, "evaluate.baseline=false"]
    recipe = Recipe.from_toml(path, settings=settings, anchor=False)
    with tempfile.TemporaryDirectory() as folder:
        metrics = steepest.train(recipe, Path(folder) / "run").metrics
    assert metrics is not None
    merits = metrics["merits"]["model"]
    features = [f for f in metrics["features"] if not f.startswith("points.")]
    cells = [
        f"{name} ({len(features)})",
        f"{metrics['model']['parameters']:,}",
        *(Merit.from_json(merits[merit]).format() for merit in MERITS),
    ]
    return f"| {' | '.join(cells)} |", metrics["parts"]["test"]["events"]


def main() -> None:
    """Write the table between its marks in README.md."""
    console = Console(stderr=True)
    rows, events = [], 0
    for name, (path, settings) in MODELS.items():
        console.print(f"training: {name}")
        text, events = row(name, path, settings)
        rows.append(text)
    table = "\n".join(
        [
            BEGIN,
            f"Top jets against QCD jets, the {events:,} test events of `embedded:top-jets`, one "
            "seed; uncertainties are 68.27 % intervals from the finite number of test events.",
            "",
            "| model | parameters | AUC | accuracy | 1/ε_B at ε_S = 0.5 | 1/ε_B at ε_S = 0.3 |",
            "|---|---|---|---|---|---|",
            *rows,
            END,
        ]
    )
    text = README.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    README.write_text(pattern.sub(lambda _: table, text), encoding="utf-8")


if __name__ == "__main__":
    main()
