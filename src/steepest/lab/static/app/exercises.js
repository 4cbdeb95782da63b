// Predict first, then run: questions whose answers are computed here, graded, and exported.

import { Lane } from "./lane.js";
import { finished } from "../twin/index.js";
import { arrived, zones as zonesOf } from "./forecast.js";
import { count, short } from "./numbers.js";

const MOST_STEPS = 20000;
const zones = (problem, state) => finished(zonesOf(problem, state));

/** Steps that a descent takes until J − J* is a thousandth of its start; null if it never does. */
function countedSteps(problem, state) {
  const { descent } = new Lane({ ...state, epochs: MOST_STEPS }, problem, 0);
  const { events, objective, quadratic } = problem;
  const goal = quadratic.lowest + arrived() * (objective.value(descent.theta, events) - quadratic.lowest);
  while (descent.step < MOST_STEPS && descent.take())
    if (objective.value(descent.theta, events) <= goal) return descent.step;
  return null;
}

const base = (changes) => ({ data: "noisy-line", scaling: "none", batch: "all", optimizer: "sgd", schedule: "constant", epochs: 400, speed: 3, ...changes });

/** Each has a state to run, a question, and an answer that is measured. */
export const EXERCISES = [
  { id: "converges-1", kind: "choice", choices: ["converges", "diverges"], question: "η = 0.45 on the noisy line. Does it converge, or diverge?", state: base({ rate: 0.45 }), answer: (problem, state) => (state.rate < zones(problem, state).bound ? "converges" : "diverges"), why: (problem, state) => `2/λmax = ${short(zones(problem, state).bound)}` },
  { id: "largest-rate", kind: "number", within: 0.1, question: "What is the largest stable η on the standardised parabola (features t and t²)?", state: base({ data: "parabola", scaling: "standard", rate: 0.5 }), answer: (problem, state) => zones(problem, state).bound, why: (problem, state) => `λmax = ${short(zones(problem, state).largest)}, and η must be below 2/λmax` },
  { id: "steps", kind: "number", within: 0.3, question: "η = 0.1 on the noisy line: how many steps until J − J* is a thousandth of its start?", state: base({ rate: 0.1 }), answer: countedSteps, why: (problem) => `along the flattest direction each step multiplies J − J* by (1 − ηλmin)² = ${short((1 - 0.1 * problem.quadratic.values[0]) ** 2)}` },
  { id: "overshoots", kind: "choice", choices: ["straight down", "zigzags, but converges", "diverges"], question: "η = 0.4 on the noisy line. What does the path look like?", state: base({ rate: 0.4, speed: 1 }), answer: (problem, state) => { const z = zones(problem, state); return state.rate > z.bound ? "diverges" : state.rate > z.half ? "zigzags, but converges" : "straight down"; }, why: (problem, state) => { const z = zones(problem, state); return `1/λmax = ${short(z.half)} and 2/λmax = ${short(z.bound)}`; } },
  { id: "scaling", kind: "number", within: 0.3, question: "How many times smaller does standardising t and t² make κ = λmax/λmin of the parabola?", state: base({ data: "parabola", rate: 3e-5, race: [{ scaling: "standard", rate: 0.49 }] }), answer: (problem, state, other) => problem.quadratic.kappa / other({ ...state, scaling: "standard" }).quadratic.kappa, why: (problem, state, other) => `κ falls from ${short(problem.quadratic.kappa)} to ${short(other({ ...state, scaling: "standard" }).quadratic.kappa)}` },
  { id: "momentum", kind: "number", within: 0.1, question: "With momentum β = 0.9, by which factor does the largest stable η grow?", state: base({ optimizer: "momentum", momentum: 0.9, rate: 0.5 }), answer: (problem, state) => zones(problem, state).bound / zones(problem, { ...state, optimizer: "sgd" }).bound, why: () => "the bound is 2(1 + β)/λmax" },
  { id: "settles", kind: "choice", choices: ["yes, exactly", "no, it jumps about"], question: "Single events, η = 0.1, constant. Does the descent settle at the minimum?", state: base({ batch: 1, rate: 0.1, epochs: 40, speed: 4 }), answer: (problem, state) => { const lane = new Lane(state, problem, 0); while (lane.take()); return lane.loss() - problem.quadratic.lowest > 1e-6 * Math.abs(problem.quadratic.lowest) ? "no, it jumps about" : "yes, exactly"; }, why: (problem, state) => { const lane = new Lane(state, problem, 0); while (lane.take()); return `J − J* is still ${short(lane.loss() - problem.quadratic.lowest)} after ${count(lane.descent.step)} steps`; } },
];

/** Grade an answer: {correct, computed, shown}. */
export function grade(exercise, given, problem, other) {
  const computed = exercise.answer(problem, exercise.state, other);
  const why = exercise.why(problem, exercise.state, other);
  if (exercise.kind === "choice") return { correct: given === computed, computed, shown: computed, why };
  const correct = computed !== null && Math.abs(given - computed) <= exercise.within * Math.abs(computed);
  return { correct, computed, shown: short(computed), why };
}

/** The answers as JSON for a course. */
export function exported(answers, version) {
  const list = EXERCISES.filter(({ id }) => id in answers).map(({ id, question, within }) => ({ id, question, ...answers[id], ...(within ? { tolerance: within } : {}) }));
  return { format: "steepest-exercises", version: 1, steepest: version, answered: list.length, correct: list.filter((one) => one.correct).length, of: EXERCISES.length, answers: list };
}
