"""What a recipe asks of events of a schema: features, label, weight, selection, split's column.

What can be refused before an event is read is refused here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter

import pyarrow as pa

from steepest.errors import EventsError, RecipeError
from steepest.events.expressions.expression import Expression, column, parse
from steepest.events.expressions.types import column_type
from steepest.events.reading.left_out import by_reason, left_out, type_reason
from steepest.events.reading.particles import ParticleColumns, particle_columns
from steepest.events.source import EVENT_ROW, EventSource
from steepest.events.units import Units, units_of
from steepest.events.words import listed, quoted
from steepest.recipe import Derived, EventsRecipe, SampleRecipe

__all__ = ["Plan", "Planned", "feature_expressions", "plan_of", "resolved"]


@dataclass(frozen=True)
class Plan:
    """The expressions to evaluate for each event, and sentences about what was chosen."""

    names: tuple[str, ...]
    features: tuple[Expression, ...]
    label: Expression
    weight: Expression | None
    select: Expression | None
    by: str | None
    tables: dict[str, Derived] = field(default_factory=dict)
    """The features that the recipe writes as tables, by name."""
    notes: tuple[str, ...] = ()
    extra: tuple[Expression, ...] = ()
    """What is carried along and is no feature."""
    event_row: str | None = None
    """The column with the row of each row's event, where an event has several rows."""
    particles: ParticleColumns | None = None
    """Where the momenta of the particles are, for models that read them."""
    units: Units = field(default_factory=dict)
    """Titles and units of features, label and extra columns."""
    scale: float = 1.0
    """What the weights are multiplied by: σ · L / Σw of a sample with a cross-section."""

    @property
    def weighted(self) -> bool:
        """Whether events have other weights than 1."""
        return self.weight is not None or self.scale != 1.0

    @property
    def expressions(self) -> list[Expression]:
        """All expressions."""
        rest = [self.label, self.weight, self.select]
        given = (expression for expression in rest if expression is not None)
        return [*self.features, *given, *self.extra]

    @property
    def columns(self) -> list[str]:
        """The columns to read, in alphabetical order."""
        names = set().union(*(expression.columns for expression in self.expressions))
        names |= self.particles.columns if self.particles is not None else set()
        besides = (name for name in (self.by, self.event_row) if name is not None)
        return sorted(names | set(besides))


Planned = tuple[EventSource, Plan]
"""The events of a sample, and what to compute of each."""


def plan_of(
    recipe: EventsRecipe,
    source: EventSource,
    *,
    names: Sequence[str] | None = None,
    extra: Sequence[str] = (),
    sample: SampleRecipe | None = None,
    label: Expression | None = None,
    also: Sequence[EventSource] = (),
    replaced: Mapping[str, str] | None = None,
) -> Plan:
    """Return what the recipe asks of the source, checked against its schema.

    Parameters
    ----------
    recipe
        The recipe's ``[events]``.
    source
        The events; only the schema is looked at.
    names
        The features that stand in for ``recipe.features`` where the recipe leaves them out.
    extra
        Columns or expressions that are carried along, whether or not they are features.
    sample, label
        The sample that the events are of, and its label if the recipe has none.
    also
        The other samples' events, which must have default features too.
    replaced
        Columns, and the expressions that stand for them in features, weight and selection.

    Raises
    ------
    EventsError
        A column is missing or of a type that cannot be used; the label is among the features.
    RecipeError
        An expression cannot be read; a feature's name is given twice; there is no feature.
    """
    label = label or resolved(str(recipe.label), source, "events.label")
    of_sample = f" of the sample {sample.name!r}" if sample is not None else ""
    weighed = sample.weight if sample is not None and sample.weight else recipe.weight
    weight = resolved(weighed, source, f"events.weight{of_sample}") if weighed else None
    conditions = [recipe.select, sample.select if sample is not None else None]
    given = [text for text in conditions if text]
    select = " AND ".join(f"({text})" for text in given) if len(given) > 1 else "".join(given)
    by = recipe.split.by
    if by is not None and by not in source.schema.names:
        raise source.missing(by, " (events.split.by)")
    plan = Plan(
        names=(),
        features=(),
        label=label,
        weight=weight,
        select=parsed(select, source, f"events.select{of_sample}") if select else None,
        by=by,
        event_row=EVENT_ROW if source.index else None,
        extra=tuple(resolved(text, source, f"The column {text!r}") for text in extra),
    )
    label.scalar(source.schema_for(label.columns))
    for expression in (*plan.extra, weight):
        _check_type(expression, source, "a number")
    _check_type(plan.select, source, "a condition")
    features = recipe.features if recipe.features is not None else names
    if recipe.particles is not None:
        particles = particle_columns(recipe.particles, source)
        plan = replace(plan, particles=particles, notes=(*plan.notes, *particles.notes))
        features = recipe.features
    if features is None and plan.particles is not None:
        pass  # the particles alone
    elif features is None:
        plan = _with_default_features(plan, source, also)
    else:
        plan = _with_features(plan, features, source)
    if recipe.missing is not None:
        plan = _with_missing(plan, recipe, source)
    named = dict(zip(plan.names, plan.features, strict=True))
    named |= {expression.text: expression for expression in (label, *plan.extra)}
    units = units_of(recipe.units, source.schema, named)
    plan = replace(plan, notes=(*plan.notes, *_refuse_leaks(plan)), units=units)
    return _replaced(plan, replaced, source) if replaced else plan


