// What curvature says of a descent before its first step: rates and numbers of steps.
//
// J of a linear model near its minimum θ* is J* + ½ (θ − θ*)ᵀ ∇²J (θ − θ*), everywhere for the mean
// squared error. Along the eigenvector of λ each step of gradient descent multiplies the distance
// from θ* by 1 − ηλ: it shrinks for η < 2/λmax, without overshooting for η < 1/λmax.
// The same formulas are in steepest.curvature.quadratic.

import { dot, eigen, largestEigenvalue, norm, solve } from "./linear_algebra.js";
import { RULES, adaptiveBound, preconditioner } from "./rules.js";

/** Parameters up to which the whole Hessian is taken. */
const MOST_PARAMETERS = 80;
/** Eigenvalues below this part of the largest are flat directions: no step is needed there. */
const FLAT = 1e-13;
/** Events at most that the curvature of a network is measured on. */
const EVENTS = 2000;
/** Events × parameters at most of a product with ∇²J: a few milliseconds. */
const PRODUCT = 250_000;

/** ∇²J at θ, in rows. */
export function hessian(objective, theta, events, stride = 1) {
  const unit = new Float64Array(objective.size);
  return Array.from({ length: objective.size }, (_, i) => {
    unit.fill(0);
    unit[i] = 1;
    return objective.hessianVector(
      theta, unit, events, stride, new Float64Array(objective.size),
    );
  });
}

/** The stride with which at most `most` events are looked at. */
export const strideFor = (events, most) => Math.max(1, Math.ceil(events.y.length / most));

/** θ* of a linear model by Newton's method with halved steps; null where J has no minimum. */
export function minimumOf(objective, events) {
  let theta = new Float64Array(objective.size);
  const gradient = new Float64Array(objective.size);
  let loss = objective.differentiate(theta, events, null, 0, events.y.length, gradient);
  for (let iteration = 0; iteration < 40; iteration++) {
    const spectrum = eigen(hessian(objective, theta, events));
    const step = solve(spectrum, gradient, FLAT);
    const expected = 0.5 * dot(step, gradient);
    if (!(expected > 1e-15 * Math.max(Math.abs(loss), 1e-300)))
      return { theta, loss, spectrum };
    let part = 1;
    let next = null;
    for (; part > 1e-10; part /= 2) {
      next = theta.map((value, i) => value - part * step[i]);
      if (objective.value(next, events) <= loss) break;
    }
    if (part <= 1e-10) return { theta, loss, spectrum };
    theta = next;
    loss = objective.differentiate(theta, events, null, 0, events.y.length, gradient);
  }
  return null; // separable classes: J falls without end
}

/** A quadratic's descent by a fixed η, exactly; as steepest.curvature.Quadratic. */
export class Quadratic {
  constructor({ theta, loss, spectrum }) {
    const { values, vectors } = spectrum;
    const kept = values.map((_, k) => k).filter((k) => values[k] > FLAT * values[values.length - 1]);
    this.values = kept.map((k) => values[k]);
    this.vectors = kept.map((k) => vectors[k]);
    this.minimum = theta;
    this.lowest = loss;
  }

  get largest() {
    return this.values[this.values.length - 1];
  }

  get kappa() {
    return this.largest / this.values[0];
  }

  /** 2/λmax: a larger η diverges. */
  get bound() {
    return 2 / this.largest;
  }

  /** 2/(λmax + λmin): the η with the fastest asymptotic convergence. */
  get best() {
    return 2 / (this.largest + this.values[0]);
  }

  /** J − J* from `start` after `steps` steps at η. */
  excess(start, rate, steps) {
    const away = start.map((value, i) => value - this.minimum[i]);
    let sum = 0;
    this.values.forEach((value, k) => {
      sum += value * dot(this.vectors[k], away) ** 2 * Math.abs(1 - rate * value) ** (2 * steps);
    });
    return 0.5 * sum;
  }

  /** Steps until J − J* is `part` of its start; Infinity for an η that diverges. */
  stepsTo(start, rate, part) {
    if (!(rate > 0 && rate < this.bound)) return Infinity;
    const goal = part * this.excess(start, rate, 0);
    if (!(goal > 0)) return 0;
    let [low, high] = [0, 1];
    while (this.excess(start, rate, high) > goal) {
      low = high;
      high *= 2;
      if (high > 1e15) return Infinity;
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.excess(start, rate, middle) > goal) low = middle;
      else high = middle;
    }
    return high;
  }
}

/** The whole problem's curvature: of a linear model at its minimum, of a network none. */
export function measureProblem(objective, events) {
  if (!objective.isLinear || objective.size > MOST_PARAMETERS) return null;
  const minimum = minimumOf(objective, events);
  return minimum && new Quadratic(minimum);
}

/** λmax of ∇²J at θ, on at most 2,000 events; for adaptive rules of P^½ ∇²J P^½. A generator. */
export function* sharpness(objective, theta, events, inverseRoot = null) {
  const most = Math.min(EVENTS, Math.ceil(PRODUCT / objective.size));
  const stride = strideFor(events, most);
  const out = new Float64Array(objective.size);
  const product = (vector) => {
    const scaled = inverseRoot ? vector.map((v, i) => v * inverseRoot[i]) : vector;
    objective.hessianVector(theta, scaled, events, stride, out);
    return inverseRoot ? out.map((v, i) => v * inverseRoot[i]) : out;
  };
  const { value, vector } = yield* largestEigenvalue(product, objective.size);
  return { largest: value, vector, events: Math.ceil(events.y.length / stride) };
}

/** λmax at θ and the largest stable η of the rule there. A generator. */
export function* stableRate(objective, theta, events, optimizer, state, step) {
  const rule = RULES[optimizer.name];
  const stability = rule.stability(optimizer);
  if (stability !== null) {
    const found = yield* sharpness(objective, theta, events);
    return { ...found, bound: stability, rate: stability / found.largest };
  }
  let divisor;
  if (step > 0) divisor = preconditioner(optimizer.name, state, step);
  else {
    const gradient = new Float64Array(objective.size);
    objective.differentiate(theta, events, null, 0, events.y.length, gradient);
    divisor = gradient.map((g) => 1 / (Math.abs(g) + 1e-8));
  }
  const found = yield* sharpness(objective, theta, events, divisor.map(Math.sqrt));
  const bound = adaptiveBound(optimizer.name);
  return { ...found, bound, rate: bound / found.largest };
}

export { norm };
