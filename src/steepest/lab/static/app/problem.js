// From a state to what is minimised: objective, events, names of the parameters, curvature.

import { dot, LOSSES, LOSS_OF_TASK, Objective, measureProblem, Descent } from "../twin/index.js";
import { extent } from "./canvas.js";

/** What two settings must share to be on one surface: all of J. */
export const problemKey = (state) =>
  JSON.stringify([state.data, state.features, state.hidden, state.activation, state.scaling, state.l2]);

/** The problem of a state; `dataset` is loaded. */
export class Problem {
  constructor(state, dataset) {
    const { description } = dataset;
    const known = new Set(description.features.map((feature) => feature.name));
    const asked = (state.features ?? []).filter((name) => known.has(name));
    this.key = problemKey(state);
    this.dataset = dataset;
    this.task = description.task;
    this.features = asked.length ? asked : description.chosen;
    const scaling = dataset.scalings.includes(state.scaling) ? state.scaling : "none";
    const scaled = this.task === "regression" && state.hidden.length > 0;
    this.events = dataset.events(this.features, scaling, scaled);
    this.outputs = this.task === "multiclass" ? description.classes.length : 1;
    this.objective = new Objective({
      inputs: this.features.length,
      hidden: state.hidden,
      activation: state.activation,
      outputs: this.outputs,
      loss: LOSSES[LOSS_OF_TASK[this.task]],
      l2: state.l2,
    });
    this.classes = description.classes;
    this.symbols = this.features.map((name) => description.features[dataset.index(name)].symbol);
    this.names = this._names();
    this._quadratic = undefined;
  }

  /** The model, as a physicist calls it. */
  get title() {
    if (!this.objective.isLinear) return `dense network ${this.objective.widths.join("→")}`;
    return { regression: "linear regression", binary: "logistic regression", multiclass: "softmax regression" }[this.task];
  }

  _names() {
    const names = [];
    this.objective.layers.forEach(({ fanIn, fanOut }, l) => {
      const layer = this.objective.isLinear ? "" : `${l + 1}, `;
      for (let j = 0; j < fanIn; j++)
        for (let k = 0; k < fanOut; k++) {
          const from = l === 0 ? this.symbols[j] : `unit ${j + 1}`;
          const to = fanOut > 1 ? (l + 1 === this.objective.layers.length && this.classes.length === fanOut ? ` → ${this.classes[k]}` : ` → ${k + 1}`) : "";
          names.push(`w(${layer}${from}${to})`);
        }
      for (let k = 0; k < fanOut; k++)
        names.push(fanOut > 1 ? `b(${layer}${this.objective.isLinear ? this.classes[k] : k + 1})` : this.objective.isLinear ? "b" : `b(${l + 1})`);
    });
    return names;
  }

  /** The curvature at the minimum of a linear model; null of others, and of separable classes. */
  get quadratic() {
    if (this._quadratic === undefined)
      this._quadratic = measureProblem(this.objective, this.events);
    return this._quadratic;
  }

  /**
   * J − J on every `stride`-th event, to first order around the minimum of all, where ∇J is zero: a
   * control variate, with which J of some events has its minimum where the descent ends. Of θ; null
   * where all events are used, or J has no minimum.
   */
  correction(stride) {
    if (stride === 1 || !this.quadratic) return null;
    const { objective, events, quadratic } = this;
    const rows = Uint32Array.from({ length: Math.ceil(events.y.length / stride) }, (_, i) => i * stride);
    const gradient = new Float64Array(objective.size);
    const value = objective.differentiate(quadratic.minimum, events, rows, 0, rows.length, gradient);
    const atMinimum = quadratic.lowest - value + dot(gradient, quadratic.minimum);
    return (theta) => atMinimum - dot(gradient, theta);
  }

  /** Lowest and highest value of a feature. */
  range(j) {
    this._ranges ??= this.events.columns.map(extent);
    return this._ranges[j];
  }

  get labelRange() {
    return (this._labelRange ??= extent(this.dataset.labels));
  }

  /** Whether J is quadratic, so that predictions are exact. */
  get isQuadratic() {
    return this.task === "regression" && this.objective.isLinear;
  }

  descent(state) {
    const fits = state.start?.length === this.objective.size;
    return new Descent(this.objective, this.events, optionsOf(state), fits ? state.start : null);
  }

  /** θ of another scaling in this one's inputs, so that the logits are the same; null of networks. */
  translated(theta, other) {
    if (other.key === this.key) return theta;
    if (!this.objective.isLinear || other.objective.size !== this.objective.size) return null;
    const n = this.features.length;
    const logitsAt = (inputs) =>
      Array.from(other.objective.logits(theta, other.events.transform(this.events.inverse(inputs)), 0));
    const zero = logitsAt(new Float64Array(n));
    const result = new Float64Array(theta.length);
    for (let j = 0; j < n; j++) {
      const unit = new Float64Array(n);
      unit[j] = 1;
      logitsAt(unit).forEach((z, k) => (result[j * this.outputs + k] = z - zero[k]));
    }
    zero.forEach((z, k) => (result[n * this.outputs + k] = z));
    return result;
  }
}

/** What a descent is told. */
export const optionsOf = (state) => ({
  batchSize: state.batch,
  optimizer: { name: state.optimizer, momentum: state.momentum },
  rate: state.rate,
  schedule: { name: state.schedule },
  epochs: state.epochs,
  seed: state.seed,
});
