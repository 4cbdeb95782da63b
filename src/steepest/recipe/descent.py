"""The ``[descent]`` table: loss, batches, optimiser, schedule, scaling, stopping, seed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from steepest.recipe.tables import BareName, Fraction, Named, NonNegative, Positive, Strict

LossName = Literal["mean-squared-error", "binary-cross-entropy", "cross-entropy"]
ScalingName = Literal["none", "standard", "min-max", "robust", "quantile", "whiten", "asinh"]


# --- optimisers: θ ← θ − η g and variants -------------------------------------------------------


class SGD(Named):
    """Plain gradient descent, batch or stochastic."""

    name: Literal["sgd"] = "sgd"


class Momentum(Named):
    """Heavy-ball momentum (Polyak 1964)."""

    name: Literal["momentum"] = "momentum"
    momentum: Fraction = 0.9


class Nesterov(Named):
    """Nesterov's accelerated gradient, in the form of Sutskever et al. 2013."""

    name: Literal["nesterov"] = "nesterov"
    momentum: Fraction = 0.9


class RMSprop(Named):
    """RMSprop (Tieleman and Hinton 2012)."""

    name: Literal["rmsprop"] = "rmsprop"
    decay: Fraction = 0.9
    epsilon: Positive = 1e-8


class Adam(Named):
    """Adam (arXiv:1412.6980)."""

    name: Literal["adam"] = "adam"
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Positive = 1e-8


class AdamW(Named):
    """Adam with decoupled weight decay (arXiv:1711.05101)."""

    name: Literal["adamw"] = "adamw"
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Positive = 1e-8
    weight_decay: NonNegative = 0.01


Optimizer = Annotated[
    SGD | Momentum | Nesterov | RMSprop | Adam | AdamW, Field(discriminator="name"), BareName
]


# --- schedules: η as a function of the step -----------------------------------------------------


class _Schedule(Named):
    warmup: Fraction = 0.0
    """Share of all steps over which η rises linearly from nearly zero."""


class Constant(_Schedule):
    """Constant η."""

    name: Literal["constant"] = "constant"


class InverseTime(_Schedule):
    """η falls as 1/(1 + decay · epochs), which satisfies the Robbins–Monro conditions."""

    name: Literal["inverse-time"] = "inverse-time"
    decay: Positive = 1.0


class Step(_Schedule):
    """η is multiplied by `factor` after every `every` epochs."""

    name: Literal["step"] = "step"
    every: PositiveFloat = 10.0
    factor: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1


class Exponential(_Schedule):
    """η is multiplied by `factor` over each epoch, smoothly."""

    name: Literal["exponential"] = "exponential"
    factor: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9


class Cosine(_Schedule):
    """η follows half a cosine down to `final` times η₀."""

    name: Literal["cosine"] = "cosine"
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class OneCycle(_Schedule):
    """η rises to η₀ over a share `warmup` of the steps, then falls to `final` · η₀, by cosines."""

    name: Literal["one-cycle"] = "one-cycle"
    warmup: Fraction = 0.3
    start: Annotated[float, Field(gt=0.0, le=1.0)] = 0.04
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-4


class ReduceOnPlateau(_Schedule):
    """η is multiplied by `factor` if the loss does not improve in `patience` validations."""

    name: Literal["reduce-on-plateau"] = "reduce-on-plateau"
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    patience: PositiveInt = 3
    threshold: NonNegative = 1e-4


Schedule = Annotated[
    Constant | InverseTime | Step | Exponential | Cosine | OneCycle | ReduceOnPlateau,
    Field(discriminator="name"),
    BareName,
]

SCHEDULES = (Constant, InverseTime, Step, Exponential, Cosine, OneCycle, ReduceOnPlateau)
OPTIMIZERS = (SGD, Momentum, Nesterov, RMSprop, Adam, AdamW)


# --- stopping criteria, checkpoints and history -------------------------------------------------