def _replaced(plan: Plan, replaced: Mapping[str, str], source: EventSource) -> Plan:
    """Put expressions in the place of columns, in features, weight and selection."""
    expressions = {}
    for name, text in replaced.items():
        if name not in source.schema.names:
            raise source.missing(name, " (to be replaced)")
        expressions[name] = parsed(text, source, f"What replaces {name!r}")
        _check_type(expressions[name], source, "a number")

    def changed(expression: Expression) -> Expression:
        return expression.substituted(expressions)

    return replace(
        plan,
        features=tuple(map(changed, plan.features)),
        weight=changed(plan.weight) if plan.weight else None,
        select=changed(plan.select) if plan.select else None,
    )


def _with_missing(plan: Plan, recipe: EventsRecipe, source: EventSource) -> Plan:
    """Return the plan with ``events.missing`` for each feature that is a column of numbers."""
    numeric = set(_usable(source.schema))
    tables = {
        name: Derived(name=name, value=f"`{name}`", missing=recipe.missing, fill=recipe.fill)
        for name in plan.names
        if name in numeric and name not in plan.tables
    }
    return replace(plan, tables=plan.tables | tables)


def resolved(text: str, source: EventSource, role: str) -> Expression:
    """Return the column of that name, whatever its letters; if there is none, the expression."""
    return column(text, role) if text in source.schema.names else parsed(text, source, role)


def parsed(text: str, source: EventSource, role: str) -> Expression:
    """Return a text's expression, with the columns of a source for ``p4(Jet)``."""
    return parse(text, role, source.schema.names)


def _check_type(expression: Expression | None, source: EventSource, expected: str) -> None:
    if expression is None:
        return
    typed = expression.scalar(source.schema_for(expression.columns))
    if typed.words != expected:
        raise EventsError(
            f"{expression.role} is {typed.words}, not {expected}.",
            expected=f"{expected} for each event",
            found=expression.text,
            do="compare it, as in x > 0" if expected == "a condition" else "name a numeric column",
        )


# --- features -----------------------------------------------------------------------------------


def _with_features(plan: Plan, given: Sequence[str | Derived], source: EventSource) -> Plan:
    if not given:
        raise RecipeError(
            "events.features is empty.",
            expected="at least one feature",
            do="name features, or leave the key out to use every numeric column",
        )
    given, notes = _expanded(plan, given, source)
    names = tuple(feature if isinstance(feature, str) else feature.name for feature in given)
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(
                f"The feature {name!r} is given {names.count(name)} times.",
                expected="each feature's name once",
                do="remove it, or give the derived one another name",
            )
    tables = {feature.name: feature for feature in given if isinstance(feature, Derived)}
    features = tuple(feature_expressions(given, source))
    notes = (*plan.notes, *notes)
    return replace(plan, names=names, features=features, tables=tables, notes=notes)


