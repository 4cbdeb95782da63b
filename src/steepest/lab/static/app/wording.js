// Sentences and thresholds of steepest.explain.wording, which come with the page's data.

import { short } from "./numbers.js";

const table = { sentences: {}, thresholds: {} };

/** Take the table over, once, before anything is said. */
export const learn = (given) => Object.assign(table, given);

export const threshold = (name) => table.thresholds[name];

/** A sentence with its numbers, without the full stop. */
export const said = (key, values = {}) => table.sentences[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

export const times = (factor) => (factor < 1.1 ? `${short(100 * (factor - 1), 2)} % above` : `${short(factor)} times`);