class Stop(Strict):
    """Criteria to stop before the last epoch; criteria without a value have no effect."""

    gradient_norm: Positive | None = None
    """Stop if ‖∇J‖ over the whole training part is below this value."""
    loss_tolerance: Positive | None = None
    """Stop if the training loss decreases by less than this value between two validations."""
    patience: PositiveInt | Literal["auto"] | None = "auto"
    """Stop after this many validations without a new best loss; "auto": a quarter of the epochs,
    at least 10, where there is a validation part, `epochs` is "auto" too and the schedule does not
    anneal, else never: under one-cycle and cosine the loss falls most at the end."""
    seconds: Positive | None = None
    """Stop after this wall time, including resumed parts."""


class Checkpoint(Strict):
    """How often checkpoints are written."""

    seconds: NonNegative = 30.0
    """Seconds between checkpoints."""
    steps: PositiveInt | None = None
    """Also write a checkpoint every n steps."""


class History(Strict):
    """Steps that are recorded in the history, besides the last one before each validation."""

    every: PositiveInt | Literal["auto"] = "auto"
    """Record every n-th step; "auto" records about 20,000 steps, evenly spaced in log-time."""


class DescentRecipe(Strict):
    """The training: init → predict → loss → gradient → step → repeat → stop."""

    method: Literal["auto", "descent", "newton", "exact"] = "auto"
    """"auto" is "newton" for a model without a hidden layer, unless the recipe says how to descend,
    and "descent" for all others."""
    loss: LossName | None = None
    batch_size: PositiveInt | Literal["all", "auto"] = "auto"
    """"auto" is a 64th of the training events as a power of two, from 32 to 1,024."""
    optimizer: Optimizer = Adam()
    learning_rate: Positive | Literal["auto"] = "auto"
    schedule: Schedule = OneCycle()
    scaling: ScalingName | Literal["auto"] = "auto"
    """"auto" is "asinh" for dense networks, with relevance where trial runs choose λ too, and
    "standard" for all others."""
    l2: NonNegative | Literal["auto"] | None = None
    """λ. None is "auto" for dense networks if `optimizer` and `epochs` are left out too, else 0."""
    epochs: PositiveInt | Literal["auto"] = "auto"
    """"auto" is 3,000 steps in whole epochs, at least 5 of them."""
    stop: Stop = Stop()
    keep: Literal["best", "last"] | None = None
    """Parameters to keep: the best on the validation part (the default if there is one), or the
    last."""
    history: History = History()
    log: Annotated[tuple[Literal["tensorboard", "mlflow"], ...], Field(strict=False)] = ()
    """Other tools that are told of the validations and of the figures of merit."""
    validate_every: PositiveInt = 1
    """Epochs between validations; the stopping criteria are checked at each validation."""
    checkpoint: Checkpoint = Checkpoint()
    dtype: Literal["float32", "float64"] | None = None
    """None: float64 for models without a hidden layer, float32 for networks."""
    clip_gradient: Positive | None = None
    """A gradient with a larger norm is scaled to this one."""
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Validate and keep the exponential moving average of θ, with this decay a step."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Of networks of PyTorch; "auto" is CUDA where there is a GPU, else the CPU."""
    precision: Literal["bfloat16"] | None = None
    """Of networks of PyTorch: autocast of matrix products; None for the precision of θ."""
    accumulate: PositiveInt = 1
    """Of networks of PyTorch: pieces in which the gradient of a batch is computed."""
    compile: bool = False
    """Of networks of PyTorch: whether ``torch.compile`` makes their code."""
    seed: NonNegativeInt = 0

    @model_validator(mode="before")
    @classmethod
    def _from_version_1(cls, table: Any) -> Any:
        """Accept ``record_every``, the older name of ``history.every``."""
        if not isinstance(table, dict) or "record_every" not in table:
            return table
        table = dict(table)
        every = table.pop("record_every")
        history = table.get("history", {})
        if isinstance(history, dict) and history.get("every", "auto") not in ("auto", every):
            raise ValueError("only one of history.every and record_every, its older name")
        return {**table, "history": {"every": every}}
