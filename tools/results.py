"""Train the models of docs/results.md on simulated jets, and write its table and its ROC curves.

``make results`` takes a night of two cores and goes on where it was stopped: files of jets and
finished runs stay in ``results/``, unfinished runs are resumed. A model that is not trained yet has
an empty row. All are trained on the same jets for the same number of epochs.

weaver-core's ParticleNet-Lite is trained too, as a `torch.nn.Module` in the same loop, where
weaver-core is installed (the dependency group ``oracles``).
"""

from __future__ import annotations

import argparse
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor, nn

import steepest
from steepest.evaluate import Merit, figures
from steepest.folder import RunFolder
from steepest.groups import PARTICLES, POINTS
from steepest.models.cloud import Cloud
from steepest.recipe import default_recipe
from steepest.recipe.toml import read_toml

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs" / "results.md", ROOT / "docs" / "images" / "results-roc.png"
BEGIN, END = "<!-- table: make results -->", "<!-- end of table -->"
ADAMW = {"name": "adamw", "weight_decay": 0.0001}
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "logistic regression": ({"name": "dense", "hidden": []}, {"method": "newton"}),
    "dense network": ({"name": "dense", "hidden": [64, 64]}, {"optimizer": "adam"}),
    "Deep Sets": ({"name": "deep-sets"}, {"learning_rate": 0.002}),
    "ParticleNet-Lite": ({"name": "particle-net-lite"}, {"learning_rate": 0.005}),
    "ParticleNet-Lite of weaver-core": (
        {"name": "module", "module": "tools.results:WeaverLite"},
        {"learning_rate": 0.005},
    ),
    "LorentzNet": ({"name": "lorentz-net"}, {"learning_rate": 0.001}),
    "ParticleNet": ({"name": "particle-net"}, {"learning_rate": 0.003}),
    "Particle Transformer": ({"name": "particle-transformer"}, {"learning_rate": 0.001}),
}
"""By its row: ``[model]``, and what of ``[descent]`` is its own; cheap ones first."""
PART = 10_000
"""Jets of a file."""
MERITS = ("auc", "accuracy", "background_rejection_at_0.5", "background_rejection_at_0.3")


class WeaverLite(nn.Module):
    """weaver-core's ParticleNet-Lite on a `Cloud`; the logit is the difference of its two."""

    def __init__(self, inputs: dict[str, tuple[str, ...]], outputs: int) -> None:
        super().__init__()
        from weaver.nn.model.ParticleNet import ParticleNet  # type: ignore[import-not-found]

        assert outputs == 1
        self.net = ParticleNet(len(inputs[PARTICLES]), 2, use_fusion=False, trim=False)

    def forward(self, cloud: Cloud) -> Tensor:
        """Logits ``(jets, 1)``; a jet is padded to 8 at least, since each has 7 neighbours."""
        pad = [0, max(8 - cloud.longest, 0)]
        points, features = (
            nn.functional.pad(cloud.padded(cloud[group]).mT, pad) for group in (POINTS, PARTICLES)
        )
        both = self.net(points, features, nn.functional.pad(cloud.mask[:, None], pad))
        return both[:, 1:] - both[:, :1]


def simulated(folder: Path, jets: int) -> str:
    """The files of jets, a part each, made where they are not there yet."""
    from steepest.simulate import simulate_jets

    for part in range(-(-jets // PART)):
        path = folder / f"jets-{part:02}.parquet"
        if not path.exists():
            count = min(PART, jets - part * PART)
            simulate_jets(path, count, seed=11 + part, leading=128, progress=True)
    return str(folder.resolve() / "jets-*.parquet")


def recipe_of(events: str, model: dict[str, Any], descent: dict[str, Any], epochs: int) -> Any:
    """The recipe of a row."""
    of_jets = read_toml(default_recipe())["events"]
    table: dict[str, Any] = {
        "events": {"path": events, "label": "is_top", "split": of_jets["split"]},
        "model": model,
        "descent": {"epochs": epochs, "batch_size": 256, "optimizer": ADAMW, **descent},
        "evaluate": {"baseline": False},
    }
    if descent.get("method") == "newton":
        table["descent"] = {"method": "newton"}
    table["events"]["select"] = of_jets["select"]
    if model["name"] == "dense":
        table["events"]["features"] = of_jets["features"]
    if model["name"] == "module":
        table["events"]["particles"] = {}
    return steepest.Recipe.from_dict(table)


def train(name: str, events: str, folder: Path, epochs: int) -> None:
    """Train a row's model into its folder, or go on with it."""
    path = folder / re.sub(r"\W+", "-", name.lower())
    if (path / "recipe.toml").exists():
        if RunFolder(path).metrics is None:
            steepest.resume(path)
        return
    steepest.train(recipe_of(events, *MODELS[name], epochs), path)


def row(name: str, folder: Path) -> str:
    """The row of a model; empty cells where it is not trained."""
    path = folder / re.sub(r"\W+", "-", name.lower())
    metrics = RunFolder(path).metrics if (path / "recipe.toml").exists() else None
    if metrics is None:
        return f"| {name} |{' |' * (len(MERITS) + 3)}"
    merits = metrics["merits"]["model"]
    cells = [
        name,
        f"{metrics['model']['parameters']:,}",
        *(Merit.from_json(merits[merit]).format() for merit in MERITS),
        f"{metrics['descent']['epochs']:g}",
        duration(metrics["seconds"]["descent"]),
    ]
    return f"| {' | '.join(cells)} |"


def duration(seconds: float) -> str:
    """As it is told: ``0.45 s``, ``19 min``."""
    return f"{seconds:.2g} s" if seconds < 60 else f"{seconds / 60:.2g} min"


def write(folder: Path, page: Path, picture: Path) -> None:
    """Write the table between its marks, and the ROC curves of what is trained."""
    rows = [row(name, folder) for name in MODELS]
    columns = "AUC | accuracy | 1/ε_B at ε_S = 0.5 | 1/ε_B at ε_S = 0.3 | epochs | descent"
    head = f"| model | parameters | {columns} |"
    table = "\n".join([BEGIN, head, "|---" * 8 + "|", *rows, END])
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    text = page.read_text(encoding="utf-8")
    page.write_text(pattern.sub(lambda _: table, text), encoding="utf-8")
    curves = []
    for name in MODELS:
        path = folder / re.sub(r"\W+", "-", name.lower())
        if (path / "figures" / "roc.json").exists():
            (first, *_) = RunFolder(path).figure("roc")
            curves.append({**first, "name": name})
    if curves:
        picture.parent.mkdir(parents=True, exist_ok=True)
        figures.save(figures.drawn_again("roc_figure", curves)(), picture)


def main() -> None:
    """Simulate, train what is asked for, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jets", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--out", type=Path, default=ROOT / "results")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    console = Console(stderr=True)
    options.out.mkdir(parents=True, exist_ok=True)
    events = simulated(options.out, options.jets)
    for name in options.models:
        if name.endswith("weaver-core") and find_spec("weaver") is None:
            console.print(f"{name} is left out: weaver-core is not installed.")
            continue
        console.print(f"training: {name}")
        train(name, events, options.out, options.epochs)
        write(options.out, options.page, options.picture)
    write(options.out, options.page, options.picture)


if __name__ == "__main__":
    main()
