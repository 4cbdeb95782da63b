// The state of the playground, and its URL: everything that a lecturer hands out as a link.

import { SCHEDULES, RULES } from "../twin/index.js";

export const BEGIN = {
  data: "noisy-line",
  features: null, // those that the data set begins with
  hidden: [],
  activation: "tanh",
  scaling: "none",
  batch: "all",
  optimizer: "sgd",
  momentum: 0.9,
  rate: 0.1,
  schedule: "constant",
  epochs: 200,
  l2: 0,
  seed: 0,
  start: null, // θ₀; null is the library's
  axes: null, // two parameters that span the surface
  view: "contour",
  speed: 3,
  race: [], // what other settings differ by
};

const ACTIVATIONS = ["tanh", "relu", "sigmoid"];
const NAMES = {
  batch: (text) => (text === "all" ? text : whole(text, 1, 1e6)),
  hidden: (text) => text.split("-").filter(Boolean).map((one) => whole(one, 1, 32)).slice(0, 3),
  features: (text) => text.split(",").filter((name) => name).slice(0, 64),
  start: (text) => text.split(",").map(Number).map((x) => finite(x)).slice(0, 2000),
  axes: (text) => text.split(",").map((one) => whole(one, 0, 2000)).slice(0, 2),
  rate: (text) => within(Number(text), 1e-12, 1e6),
  momentum: (text) => within(Number(text), 0, 0.999),
  l2: (text) => within(Number(text), 0, 1e3),
  epochs: (text) => whole(text, 1, 1e7),
  seed: (text) => whole(text, 0, 1e9),
  speed: (text) => whole(text, 0, SPEEDS.length - 1),
  optimizer: (text) => oneOf(text, Object.keys(RULES)),
  schedule: (text) => oneOf(text, SCHEDULES),
  activation: (text) => oneOf(text, ACTIVATIONS),
  view: (text) => oneOf(text, ["contour", "3d"]),
  scaling: (text) => oneOf(text, ["none", "standard", "min-max", "robust", "whiten"]),
  data: (text) => text.slice(0, 80),
};
/** What settings of a race may differ in. */
export const RACED = ["rate", "batch", "scaling", "optimizer", "momentum", "schedule", "l2"];
/** Steps a frame. */
export const SPEEDS = [1 / 30, 1 / 8, 1 / 2, 1, 4, 20, 100, 1000];

function finite(x) {
  if (!Number.isFinite(x)) throw new Error("a finite number");
  return x;
}

function within(x, low, high) {
  if (!(x >= low && x <= high)) throw new Error(`a number from ${low} to ${high}`);
  return x;
}

function whole(text, low, high) {
  return within(/^\d+$/.test(text) ? Number(text) : NaN, low, high);
}

function oneOf(text, known) {
  if (!known.includes(text)) throw new Error(`one of ${known.join(", ")}`);
  return text;
}

const written = (key, value) =>
  key === "hidden" ? value.join("-") : Array.isArray(value) ? value.join(",") : String(value);

/** The state as a query; what is as at the beginning is left out. */
export function encode(state) {
  const parts = new URLSearchParams();
  for (const key of Object.keys(NAMES)) {
    const value = state[key];
    if (value === null || JSON.stringify(value) === JSON.stringify(BEGIN[key])) continue;
    parts.set(key, written(key, value));
  }
  for (const other of state.race)
    parts.append("race", RACED.filter((k) => k in other).map((k) => `${k}:${written(k, other[k])}`).join(";"));
  return parts.toString();
}

/** The state of a query, and a sentence for each part of it that is not understood. */
export function decode(query) {
  const state = structuredClone(BEGIN);
  const faults = [];
  const read = (key, text, target) => {
    try {
      target[key] = NAMES[key](text);
    } catch (error) {
      faults.push(`The link's ${key} = “${text.slice(0, 40)}” is not understood: ${error.message}.`);
    }
  };
  for (const [key, text] of new URLSearchParams(query)) {
    if (key === "race" && state.race.length < 3) {
      const other = {};
      for (const pair of text.split(";")) {
        const [name, value] = pair.split(":");
        if (RACED.includes(name) && value !== undefined) read(name, value, other);
      }
      state.race.push(other);
    } else if (key in NAMES) read(key, text, state);
  }
  return { state, faults };
}