def _expanded(
    plan: Plan, given: Sequence[str | Derived], source: EventSource
) -> tuple[list[str | Derived], list[str]]:
    """Return features with wildcards replaced by the columns that they match, and what these are.

    Columns that have another role, and those that are named besides, are left out; so are numbers
    of events, weights and truth, unless a wildcard matches nothing else.
    """
    roles, others = _roles(plan, source), left_out(source.schema)
    named = {f if isinstance(f, str) else f.name for f in given}
    expanded: list[str | Derived] = []
    notes = []
    for feature in given:
        pattern = feature if isinstance(feature, str) else ""
        if not ("*" in pattern or "?" in pattern) or pattern in source.schema.names:
            expanded.append(feature)
            continue
        matched = {f.name: f.type for f in source.schema if fnmatchcase(f.name, pattern)}
        if not matched:
            raise source.missing(pattern, " (features by a wildcard)")
        never = {n: roles.get(n) or type_reason(arrow, alone=False) for n, arrow in matched.items()}
        possible = [name for name, reason in never.items() if not reason]
        names = [name for name in possible if name not in others] or possible
        left = {n: never[n] or others[n] for n in matched if n not in names}
        if not names:
            raise EventsError(
                f"The wildcard {pattern!r} matches no column that can be a feature.",
                expected="columns of numbers, conditions or text, besides the label and weights",
                found=by_reason(left),
                do="name columns; of lists an element or a reduction, as x[0] or sum(x)",
            )
        taken = [name for name in names if name not in named]
        expanded += taken
        named |= set(taken)
        told = f" It leaves out {by_reason(left)}." if left else ""
        notes.append(f"The features {pattern!r} are {', '.join(names)}.{told}")
    return expanded, notes


def feature_expressions(
    features: Sequence[str | Derived], source: EventSource
) -> Iterator[Expression]:
    """Yield the expression of each feature, checked against the events' schema.

    Raises
    ------
    EventsError
        A column is missing, or of a type that cannot be used.
    RecipeError
        A derived feature cannot be read, uses itself, or has an option that its type has no use
        for.
    """
    derived = _derived({f.name: f for f in features if isinstance(f, Derived)}, source.schema)
    for feature in features:
        if isinstance(feature, Derived):
            expression = derived[feature.name]
            _refuse_options(feature, expression.scalar(source.schema).words == "text")
        elif feature in source.schema.names:
            expression = column(feature, f"The feature {feature!r}")
            _refuse_unusable(feature, source)
            expression.scalar(source.schema)
        else:
            raise _no_such_feature(feature, source)
        yield expression


def _derived(tables: dict[str, Derived], schema: pa.Schema) -> dict[str, Expression]:
    """Return the expressions of derived features, in columns alone.

    One that uses another has the expression of that in its place. A column goes before a feature
    of the same name.
    """
    found = {
        name: parse(table.value, f"The feature {name!r}", schema.names)
        for name, table in tables.items()
    }
    known = found.keys() - set(schema.names)
    uses = {name: sorted(expression.columns & known) for name, expression in found.items()}
    for name in _ordered(uses):
        for used in uses[name]:
            if tables[used].missing is not None:
                raise RecipeError(
                    f"The feature {name!r} uses {used!r}, which declares a value as missing.",
                    expected="columns, and derived features without `missing`",
                    do=f"write the expression of {used!r} itself: {quoted(tables[used].value)}",
                )
        if uses[name]:
            found[name] = found[name].substituted({used: found[used] for used in uses[name]})
    return found


def _ordered(uses: dict[str, list[str]]) -> list[str]:
    """Return derived features so that each comes after those that it uses."""
    try:
        return list(TopologicalSorter(uses).static_order())
    except CycleError as error:
        cycle = [repr(name) for name in reversed(error.args[1])]
        raise RecipeError(
            f"The feature {cycle[0]} is computed from itself: {' uses '.join(cycle)}.",
            expected="derived features that end in columns",
            do="compute one of them from columns",
        ) from None


def _refuse_options(feature: Derived, is_text: bool) -> None:
    """Raise RecipeError for an option that the feature's type has no use for."""
    where = f"The feature {feature.name!r}"
    kind = str if is_text else float
    type_words = "text" if is_text else "a number"
    if feature.missing is not None and not isinstance(feature.missing, kind):
        raise RecipeError(
            f"{where} is {type_words}, but its `missing` is not.",
            expected=f"missing = {'text in quotes' if is_text else 'a number'}",
            found=repr(feature.missing),
        )
    if feature.fill is not None and not _can_fill(feature.fill, is_text):
        raise RecipeError(
            f"{where} is {type_words}, which cannot be filled so.",
            expected="a category in quotes" if is_text else 'a number, "mean" or "median"',
            found=f"fill = {feature.fill!r}",
        )
    if not is_text and feature.unseen != "error":
        raise RecipeError(
            f"{where} is a number, and has no categories.",
            expected="`unseen` for text only",
            found=f"unseen = {feature.unseen!r}",
            do="leave `unseen` out",
        )


