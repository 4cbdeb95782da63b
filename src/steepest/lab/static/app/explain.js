// A line that says why the descent does what it does, from the numbers that curvature gives.
// The wording is that of steepest.explain.rates.

import { PART, predictedSteps, zoneOf } from "./forecast.js";
import { short, count } from "./numbers.js";

const times = (factor) => (factor < 1.1 ? `${short(100 * (factor - 1), 2)} % above` : `${short(factor)} times`);

/** Sentences on the setting, before and while it runs: {tone, text}. */
export function explanation(lane, zones) {
  const { descent, state, problem } = lane;
  const zone = zoneOf(state.rate, zones);
  const q = problem.quadratic;
  if (descent.stopped?.kind === "diverged") return { tone: "diverging", text: diverged(lane, zones, q) };
  if (zone === null) return { tone: "plain", text: "Curvature cannot be measured here: J is flat or not finite." };
  if (zones.adapts) return adaptive(lane, zones, zone);
  const bound = `2/λmax = ${short(zones.bound)}`;
  if (zone === "diverging") {
    const growth = (1 - state.rate * zones.largest) ** 2;
    if (state.optimizer === "sgd")
      return { tone: zone, text: `η is ${times(state.rate / zones.bound)} the largest stable one, ${bound}: along the steepest direction each step multiplies J − J* by (1 − ηλmax)² = ${short(growth)}.` };
    return { tone: zone, text: `η is ${times(state.rate / zones.bound)} the largest stable one of ${state.optimizer}, ${short(zones.bound)}: the steps grow.` };
  }
  if (!q) return network(lane, zones, zone);
  const kappa = q.kappa > 30 && state.scaling === "none" && state.optimizer === "sgd" ? ` κ = λmax/λmin = ${short(q.kappa)}: the inputs are scaled so differently that no η is quick; scale them.` : "";
  if (state.batch !== "all") return stochastic(lane, zones, zone);
  const forecast = predictedSteps(problem, state);
  const steps = forecast && Number.isFinite(forecast.steps) ? ` ${forecast.exact ? "" : "Some "}${count(forecast.steps)} steps to ${PART} of the first J − J*.` : "";
  if (zone === "small") return { tone: zone, text: `η is ${times(zones.bound / state.rate)} smaller than the largest stable one, ${bound}: it converges, but slowly.${steps}${kappa}` };
  if (zone === "overshooting") {
    const flips = state.optimizer === "sgd" ? `above 1/λmax = ${short(zones.half)} each step jumps across the valley (1 − ηλmax = ${short(1 - state.rate * zones.largest)}), and yet comes nearer` : "the steps swing across the valley, and yet come nearer";
    return { tone: zone, text: `η overshoots: ${flips}.${steps}${kappa}` };
  }
  return { tone: zone, text: `η is just right: ${short(state.rate / zones.bound)} of the largest stable one, ${bound}.${steps}${kappa}` };
}

function diverged({ descent, state }, zones, q) {
  const over = state.rate > zones.bound ? `η = ${short(state.rate)} is ${times(state.rate / zones.bound)} the largest stable one, ${short(zones.bound)}` : "single events are steeper than their mean, so that η is too large for them";
  return `Diverged at step ${count(descent.step)}: J is a million times that of the start. ${over}.${q ? "" : ""} Lower η, then go back to the start.`;
}

function adaptive({ state }, zones, zone) {
  const of = `ηλmax is ${short(state.rate / zones.bound)} of the bound of ${state.optimizer} (λmax ${zones.where})`;
  const text = { small: `${of}: small steps, each of about η = ${short(state.rate)} in every parameter.`, right: `${of}: stable. It divides each slope by its size, so scaling matters less.`, overshooting: `${of}: close to the edge, so it swings.`, diverging: `${of}: above the edge, J swings instead of settling; a schedule helps.` }[zone];
  return { tone: zone, text };
}

function network({ problem, state, descent }, zones, zone) {
  const what = problem.objective.isLinear ? "The classes are separable: J falls without end as θ grows" : "J of a network has many minima, plateaus and ridges; nothing tells the steps beforehand";
  const now = `λmax = ${short(zones.largest)} ${zones.where}, so η is ${short(state.rate / zones.bound)} of the largest stable one, ${short(zones.bound)}`;
  const flat = descent.step > 20 && descent.gradientNorm < 1e-3 ? " ‖∇J‖ is nearly zero: a plateau, or a minimum." : "";
  return { tone: zone, text: `${what}. ${now}.${flat}` };
}

function stochastic({ state, problem, descent }, zones, zone) {
  const m = problem.events.y.length;
  const size = Math.min(state.batch, m);
  const what = size === 1 ? "Each step looks at one event" : `Each step looks at ${count(size)} of ${count(m)} events`;
  const gain = `${count(m / size)} steps cost one pass over the data`;
  const settle = state.schedule === "constant" ? `with a constant η the noise does not let it settle (its floor grows like η/batch): a schedule does` : `the schedule lowers η (now ${short(descent.rate)}), so the noise dies out and it settles`;
  return { tone: zone === "small" ? "small" : zone, text: `${what}: ${gain}, but the gradient is noisy; ${settle}.` };
}

/** What a race shows, once it has run. */
export function raceSentence(lanes, names) {
  const running = lanes.filter((lane) => lane.descent.stopped?.kind !== "diverged" && lane.curve.values.length > 1);
  const fallen = lanes.filter((lane) => lane.descent.stopped?.kind === "diverged").map((lane) => names[lane.number]);
  const tail = fallen.length ? ` Diverged: ${fallen.join(", ")}.` : "";
  if (!running.length) return tail.trim();
  const best = running.reduce((a, b) => (b.J < a.J ? b : a));
  if (best.descent.step === 0) return "";
  return `Lowest so far: ${names[best.number]}, J = ${short(best.J, 4)} after ${count(best.descent.step)} steps.${tail}`;
}
