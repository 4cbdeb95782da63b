"""From a recipe to what a descent takes: events, schema, scaling, objective, scaled batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from steepest.compiled.threads import WorkerPool
from steepest.encoding import Encoding, fit_encoding, is_needed
from steepest.errors import EventsError, RecipeError
from steepest.events import EVENT_ROW, TRAIN, MemoryBudget, Sample, load_sample
from steepest.events.particles import group_features
from steepest.events.units import Units
from steepest.groups import FEATURES, UNSCALED, Groups, Inputs, Jagged
from steepest.losses import Loss, heads_of
from steepest.models import InputNames, kind_named
from steepest.objective import Batch, ModelObjective
from steepest.objective.running import Running
from steepest.ranks import current
from steepest.recipe import (
    AnyModelRecipe,
    DescentRecipe,
    OtherModelRecipe,
    ParticlesRecipe,
    Recipe,
    bytes_in,
)
from steepest.scaling import AnyScaling, GroupScaling, Scaling, fit_scaling
from steepest.scaling.blocks import is_finite
from steepest.storage import (
    MOST_SORTED,
    AnyArray,
    blocks,
    map_blocks,
    nearest_folder,
    on_disk,
    slices,
    thinned,
    total,
)
from steepest.trained import Features, feature_names, outputs_for
from steepest.training.callback import TrainingCallback
from steepest.training.data_notes import data_notes
from steepest.training.targets import (
    head_columns,
    loss_for,
    refuse_heads,
    refuse_known,
    targets_of,
)
from steepest.training.weights import AS_GIVEN, BALANCED, with_train_weights

__all__ = [
    "Schema",
    "available_memory",
    "batch_of",
    "carried",
    "encoded",
    "inputs_of",
    "memory_budget",
    "objective_for",
    "prepare",
    "read",
    "scaling_of",
]

Array = np.ndarray
_POOL = WorkerPool()
_NOT_RUN = {
    "device": (
        "the CPU, on which dense models are computed by compiled code",
        'leave it out, or write the network as a torch.nn.Module: model.name = "module"',
    ),
    "precision": ("float32 or float64", 'set descent.dtype = "float32"'),
    "accumulate": (
        "a batch in one piece: dense models compute it in small blocks, in little memory",
        "set descent.batch_size to the events that a step is to take",
    ),
    "compile": ("nothing: dense models are compiled in any case", "leave it out"),
}
"""Why a model that PyTorch does not compute cannot be told so, and what to do."""
COPIES = 4
"""How often training holds the features at once: as read, split, scaled, and for the baseline."""


@dataclass(frozen=True)
class Schema:
    """What the numbers of a sample mean: features, classes, label and task.

    Parameters
    ----------
    features
        As a recipe writes them: names, or tables with name and value; or for inputs in groups
        those of each group.
    task, classes, label
        As in a `Sample`.
    encoding
        What made the inputs of raw features; None where these are the same.
    particles
        Where the momenta of the particles are, as a recipe has it; None for models without.
    momenta
        The columns of usual names that their momenta were read from, where the recipe names none.
    explode
        The lists whose elements are a row each.
    units
        Titles and units of features, label and other columns.
    """

    features: Features | Mapping[str, Features]
    task: str
    classes: tuple[str, ...] = ()
    label: str = "label"
    encoding: Encoding | None = None
    particles: dict[str, Any] | None = None
    momenta: dict[str, str] = field(default_factory=dict)
    explode: str | None = None
    units: Units = field(default_factory=dict)

    @property
    def inputs(self) -> InputNames:
        """The names of the model's inputs, in order; by group where they are in groups."""
        if self.encoding is not None:
            return self.encoding.names
        if isinstance(self.features, Mapping):
            return {group: feature_names(features) for group, features in self.features.items()}
        return feature_names(self.features)

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs' names in one list; those of groups as ``group.feature``."""
        inputs = self.inputs
        if isinstance(inputs, Mapping):
            return tuple(f"{group}.{name}" for group, names in inputs.items() for name in names)
        return inputs


def prepare(
    recipe: Recipe, callback: TrainingCallback, folder: Path
) -> tuple[dict[int, Sample], Schema]:
    """Read, split and encode; the encoding is fitted on the training part alone.

    Returns
    -------
    tuple
        The parts that have events, by number (see `Sample.parts`), and what their numbers mean.
    """
    return inputs_of(read(recipe, callback, folder), recipe)


def inputs_of(sample: Sample, recipe: Recipe) -> tuple[dict[int, Sample], Schema]:
    """Weigh, encode and split a sample: the second half of `prepare`."""
    refuse_known(recipe.model.heads or (), sample.names)
    sample = with_train_weights(sample, recipe.events.train_weights)
    sample = replace(sample, notes=[*sample.notes, *data_notes(sample)])
    if recipe.events.particles is not None:
        groups = kind_named(recipe.model.name).groups
        return _grouped(sample, recipe.events.particles, groups, recipe.events.explode)
    written = [sample.tables.get(name, name) for name in sample.names]
    encoding = None
    if is_needed(written, sample.categories):
        train = sample.of(TRAIN)
        encoding = fit_encoding(written, train.features, train.descent_weights, sample.categories)
    features = _as_written(sample)
    explode = recipe.events.explode
    schema = Schema(
        features, sample.task, sample.classes, sample.label, encoding, explode=explode,
        units=sample.units,
    )  # fmt: skip
    return encoded(sample, encoding).parts(), schema


