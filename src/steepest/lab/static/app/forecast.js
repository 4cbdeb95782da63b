// What is known of a descent before its first step: zones of η, and the number of steps.

import { RULES, dot, factor, stableRate } from "../twin/index.js";
import { count } from "./numbers.js";
import { threshold } from "./wording.js";

/** J − J*, as a part of its start, that counts as arrived. */
export const arrived = () => threshold("part");
const MOST_STEPS = 50000;

/**
 * λmax, the largest stable η of the rule, and the zones of the slider.
 * A generator that yields between products with ∇²J, so that it can be spread over frames.
 */
export function* zones(problem, state, descent) {
  const stability = RULES[state.optimizer].stability({ momentum: state.momentum });
  const adapts = stability === null;
  const q = problem.quadratic;
  let [largest, bound, where] = [NaN, NaN, ""];
  if (q && !adapts) {
    largest = q.largest;
    bound = stability / largest;
    where = problem.isQuadratic ? "exact, everywhere" : "at the minimum";
  } else {
    const step = descent?.step ?? 0;
    const found = yield* measured(problem, state, descent);
    largest = found.largest;
    bound = adapts ? found.rate : stability / largest;
    where = step ? `at step ${count(step)}` : "at the start";
    if (found.events < problem.events.y.length) where += `, on ${count(found.events)} events`;
    if (adapts) where += ", over √v̂";
  }
  if (!(bound > 0)) return { largest, bound: NaN, half: NaN, slow: NaN, best: NaN, where, adapts };
  const best = q && state.optimizer === "sgd" ? q.best : bound / 2;
  return { largest, bound, half: adapts ? bound / 2 : 1 / largest, slow: slowest(q, state, problem, best), best, where, adapts };
}

/** λmax at θ: measured once for a step and a rule, whatever η is. */
function* measured(problem, { optimizer, momentum, seed }, descent) {
  const key = `${descent?.step ?? 0} ${optimizer} ${descent ? "" : seed}`;
  const kept = measurements.get(descent ?? problem);
  if (kept?.key === key) return kept.found;
  const theta = descent ? descent.theta.slice() : problem.objective.initial(seed);
  const state = descent?.state.map((one) => one.slice());
  const found = yield* stableRate(problem.objective, theta, problem.events, { name: optimizer, momentum }, state, descent?.ruleStep ?? 0);
  measurements.set(descent ?? problem, { key, found });
  return found;
}

const measurements = new WeakMap();

/** Below this η the descent takes many times the steps of the best. */
function slowest(q, state, problem, best) {
  if (!q || state.optimizer !== "sgd") return (2 * best) / threshold("small");
  const start = startOf(problem, state);
  const steps = (rate) => q.stepsTo(start, rate, arrived());
  const quickest = [best, best / 2, best / 4].reduce((a, b) => (steps(b) < steps(a) ? b : a));
  const goal = threshold("slow") * Math.max(steps(quickest), 1);
  let [low, high] = [best * 1e-6, quickest];
  for (let i = 0; i < 40; i++) {
    const middle = Math.sqrt(low * high);
    if (steps(middle) > goal) low = middle;
    else high = middle;
  }
  return high;
}

/** θ₀ of a state. */
export const startOf = (problem, state) =>
  state.start?.length === problem.objective.size
    ? Float64Array.from(state.start)
    : problem.objective.initial(state.seed);

/** The zone of an η: "small", "right", "overshooting" or "diverging"; null where nothing is known. */
export function zoneOf(rate, z) {
  if (!(z.bound > 0)) return null;
  if (rate > z.bound) return "diverging";
  if (rate > Math.max(z.half, z.slow)) return "overshooting";
  return rate < z.slow ? "small" : "right";
}

/**
 * Steps until J − J* is a thousandth of its start: {steps, exact, noisy}; null where nothing is predicted.
 *
 * A descent with momentum or a schedule is followed along each eigenvector for itself.
 */
export function predictedSteps(problem, state) {
  const q = problem.quadratic;
  if (!q || RULES[state.optimizer].stability({ momentum: 0 }) === null) return null;
  const start = startOf(problem, state);
  const noisy = state.batch !== "all" && state.batch < problem.events.y.length;
  const exact = problem.isQuadratic && !noisy;
  if (state.optimizer === "sgd" && state.schedule === "constant")
    return { steps: q.stepsTo(start, state.rate, arrived()), exact, noisy };
  return { steps: followed(q, start, problem, state), exact, noisy };
}

function followed(q, start, problem, state) {
  const away = q.vectors.map((vector) => dot(vector, start.map((x, i) => x - q.minimum[i])));
  const speed = away.map(() => 0);
  const beta = state.optimizer === "sgd" ? 0 : state.momentum;
  const events = problem.events.y.length;
  const perEpoch = state.batch === "all" ? 1 : Math.ceil(events / Math.min(state.batch, events));
  const total = state.epochs * perEpoch;
  const excess = () => away.reduce((sum, x, k) => sum + q.values[k] * x * x, 0);
  const goal = arrived() * excess();
  for (let step = 0; step < MOST_STEPS; step++) {
    if (excess() <= goal) return step;
    const rate = state.rate * factor({ name: state.schedule }, Math.min(step, total - 1), total, perEpoch);
    for (let k = 0; k < away.length; k++) {
      const g = q.values[k] * away[k];
      speed[k] = beta * speed[k] + g;
      away[k] -= rate * (state.optimizer === "nesterov" ? g + beta * speed[k] : speed[k]);
    }
    if (!(excess() < 1e12 * goal)) return Infinity;
  }
  return Infinity;
}
