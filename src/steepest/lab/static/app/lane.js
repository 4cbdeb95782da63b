// A setting of the race: its problem, its descent, and what is kept of them to draw.

import { strideFor } from "../twin/index.js";

const MOST_VALUES = 2000;
const MOST_THETAS = 1500;
/** Events that J of the curve is computed on where a step does not give it. */
const EVENTS = 2000;

export class Lane {
  constructor(state, problem, number) {
    Object.assign(this, { state, problem, number });
    this.stride = strideFor(problem.events, EVENTS);
    this._of = null;
    this.reset();
  }

  reset() {
    this.descent = this.problem.descent(this.state);
    this.curve = { steps: [], epochs: [], values: [] };
    this.thetas = [this.descent.theta.slice()];
    this.every = 1;
    this._places = { of: null };
    this.sample();
  }

  /** J of θ: exactly where few events are, else on some 2,000 of them, as the surface. */
  loss() {
    const { problem, stride } = this;
    if (this._of !== problem) Object.assign(this, { _of: problem, _correction: problem.correction(stride) });
    const { theta } = this.descent;
    return problem.objective.value(theta, problem.events, stride) + (this._correction?.(theta) ?? 0);
  }

  /** Add J to the curve; the curve is thinned where it gets long. */
  sample() {
    const { curve, descent } = this;
    if (curve.steps[curve.steps.length - 1] === descent.step) return;
    this.J = this.loss();
    curve.steps.push(descent.step);
    curve.epochs.push(descent.epoch);
    curve.values.push(Number.isFinite(this.J) ? this.J : null);
    if (curve.steps.length <= MOST_VALUES) return;
    for (const name of ["steps", "epochs", "values"]) curve[name] = curve[name].filter((_, i) => i % 2 === 0);
  }

  /** Take a step, and keep θ for the path. */
  take() {
    if (!this.descent.take()) return false;
    if (this.descent.step % this.every === 0) {
      this.thetas.push(this.descent.theta.slice());
      if (this.thetas.length > MOST_THETAS) {
        this.thetas = this.thetas.filter((_, i) => i % 2 === 0);
        this.every *= 2;
        this._places = { of: null };
      }
    }
    return true;
  }

  /** The path on a surface: its places [a, b], to which later ones are added, and where it is now. */
  places(surface, most = Infinity) {
    if (this._places.of !== surface) this._places = { of: surface, list: [], taken: 0 };
    const kept = this._places;
    const end = Math.min(this.thetas.length, kept.taken + most);
    for (; kept.taken < end; kept.taken++) {
      const place = this._place(surface, this.thetas[kept.taken]);
      if (place) kept.list.push(place);
    }
    return { list: kept.list, now: this._place(surface, this.descent.theta) };
  }

  _place(surface, theta) {
    const there = surface.problem.translated(theta, this.problem);
    const place = there && surface.project(there);
    return place && place.every(Number.isFinite) ? place : null;
  }

  /** θ's of the path, some of them, with the last. */
  someThetas(most = 16) {
    const step = Math.max(1, Math.ceil(this.thetas.length / most));
    return [...this.thetas.filter((_, i) => i % step === 0), this.descent.theta.slice()];
  }
}