def _can_fill(fill: float | str, is_text: bool) -> bool:
    if is_text:
        return isinstance(fill, str) and fill not in ("mean", "median")
    return isinstance(fill, float) or fill in ("mean", "median")


def _refuse_unusable(name: str, source: EventSource) -> None:
    arrow = source.schema.field(name).type
    if column_type(arrow) is None:
        raise EventsError(
            f"The feature {name!r} holds no plain values in {source.files[0]}.",
            expected="numbers, booleans or text, one value an event, such as "
            f"{listed(_usable(source.schema), 12) or 'none here'}",
            found=str(arrow),
            do="name columns of plain values",
        )


def _no_such_feature(text: str, source: EventSource) -> EventsError:
    error = source.missing(text, " (a feature)")
    try:
        expression = parse(text)
    except RecipeError:
        return error
    if expression.column is not None or not expression.columns <= set(source.schema.names):
        return error
    return EventsError(
        error.what,
        expected=error.details["expected"],
        found=error.details["found"],
        do=f'give what is derived a name: {{name = "ratio", value = {quoted(text)}}}',
    )


def _usable(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if _is_numeric(field.type)]


def _is_numeric(arrow: pa.DataType) -> bool:
    dtype = column_type(arrow)
    return dtype is not None and dtype.is_numeric()


def _roles(plan: Plan, source: EventSource) -> dict[str, str]:
    """Return the columns that cannot be features, each with what it is instead."""
    roles = dict.fromkeys(plan.label.columns, "the label")
    roles |= dict.fromkeys(plan.weight.columns if plan.weight else (), "the weight")
    roles |= {plan.by: "the split's column"} if plan.by is not None else {}
    return roles | dict.fromkeys(source.places, "a place in a list")


def _with_default_features(
    plan: Plan, source: EventSource, also: Sequence[EventSource] = ()
) -> Plan:
    """Take every numeric column that has no other role, and that all the samples have."""
    roles = left_out(source.schema) | _roles(plan, source)
    for other in also:
        absent = set(_usable(source.schema)) - set(_usable(other.schema))
        roles |= dict.fromkeys(absent - roles.keys(), f"not in {listed(other.files, 1)}")
    names = tuple(name for name in _usable(source.schema) if name not in roles)
    if not names:
        raise EventsError(
            f"There is no numeric column left for a feature in {source.files[0]}.",
            expected="numeric columns besides the label, the weight and the split's column",
            found=listed(source.schema.names, 12),
            do="name features in events.features",
        )
    notes = [f"Features are not named, so every numeric column is one: {', '.join(names)}."]
    left = {
        f.name: roles.get(f.name) or type_reason(f.type)
        for f in source.schema
        if f.name not in names
    }
    if left:
        notes.append(f"Columns left out: {by_reason(left)}.")
    features = tuple(column(name, f"The feature {name!r}") for name in names)
    return replace(plan, names=names, features=features, notes=tuple(notes))


# --- leaks --------------------------------------------------------------------------------------


def _refuse_leaks(plan: Plan) -> list[str]:
    """Refuse the label among the features; return sentences about what only looks like it."""
    for name, feature in zip(plan.names, plan.features, strict=True):
        if _gives_away(plan.label, feature):
            same = feature.same_as(plan.label)
            raise EventsError(
                f"The feature {name!r} gives the label {plan.label.text!r} away.",
                expected="features that are known without the label",
                found="the label itself" if same else f"{feature.text}",
                do=f"remove {name!r} from events.features",
            )
    notes = []
    columns = set().union(*(feature.columns for feature in plan.features))
    whole = {feature.column for feature in plan.features}
    if plan.label.columns and plan.label.columns <= whole:
        notes.append(f"The label {plan.label.text!r} can be computed from the features alone.")
    elif plan.label.columns and plan.label.columns <= columns:
        read = ", ".join(sorted(plan.label.columns))
        notes.append(f"Features are made of all columns of the label {plan.label.text!r}: {read}.")
    if plan.weight is not None and plan.weight.columns & columns:
        notes.append(f"The weight {plan.weight.text!r} and the features share columns.")
    return notes


def _gives_away(label: Expression, feature: Expression) -> bool:
    if feature.same_as(label):
        return True
    if label.column is not None:
        return label.column in feature.columns
    # process == 1: a code that is tested for; pt > 500 may be a lesson's toy, and is only noted.
    tests_code = isinstance(label.tree, ast.Compare) and all(
        isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in label.tree.ops
    )
    return tests_code and len(label.columns) == 1 and label.columns == feature.columns
