// A line that says why the descent does what it does, from the numbers that curvature gives: as
// steepest.explain.explain_setting, with what a descent that runs adds to it.

import { predictedSteps, zoneOf } from "./forecast.js";
import { count, short, shortBelow } from "./numbers.js";
import { said, threshold, times } from "./wording.js";

/** Sentences on the setting, before and while it runs: {tone, text}. */
export function explanation(lane, zones) {
  const { descent, state, problem } = lane;
  const zone = zoneOf(state.rate, zones);
  if (descent.stopped?.kind === "diverged") return { tone: "diverging", text: diverged(lane, zones) };
  if (zone === null) return { tone: "plain", text: `${zones.largest <= 0 ? said("flat", { largest: short(zones.largest) }) : said("not-finite")}.` };
  if (zones.adapts) return adaptive(lane, zones, zone);
  if (zone !== "diverging" && !problem.quadratic) return network(lane, zones, zone);
  if (zone !== "diverging" && state.batch !== "all") return stochastic(lane, zone);
  return { tone: zone, text: settingText(problem, state, zones, zone) };
}

/** What is said of η where each step takes all events; word for word that of explain_setting. */
export function settingText(problem, state, zones, zone) {
  const { rate, optimizer } = state;
  const plain = optimizer === "sgd";
  const q = problem.quadratic;
  const values = { name: boundName(state, zones), bound: shortBelow(zones.bound), newton: short(zones.half) };
  if (zone === "diverging") {
    const growth = plain ? `: ${said("grows", { along: "the steepest direction", growth: short((1 - rate * zones.largest) ** 2) })}` : "";
    return `${said("too-large", { times: times(rate / zones.bound), ...values })}${growth}${q ? "" : `; ${said("edge")}`}.`;
  }
  const first = {
    small: () => `${said("too-small", { times: times(zones.bound / rate) })}, ${said("slowly", values)}.`,
    right: () => `${said("just-right", { part: short(rate / zones.bound), ...values })}.`,
    overshooting: () => `${said(plain ? "overshoots" : "swings", { left: short(1 - rate * zones.largest), ...values })}.`,
  }[zone]();
  const forecast = q && predictedSteps(problem, state);
  const steps = forecast ? ` ${said(Number.isFinite(forecast.steps) ? "steps" : "never", { steps: count(forecast.steps), part: short(threshold("part")) })}.` : "";
  const skewed = q && plain && q.kappa > threshold("skewed") ? ` ${said("skewed", { kappa: short(q.kappa) })}: ${said("scale")}.` : "";
  return `${first}${steps}${skewed}`;
}

const boundName = ({ optimizer }, zones) =>
  optimizer === "sgd" ? "2/λmax" : zones.adapts ? `the bound of ${optimizer}` : `${short(zones.bound * zones.largest)}/λmax`;

function diverged({ descent, state }, zones) {
  const values = { times: times(state.rate / zones.bound), name: boundName(state, zones), bound: shortBelow(zones.bound) };
  const why = state.rate > zones.bound ? said("too-large", values) : said("single-events");
  return `${said("diverged", { step: count(descent.step) })}. ${why}. ${said("lower")}.`;
}

function adaptive({ state }, zones, zone) {
  const of = said("of-bound", { part: short(state.rate / zones.bound), rule: state.optimizer, where: zones.where });
  return { tone: zone, text: `${of}: ${said(`adapts-${zone}`, { rate: short(state.rate) })}.` };
}

function network({ problem, state, descent }, zones, zone) {
  const what = said(problem.objective.isLinear ? "separable" : "network");
  const now = said("local", { largest: short(zones.largest), where: zones.where, part: short(state.rate / zones.bound), bound: shortBelow(zones.bound) });
  const flat = descent.step > 20 && descent.gradientNorm < threshold("level") ? ` ${said("level")}.` : "";
  return { tone: zone, text: `${what}. ${now}.${flat}` };
}

function stochastic({ state, problem, descent }, zone) {
  const events = problem.events.y.length;
  const size = Math.min(state.batch, events);
  const what = said(size === 1 ? "one-event" : "batches", { size: count(size), events: count(events), steps: count(events / size) });
  return { tone: zone, text: `${what}; ${said(state.schedule === "constant" ? "noisy" : "annealed", { rate: short(descent.rate) })}.` };
}

/** What a race shows, once it has run. */
export function raceSentence(lanes, names) {
  const running = lanes.filter((lane) => lane.descent.stopped?.kind !== "diverged" && lane.curve.values.length > 1);
  const fallen = lanes.filter((lane) => lane.descent.stopped?.kind === "diverged").map((lane) => names[lane.number]);
  const tail = fallen.length ? `${said("fallen", { names: fallen.join(", ") })}.` : "";
  if (!running.length) return tail;
  const best = running.reduce((a, b) => (b.J < a.J ? b : a));
  if (best.descent.step === 0) return "";
  return `${said("best-of-race", { name: names[best.number], loss: short(best.J, 4), steps: count(best.descent.step) })}. ${tail}`.trim();
}