def _grouped(
    sample: Sample, particles: ParticlesRecipe, read: tuple[str, ...], explode: str | None
) -> tuple[dict[int, Sample], Schema]:
    """Return the parts and the schema of events with particles, with the groups that are `read`."""
    names = {**group_features(particles.feature_names), FEATURES: _as_written(sample)}
    members = sample.features.members
    if sample.categories:
        raise EventsError(
            "Features of events beside particles must be numbers.",
            expected="numbers or conditions",
            found=f"{next(iter(sample.categories))}, which is text",
            do="leave it out of events.features",
        )
    read = (*read, FEATURES) if read else tuple(members)
    kept = {name: member for name, member in members.items() if name in read}
    schema = Schema(
        {name: names[name] for name in kept},
        sample.task,
        sample.classes,
        sample.label,
        particles=particles.model_dump(exclude_none=True),
        momenta=sample.read.get("momenta", {}),
        explode=explode,
        units=sample.units,
    )
    return replace(sample, features=Groups(kept)).parts(), schema


def _as_written(sample: Sample) -> Features:
    """The features of events as the recipe writes them, in order."""
    written = (sample.tables.get(name, name) for name in sample.names)
    return tuple(f if isinstance(f, str) else f.model_dump() for f in written)


def read(recipe: Recipe, callback: TrainingCallback, folder: Path) -> Sample:
    """Read what the recipe names, with the columns that its evaluation needs.

    `folder` is where events lie that do not fit into memory: it, or what is above it.
    """
    callback.stage("Reading events")
    loss = "mean-squared-error" if recipe.descent.method == "exact" else recipe.descent.loss
    return load_sample(
        recipe.events,
        loss=loss,
        extra=carried(recipe),
        progress=callback.read,
        budget=memory_budget(recipe.events.memory, folder),
    )


def carried(recipe: Recipe) -> list[str]:
    """Return the columns that are read besides features, label and weight."""
    choice = recipe.events.train_weights
    weights = [] if choice in (None, BALANCED, AS_GIVEN) else [choice]
    heads = [head.value for head in recipe.model.heads or ()]
    events = [EVENT_ROW] if recipe.events.explode else []
    return list(dict.fromkeys([*recipe.evaluate.columns, *weights, *heads, *events]))


def encoded(sample: Sample, encoding: Encoding | None) -> Sample:
    """Return the sample with the model's inputs in place of raw features."""
    if encoding is None:
        return sample
    first = 0

    def transform(block: np.ndarray) -> np.ndarray:
        nonlocal first
        place, first = first, first + len(block)
        return encoding.transform(
            block, categories=sample.categories, locate=lambda index: sample.locate(place + index)
        )

    return replace(sample, features=map_blocks(transform, sample.features))


