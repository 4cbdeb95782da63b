// What leaves the page: the recipe and the Python lines that give the same descent, pictures.

import { initializationOf } from "../twin/index.js";

const text = (value) => JSON.stringify(value); // of plain strings TOML's and Python's are JSON's

function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (value !== null && typeof value === "object")
    return `{ ${Object.entries(value).map(([key, one]) => `${bare(key)} = ${toml(one)}`).join(", ")} }`;
  if (typeof value === "number") return number(value);
  return text(value);
}

const bare = (key) => (/^[A-Za-z0-9_-]+$/.test(key) ? key : text(key));

/** A number as TOML and Python read it: 1e-7 needs no point, 5 is an integer. */
const number = (value) => String(value);
const float = (value) => (Number.isInteger(value) && Math.abs(value) < 1e16 ? { toString: () => `${value}.0` } : value);

/** The tables of the recipe that trains what the page shows. */
export function recipeTables(state, problem) {
  const { description } = problem.dataset;
  const features = problem.features.map((name) => description.features[problem.dataset.index(name)].recipe);
  const hidden = state.hidden;
  const model = { hidden };
  if (hidden.length) {
    model.activation = state.activation;
    model.initialization = initializationOf(hidden, state.activation);
  }
  if (state.start) model.start = Array.from(state.start);
  const optimizer = { name: state.optimizer };
  if (["momentum", "nesterov"].includes(state.optimizer)) optimizer.momentum = state.momentum;
  return {
    events: { ...description.events_table, features },
    model,
    descent: {
      method: "descent", batch_size: state.batch, optimizer, learning_rate: state.rate,
      schedule: { name: state.schedule }, scaling: problem.dataset.scalings.includes(state.scaling) ? state.scaling : "none",
      l2: state.l2, epochs: state.epochs, dtype: "float64", seed: state.seed, keep: "last", history: { every: 1 },
    },
  };
}

const FLOATS = new Set(["learning_rate", "l2", "momentum"]);

/** The recipe as TOML. */
export function recipeText(state, problem) {
  const lines = [`# ${problem.title} on ${problem.dataset.description.title.toLowerCase()}: steepest train recipe.toml`];
  for (const [name, table] of Object.entries(recipeTables(state, problem))) {
    lines.push("", `[${name}]`);
    for (const [key, value] of Object.entries(table))
      lines.push(`${bare(key)} = ${FLOATS.has(key) ? float(value) : toml(value)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The Python lines that do the same. */
export function pythonText(state, problem) {
  const python = (value, indent) => {
    if (value === null) return "None";
    if (Array.isArray(value)) return `[${value.map((one) => python(one, indent)).join(", ")}]`;
    if (typeof value === "object") {
      const inner = Object.entries(value).map(([key, one]) => `${text(key)}: ${python(one, indent)}`);
      return `{${inner.join(", ")}}`;
    }
    if (typeof value === "boolean") return value ? "True" : "False";
    return typeof value === "number" ? number(value) : text(value);
  };
  const tables = Object.entries(recipeTables(state, problem)).map(([name, table]) => {
    const rows = Object.entries(table).map(([key, value]) => `        ${text(key)}: ${python(value)},`);
    return `    ${text(name)}: {\n${rows.join("\n")}\n    },`;
  });
  return ["import steepest", "", "recipe = steepest.Recipe.from_dict({", ...tables, "})", 'run = steepest.train(recipe, out="runs/from-the-lab")', 'print(run.history.select("step", "loss"))', ""].join("\n");
}

/** Offer a file for download. */
export function download(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** One picture on the panel's colour: columns of panels, each of them canvases on each other. */
export function composed(columns, background) {
  const wide = (column) => Math.max(...column.map(([first]) => first.width));
  const high = (column) => column.reduce((sum, [first]) => sum + first.height, 0);
  const all = document.createElement("canvas");
  all.width = columns.reduce((sum, column) => sum + wide(column), 0);
  all.height = Math.max(...columns.map(high));
  const context = all.getContext("2d");
  context.fillStyle = background;
  context.fillRect(0, 0, all.width, all.height);
  let x = 0;
  for (const column of columns) {
    let y = 0;
    for (const panel of column) {
      for (const canvas of panel) context.drawImage(canvas, x, y, panel[0].width, panel[0].height);
      y += panel[0].height;
    }
    x += wide(column);
  }
  return all;
}

/** Record a canvas that `draw` fills, as WebM; null where the browser cannot. */
export async function recorded(canvas, draw, seconds) {
  if (!canvas.captureStream || typeof MediaRecorder === "undefined") return null;
  const kind = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/mp4"].find((one) => MediaRecorder.isTypeSupported(one));
  if (!kind) return null;
  const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: kind, videoBitsPerSecond: 4e6 });
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const ended = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  const begin = performance.now();
  await new Promise((resolve) => {
    const next = () => {
      draw((performance.now() - begin) / (1000 * seconds));
      if (performance.now() - begin < 1000 * seconds) requestAnimationFrame(next);
      else resolve();
    };
    next();
  });
  recorder.stop();
  await ended;
  return new Blob(parts, { type: kind.split(";")[0] });
}
