"""The card of a model, README.md: what it is, how good, trained on what, and what it does not do.

Every number is taken from the run's folder. A figure of merit that the folder does not hold cannot
be asked for. The metadata at the top is what the Hub filters by and draws, see docs/hub.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steepest._version import __version__
from steepest.errors import InputError, nearest
from steepest.evaluate import Merit
from steepest.folder import RunFolder
from steepest.folder.hub import PREFIX, load
from steepest.folder.provenance import provenance_of
from steepest.groups import FEATURES
from steepest.report.tables import rough_intervals
from steepest.share.markdown import code, table
from steepest.trained import TrainedModel

PAPERS = {
    "deep-sets": ("1703.06114", "1810.05165"),
    "particle-net": ("1902.08570",),
    "particle-net-lite": ("1902.08570",),
    "particle-transformer": ("2202.03772",),
    "lorentz-net": ("2201.08187",),
}
"""Where a kind of model was published."""
PIPELINES = {"regression": "tabular-regression"}
CITATION = """@software{{steepest,
  title = {{steepest: gradient descent for particle physicists}},
  author = {{{{The steepest developers}}}},
  version = {{{version}}},
  license = {{BSD-3-Clause}}
}}"""
_PART = {"test": "test", "validation": "validation", "train": "training"}


def card_of_run(
    run: RunFolder,
    repo: str,
    *,
    license: str | None = None,
    merits: Sequence[str] | None = None,
    pictures: Sequence[str] = (),
) -> str:
    """Return the text of README.md for a complete run.

    Parameters
    ----------
    run
        Its folder.
    repo
        ``ORG/NAME``, as the card says how to load it.
    license
        As the Hub writes it, such as ``bsd-3-clause`` or ``cc-by-4.0``; None says nothing of it.
    merits
        The names of the figures of merit that it tells; None is all of them.
    pictures
        Paths of pictures in the repository.

    Raises
    ------
    RunFolderError
        The run is not complete.
    InputError
        A figure of merit is named that the run does not hold.
    """
    told = provenance_of(run)
    metrics, recipe = told["metrics"], told["recipe"]
    model, claimed = run.model, claims(metrics, merits, run.path)
    data = _metadata(repo, model, metrics, recipe, claimed, license)
    sections = [
        f"# {repo.rpartition('/')[2]}\n\n{_what(metrics, model)}",
        f"## How to use it\n\n{_use(repo, model)}",
        f"## What it reads\n\n{_reads(model)}",
        f"## How good it is\n\n{_merits(metrics, claimed)}{_pictures(pictures)}",
        f"## How it was trained\n\n{_training(metrics, recipe)}",
        *_explained(run.explanation),
        f"## Known limits\n\n{_limits(metrics, recipe, model)}",
        f"## How to cite it\n\n{_cite(model, repo)}",
    ]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n"


def card_of_model(model: TrainedModel, repo: str) -> str:
    """Return the text of README.md for a model of which no run is known: it claims no figure."""
    hub = load("Writing the card")
    data = hub.ModelCardData(
        library_name="steepest",
        tags=_tags(model),
        pipeline_tag=PIPELINES.get(model.task, "tabular-classification"),
    )
    sections = [
        f"# {repo.rpartition('/')[2]}\n\n{_with_article(model.model.title(model.task))}, "
        "trained with steepest. "
        "Its figures of merit are not known here.",
        f"## How to use it\n\n{_use(repo, model)}",
        f"## What it reads\n\n{_reads(model)}",
        f"## How to cite it\n\n{_cite(model, repo)}",
    ]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n"


def eval_results(run: RunFolder, merits: Sequence[str] | None = None) -> dict[str, str]:
    """Return the files of ``.eval_results``, by path: figures on datasets of the Hub.

    Empty where the events are not of the Hub, or huggingface_hub does not know the format yet.
    """
    hub = load("Writing the card")
    metrics = provenance_of(run)["metrics"]
    datasets = _datasets(metrics)
    if len(datasets) != 1 or not hasattr(hub, "EvalResultEntry"):
        return {}
    ((dataset, revision),) = datasets.items()
    entries = [
        hub.EvalResultEntry(
            dataset_id=dataset,
            task_id=name,
            value=merit.rounded().value,
            dataset_revision=revision,
            notes=f"{merit.format()}, {merit.rests_on}; {_part(metrics)}",
        )
        for name, merit in claims(metrics, merits, run.path).items()
        if not merit.is_limit
    ]
    yaml = load("Writing the card", "huggingface_hub.utils").yaml_dump
    name = dataset.replace("/", "--")
    return {f".eval_results/{name}.yaml": yaml(hub.eval_result_entries_to_yaml(entries))}


def claims(metrics: dict[str, Any], names: Sequence[str] | None, path: Path) -> dict[str, Merit]:
    """Return the figures of merit that are told, by name.

    Raises
    ------
    InputError
        One that was asked for is not in metrics.json, or has no value there.
    """
    held = metrics["merits"]["model"]
    found = {}
    for name in held if names is None else names:
        if name not in held or held[name]["value"] is None:
            if names is None:  # one that has no value is not told
                continue
            close = nearest(name, held)
            raise InputError(
                f"The run {path} does not hold the figure of merit {name!r}.",
                expected=f"one of {', '.join(n for n in held if held[n]['value'] is not None)}",
                found=held[name].get("reason", "no value") if name in held else repr(name),
                do=f"write {close}"
                if close and name not in held
                else "evaluate the run with it first: a card tells what was measured",
            )
        found[name] = Merit.from_json(held[name])
    return found


def _metadata(
    repo: str,
    model: TrainedModel,
    metrics: dict[str, Any],
    recipe: dict[str, Any],
    claimed: Mapping[str, Merit],
    license: str | None,
) -> Any:
    hub = load("Writing the card")
    initial = recipe["model"].get("initial") or ""
    pipeline = PIPELINES.get(model.task, "tabular-classification")
    datasets = _datasets(metrics)
    files = [file["name"] for file in metrics["source"]["files"]] if metrics.get("source") else []
    told = {name: merit.rounded() for name, merit in claimed.items() if not merit.is_limit}
    results = [
        hub.EvalResult(
            task_type=pipeline,
            dataset_type=next(iter(datasets), "events"),
            dataset_name=", ".join(files[:3]) or "events",
            dataset_split=metrics["part"],
            dataset_revision=next(iter(datasets.values()), None),
            metric_type=name,
            metric_name=merit.title,
            metric_value=merit.value,
            metric_args=_finite(
                low=merit.low,
                high=merit.high,
                uncertainty=merit.uncertainty,
                level=round(merit.level, 4),
            ),
        )
        for name, merit in told.items()
    ]
    return hub.ModelCardData(
        license=license,
        library_name="steepest",
        tags=_tags(model),
        datasets=list(datasets) or None,
        base_model=initial.removeprefix(PREFIX).partition("@")[0]
        if initial.startswith(PREFIX)
        else None,
        pipeline_tag=pipeline,
        model_name=repo.rpartition("/")[2],
        eval_results=results,
    )


def _tags(model: TrainedModel) -> list[str]:
    papers = [f"arxiv:{number}" for number in PAPERS.get(model.model.kind, ())]
    return ["particle-physics", "high-energy-physics", model.model.kind, *papers]


def _datasets(metrics: dict[str, Any]) -> dict[str, str | None]:
    """The datasets of the Hub that it was trained on, with their commits."""
    source = metrics.get("source") or {}
    return {f["dataset"]: f.get("revision") for f in source.get("files", ()) if f.get("dataset")}


def _finite(**values: float) -> dict[str, float]:
    return {name: value for name, value in values.items() if value == value and abs(value) < 1e308}


def _what(metrics: dict[str, Any], model: TrainedModel) -> str:
    task = {
        "regression": f"It predicts {code(model.label)}"
        + (f" in {model.unit}." if model.unit else "."),
        "binary": f"It tells {code(model.label)} = 1 from 0: its score is P({model.label} = 1).",
        "multiclass": "It gives each event a probability for each of the classes "
        + ", ".join(map(code, model.classes))
        + ".",
    }[model.task]
    heads = ", ".join(f"{code(f'prediction_{h.name}')} of {code(h.value)}" for h in model.heads)
    beside = f" It predicts beside it {heads}." if heads else ""
    return (
        f"{_with_article(metrics['model']['name'])} ({metrics['model']['parameters']:,} "
        f"parameters), trained by gradient descent with steepest. {task}{beside}"
    )


def _with_article(title: str) -> str:
    """A dense network, but ParticleNet."""
    return title if title[:1].isupper() else f"A {title}"


def _use(repo: str, model: TrainedModel) -> str:
    torch = model.model.kind != "dense"
    extras = "hub,torch" if torch else "hub"
    lines = [f"pip install 'steepest[{extras}]'"]
    command = f"steepest predict hf://{repo} events.parquet --out scores.parquet"
    python = ["import steepest", ""]
    if isinstance(model.features, Mapping):
        python.append(f'steepest.predict("hf://{repo}", "events.parquet", "scores.parquet")')
    else:
        more = ", …" if len(model.names) > 6 else ""
        python += [
            f'model = steepest.load("hf://{repo}")',
            f"scores = model.predict(X)  # {', '.join(model.names[:6])}{more}",
        ]
    return (
        f"```\n{lines[0]}\n{command}\n```\n\n"
        "This scores all events of a file, in any format that steepest reads. In Python:\n\n"
        "```python\n" + "\n".join(python) + "\n```"
    )


def _reads(model: TrainedModel) -> str:
    if isinstance(model.features, Mapping):
        rows = [[code(g), ", ".join(map(code, names))] for g, names in model.groups.items()]
        text = table(["group", "features"], rows)
        own = model.features.get(FEATURES, ())
        if any(not isinstance(feature, str) for feature in own):
            text += f"\n\n{_features(model, own)}"
    else:
        text = _features(model, model.features)
    if model.particles:
        text += f"\n\n{_particles(model, model.particles)}"
    fills = [
        f"{code(column.name)} is {code(column.fill)} where it is missing"
        for column in (model.encoding.columns if model.encoding is not None else ())
        if column.fill is not None
    ]
    if fills:
        text += f"\n\n{', '.join(fills)}."
    return text + f"\n\nWhat enters the model is scaled ({model.scaling.name}), inside the model."


def _features(model: TrainedModel, features: Sequence[Any]) -> str:
    """A row of each feature; how it is computed, if it is no column."""
    rows = []
    for feature in features:
        name, value = (feature, None) if isinstance(feature, str) else (
            feature["name"], feature["value"])  # fmt: skip
        unit = model.units.get(name, {}).get("unit", "")
        rows.append([code(name), code(value) if value not in (None, name) else "", unit])
    head = ["feature", "computed as", "unit"]
    told = [i for i in range(3) if i == 0 or any(row[i] for row in rows)]
    return table([head[i] for i in told], [[row[i] for i in told] for row in rows])


def _particles(model: TrainedModel, particles: Mapping[str, Any]) -> str:
    """Where the momenta are read from, and the further features of particles."""
    momenta = {k: v for k, v in particles.items() if k not in ("features", "most")} or model.momenta
    named = ", ".join(f"{code(v)} ({k})" if k != v else code(v) for k, v in momenta.items())
    usual = "lists of the usual names, such as `part_px`, `part_py`, `part_pz`, `part_energy`"
    text = f"The momenta of the particles, in GeV, are read from {named or usual}."
    if not particles.get("features"):
        return text
    return f"{text} Further features of a particle:\n\n{_features(model, particles['features'])}"


def _merits(metrics: dict[str, Any], claimed: Mapping[str, Merit]) -> str:
    baseline = metrics["merits"].get("baseline") or {}
    head = ["", "this model", *(["linear baseline"] if baseline else []), "rests on"]
    rows = [
        [
            merit.title,
            merit.format(),
            *([Merit.from_json(baseline[name]).format() if name in baseline else ""]
              if baseline else []),
            merit.rests_on,
        ]
        for name, merit in claimed.items()
    ]  # fmt: skip
    said = f"On the {_part(metrics)}. Intervals are of 68.3 %.\n\n{table(head, rows)}"
    meanings = "\n".join(f"- {merit.title}: {merit.definition}." for merit in claimed.values())
    return f"{said}\n\n<details><summary>Definitions</summary>\n\n{meanings}\n\n</details>"


def _part(metrics: dict[str, Any]) -> str:
    part, events = metrics["part"], metrics["parts"][metrics["part"]]["events"]
    return f"{_PART.get(part, part)} part, {events:,} events"


def _pictures(pictures: Sequence[str]) -> str:
    titles = {"roc": "ROC curve", "landscape": "Loss surface around the trained model"}
    return "".join(
        f"\n\n![{titles.get(Path(name).stem.partition('-')[0], Path(name).stem)}]({name})"
        for name in pictures
    )


def _training(metrics: dict[str, Any], recipe: dict[str, Any]) -> str:
    descent, parts, source = metrics["descent"], metrics["parts"], metrics["source"]
    files = source["files"]
    names = ", ".join(f"{code(f.get('dataset') or f['name'])}" for f in files[:5])
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    counts = ", ".join(f"{part['events']:,} to {name}" for name, part in parts.items())
    rows = [
        ["events", f"{names}{more}: {source['rows']:,} rows; {counts}"],
        ["selection", code(recipe["events"].get("select") or "none")],
        ["weights", code(recipe["events"].get("weight") or "none")],
        ["loss", descent["loss"]],
        ["optimiser", f"{descent['optimizer']}, {descent['schedule']} schedule"],
        ["batch", f"{descent['batch_size']:,} events"],
        ["η₀", f"{descent['learning_rate']:.4g}"] if descent.get("learning_rate") else ["η₀", ""],
        ["steps", f"{descent['steps']:,} ({descent['epochs']:g} epochs), "
                  f"kept those of step {descent['kept_step']:,}"],
        ["ended", descent["stop"]["sentence"]],
        ["steepest", metrics["steepest"]],
    ]  # fmt: skip
    text = table(["what", "how"], [row for row in rows if row[1]])
    return text + "\n\nThe whole recipe, and checksums of the events, are in `training.json`."


def _explained(explanation: dict[str, Any] | None) -> list[str]:
    if explanation is None:
        return []
    findings = [
        f"- {finding['sentence']}"
        for finding in explanation["findings"]
        if isinstance(finding, dict) and finding.get("sentence")
    ]
    text = "\n".join([explanation["verdict"], "", *findings]).strip()
    return [f"## What the descent did\n\n{text}"]


def _limits(metrics: dict[str, Any], recipe: dict[str, Any], model: TrainedModel) -> str:
    select = recipe["events"].get("select")
    limits = [
        f"It was trained on events with {code(select)}; of others nothing is known."
        if select
        else "It was trained on the events above; of events of another origin nothing is known.",
        "Figures of merit hold for events like those of the test: other backgrounds, another "
        "detector or another simulation change them.",
    ]
    if model.encoding is not None:
        absent = [c.name for c in model.encoding.columns if c.fill is None]
        if absent:
            limits.append(f"Values must not be missing in {', '.join(map(code, absent))}.")
    if model.particles:
        most = model.particles.get("most", 128)
        limits.append(f"Of an event with more than {most} particles, those of largest pT are read.")
    if metrics["part"] != "test":
        limits.append(f"There was no test part: the figures are of the {metrics['part']} part.")
    if sentence := rough_intervals(metrics):
        limits.append(sentence)
    limits += metrics.get("warnings") or []
    return "\n".join(f"- {limit}" for limit in limits)


def _cite(model: TrainedModel, repo: str) -> str:
    papers = [f"[arXiv:{n}](https://arxiv.org/abs/{n})" for n in PAPERS.get(model.model.kind, ())]
    network = f"The network: {', '.join(papers)}. " if papers else ""
    cited = f"```bibtex\n{CITATION.format(version=__version__)}\n```"
    return f"{network}The model: `{repo}`, with the commit that you used. The package:\n\n{cited}"