def memory_budget(memory: str, folder: Path) -> MemoryBudget:
    """Return what the recipe's ``events.memory`` says: bytes, or half of what is available.

    Of many ranks, bytes are those of one; half is shared by those of this machine.
    """
    share = available_memory() // (2 * current().local_size)
    given = share if memory == "auto" else bytes_in(memory)
    return MemoryBudget(given // COPIES, nearest_folder(folder))


def available_memory() -> int:
    """Return the bytes of memory that this process may still take."""
    available = psutil.virtual_memory().available
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        available = min(available, int(text) - psutil.Process().memory_info().rss)
    return max(available, 0)


def scaling_of(name: str, train: Sample, inputs: InputNames) -> AnyScaling:
    """Fit a scaling on the training events, block by block; of each group for itself.

    An event of weight 2 is that event twice, its particles too. Quantiles (robust, quantile) are
    those of at most a million events or particles, evenly spaced.
    """
    weights = train.descent_weights
    if isinstance(inputs, Mapping):
        return GroupScaling(
            {
                group: _one_scaling(
                    "none" if group in UNSCALED else name, train.features[group], weights, names
                )
                for group, names in inputs.items()
            }
        )
    return _one_scaling(name, train.features, weights, inputs)


def _one_scaling(name: str, values: Any, weights: Any, names: tuple[str, ...]) -> Scaling:
    if name in ("robust", "quantile"):
        rows = len(values.values) if isinstance(values, Jagged) else len(values)
        sorted_ = MOST_SORTED // current().size
        most = max(len(values) * sorted_ // max(rows, sorted_), 1)
        values = thinned(values, most)
        weights = None if weights is None else thinned(weights, most)
    of_events: Iterable[Any] = _Again(lambda: blocks(values, weights))
    if isinstance(values, Jagged):
        of_events = _Again(lambda: _of_particles(blocks(values, weights)))
    return fit_scaling(name, of_events, names, map if on_disk(values) else _shared)


class _Again:
    """What can be read more than once, of what makes an iterator."""

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Any]:
        return self._make()


def _of_particles(of_events: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for jagged, weights in of_events:
        yield jagged.values, None if weights is None else jagged.spread(weights)


def _shared(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """As `map`, by one thread or more."""
    return _POOL.map(work, list(items))


def objective_for(
    schema: Schema,
    model: AnyModelRecipe,
    recipe: DescentRecipe,
    train: Sample | None = None,
    loss: Loss | None = None,
) -> ModelObjective:
    """J of the model that the recipe names, with the loss that it names or the task has.

    With `train`, a model that is not linear learns its labels in units of their spread there. A
    `loss` is taken as it is.
    """
    kind = kind_named(model.name)
    own = model.options if isinstance(model, OtherModelRecipe) else None
    options = model.model_dump(exclude={"name", "heads"}) if own is None else own
    refuse_heads(model)
    outputs = outputs_for(schema.task, schema.classes) + len(model.heads or ())
    shape = kind.build(options, schema.inputs, outputs)
    if loss is None:
        linear = shape.linear_layer(np.zeros(shape.size)) is not None
        loss = loss_for(schema.task, recipe.loss, model.heads or (), train, linear)
    l2 = 0.0 if recipe.l2 in (None, "auto") else recipe.l2  # not decided: only the shape is wanted
    given = shape, loss, l2, recipe.dtype or shape.dtype
    running = Running(recipe.device, recipe.precision, recipe.accumulate, recipe.compile)
    if kind.runs:
        return kind.objective(*given, running=running)  # type: ignore[call-arg]
    _refuse_running(running, model.name)
    return kind.objective(*given)


def _refuse_running(running: Running, model: str) -> None:
    """Raise RecipeError for what only networks of PyTorch can be told."""
    asked = {
        f.name: getattr(running, f.name)
        for f in fields(running)
        if getattr(running, f.name) != f.default
    }
    if asked.get("device") == "cpu":
        del asked["device"]
    for name, value in asked.items():
        why, do = _NOT_RUN[name]
        raise RecipeError(
            f"descent.{name} is for networks of PyTorch, not for the model {model!r}.",
            expected=why,
            found=f"descent.{name} = {value!r}",
            do=do,
        )


def batch_of(sample: Sample, scaling: AnyScaling, objective: ModelObjective, part: str) -> Batch:
    """The events scaled, in the objective's dtype; `part` is named in what is refused."""
    weights = sample.descent_weights
    ranks = current()
    if weights is not None and not (sum_of_weights := ranks.total(total(weights))) > 0:
        raise EventsError(
            f"The weights of the {part} part add up to {sum_of_weights:g}.",
            expected="a positive sum, since J divides by it",
            found=f"{len(sample):,} events",
            cause="all weights are zero, or the negative ones outweigh the positive ones",
            do="check the weight column, or use more events",
        )
    inputs = scaled(sample.features, scaling, objective.dtype)
    loss = objective.loss_function
    targets = targets_of(loss, sample.labels, head_columns(loss, sample))
    largest = max(float(np.abs(block).max()) for (block,) in blocks(targets))
    limit = float(np.finfo(objective.dtype).max)
    if largest > limit**0.5:
        raise EventsError(
            f"The label{' or a head' if heads_of(loss) else ''} is too large for "
            f"{objective.dtype}, in which its square is infinite.",
            expected=f"at most {limit**0.5:.3g}",
            found=f"{largest:.3g} in the {part} part",
            cause="a label in unsuitable units, or a derived label that overflows",
            do='give the label in other units, or set descent.dtype = "float64"',
        )
    return Batch.of(inputs, targets, weights, objective.dtype, ranks.total)


def scaled(features: Inputs, scaling: AnyScaling, dtype: str) -> Inputs:
    """The inputs, where the features lie; the features themselves where nothing changes them."""
    if isinstance(scaling, GroupScaling):
        assert isinstance(features, Groups)
        return scaling.apply(features, lambda one, values: _scaled(values, one, dtype))
    assert not isinstance(features, Groups)
    return _scaled(features, scaling, dtype)


def _scaled(features: AnyArray, scaling: Scaling, dtype: str) -> AnyArray:
    if isinstance(features, np.ndarray):
        as_they_are = features.dtype == dtype and features.flags.c_contiguous
        if scaling.name == "none" and as_they_are and is_finite(features):
            return features
        result = np.empty(features.shape, dtype=dtype)

        def fill(rows: slice) -> None:
            result[rows] = scaling.transform(features[rows], dtype, first_row=rows.start)

        _shared(fill, slices(len(features)))
        return result
    first = 0

    def transform(block: Array) -> Array:
        nonlocal first
        place, first = first, first + len(block)
        return scaling.transform(block, dtype=dtype, first_row=place)

    return map_blocks(transform, features)
