// The data with what the model says of them: line, boundary, or the scores of both classes.

import { drawAxes, frame, prepared } from "./canvas.js";
import { dark, palette } from "./colours.js";
import { strideFor } from "../twin/index.js";

const MOST_POINTS = 1200;
const CELLS = 28;
const BINS = 40;

/** Draw the data of a problem with the models of some lanes: [{problem, theta, lane}]. */
export function drawData(canvas, problem, lanes) {
  const drawn = prepared(canvas);
  if (problem.task === "regression") drawRegression(drawn, problem, lanes);
  else if (problem.features.length === 2 || problem.task === "multiclass") drawPlane(drawn, problem, lanes);
  else drawScores(drawn, problem, lanes[0]);
}

/** What the panel shows, in words. */
export function dataTitle(problem) {
  if (problem.task === "regression") return "Data and fit";
  if (problem.features.length === 2 || problem.task === "multiclass") return "Data and boundary";
  return "Scores of both classes";
}

function padded([low, high], part = 0.06) {
  const reach = (high - low || 1) * part;
  return [low - reach, high + reach];
}

const axisTitle = (problem, j) => {
  const feature = problem.dataset.description.features[problem.dataset.index(problem.features[j])];
  return feature.unit ? `${feature.symbol} [${feature.unit}]` : feature.symbol;
};

function labelTitle({ dataset: { description } }) {
  return description.label_unit ? `${description.label_symbol} [${description.label_unit}]` : description.label_symbol;
}

function drawRegression({ context, width, height }, problem, lanes) {
  const x = problem.events.columns[0];
  const labels = problem.dataset.labels;
  const f = frame(width, height, padded(problem.range(0)), padded(problem.labelRange, 0.12));
  drawAxes(context, f, axisTitle(problem, 0), labelTitle(problem));
  context.save();
  clip(context, f);
  points(context, f, x, labels, () => palette().muted, problem);
  const along = problem.features.length === 1 ? evenly(f.rangeX) : null;
  for (const { problem: own, theta, lane } of lanes) {
    const { centre, width: unit } = own.events;
    context.strokeStyle = palette().lanes[lane];
    context.lineWidth = 3;
    context.beginPath();
    const draw = (value, z, i) => {
      const y = f.y(centre + unit * Math.max(Math.min(z, 1e6), -1e6));
      if (i) context.lineTo(f.x(value), y);
      else context.moveTo(f.x(value), y);
    };
    if (along)
      along.forEach((value, i) => draw(value, own.objective.logits(theta, own.events.transform(Float64Array.of(value)), 0)[0], i));
    else ascending(problem).forEach((row, i) => draw(x[row], own.objective.logits(theta, own.events.x, row)[0], i));
    context.stroke();
  }
  context.restore();
}

const orders = new WeakMap();

/** Some of the events, by their first feature. */
function ascending(problem) {
  if (!orders.has(problem)) {
    const stride = strideFor(problem.events, MOST_POINTS);
    const x = problem.events.columns[0];
    orders.set(problem, Array.from({ length: Math.ceil(x.length / stride) }, (_, i) => i * stride).sort((i, j) => x[i] - x[j]));
  }
  return orders.get(problem);
}

const evenly = ([low, high], steps = 80) => Array.from({ length: steps + 1 }, (_, i) => low + ((high - low) * i) / steps);

function clip(context, f) {
  context.beginPath();
  context.rect(f.left, f.top, f.w, f.h);
  context.clip();
}

/** The events as discs: drawn once for a size and a theme, then copied. */
function points(context, f, xs, ys, colour, problem) {
  const { width, height } = context.canvas;
  const key = JSON.stringify([f.rangeX, f.rangeY, width, height, dark(), problem.key]);
  if (layer.key !== key) {
    layer.canvas ??= document.createElement("canvas");
    Object.assign(layer.canvas, { width, height });
    const own = layer.canvas.getContext("2d");
    own.setTransform(context.getTransform());
    drawPoints(own, f, xs, ys, colour, problem);
    layer.key = key;
  }
  context.save();
  context.resetTransform();
  context.drawImage(layer.canvas, 0, 0);
  context.restore();
}

const layer = { key: null, canvas: null };

function drawPoints(context, f, xs, ys, colour, problem) {
  const stride = strideFor(problem.events, MOST_POINTS);
  const radius = xs.length / stride > 400 ? 2 : 4;
  context.globalAlpha = xs.length / stride > 400 ? 0.55 : 0.85;
  for (let row = 0; row < xs.length; row += stride) {
    context.fillStyle = colour(row);
    context.beginPath();
    context.arc(f.x(xs[row]), f.y(ys[row]), radius, 0, 2 * Math.PI);
    context.fill();
  }
}

/** Two features: the model's classes as tones, their borders, and the events; others at their mean. */
function drawPlane({ context, width, height }, problem, lanes) {
  const [first, second] = [0, Math.min(1, problem.features.length - 1)];
  const f = frame(width, height, padded(problem.range(first)), padded(problem.range(second)));
  const colours = palette().classes;
  const grids = lanes.map((lane) => probabilities(f, lane));
  context.save();
  clip(context, f);
  tones(context, f, grids[0], colours);
  points(context, f, problem.events.columns[first], problem.events.columns[second], (row) => colours[problem.dataset.labels[row]], problem);
  lanes.forEach(({ lane }, k) => borders(context, f, grids[k], palette().lanes[lane]));
  context.restore();
  drawAxes(context, f, axisTitle(problem, first), axisTitle(problem, second), { grid: false });
}

const SIDE = CELLS + 1;
const inputs = new WeakMap();

/** Inputs of a model on the grid of the plane, row by row; further features are at their mean. */
function inputsOn(f, problem) {
  if (!inputs.has(problem)) {
    const n = problem.features.length;
    const raw = Float64Array.from(problem.events.columns, (column) => column.reduce((sum, v) => sum + v, 0) / column.length);
    const x = new Float64Array(SIDE * SIDE * n);
    const at = ([low, high], i) => low + ((high - low) * i) / CELLS;
    for (let j = 0; j < SIDE; j++)
      for (let i = 0; i < SIDE; i++) {
        raw[0] = at(f.rangeX, i);
        if (n > 1) raw[1] = at(f.rangeY, j);
        x.set(problem.events.transform(raw), (j * SIDE + i) * n);
      }
    inputs.set(problem, x);
  }
  return inputs.get(problem);
}

/** P of each class on the grid: {classes, values}, those of one place together. */
function probabilities(f, { problem, theta }) {
  const x = inputsOn(f, problem);
  const classes = problem.classes.length;
  const values = new Float64Array(SIDE * SIDE * classes);
  for (let place = 0; place < SIDE * SIDE; place++) {
    const p = problem.objective.predict(theta, x, place);
    if (p.length === 1) {
      values[place * 2] = 1 - p[0];
      values[place * 2 + 1] = p[0];
    } else values.set(p, place * classes);
  }
  return { classes, values };
}

/** The most probable class of each place, and P of the most probable other than `than`. */
function best({ classes, values }, place, than = -1) {
  let found = -1;
  for (let k = 0; k < classes; k++)
    if (k !== than && (found < 0 || values[place * classes + k] > values[place * classes + found])) found = k;
  return found;
}

const toneImage = document.createElement("canvas");
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function tones(context, f, grid, hexes) {
  toneImage.width = toneImage.height = SIDE;
  const pixels = toneImage.getContext("2d").createImageData(SIDE, SIDE);
  const colours = hexes.map(rgb);
  for (let j = 0; j < SIDE; j++)
    for (let i = 0; i < SIDE; i++) {
      const place = j * SIDE + i;
      const k = best(grid, place);
      const above = Math.max((grid.values[place * grid.classes + k] - 1 / grid.classes) / (1 - 1 / grid.classes), 0);
      const at = 4 * ((SIDE - 1 - j) * SIDE + i);
      const colour = colours[k % colours.length];
      for (let c = 0; c < 3; c++) pixels.data[at + c] = colour[c];
      pixels.data[at + 3] = 255 * (0.06 + 0.34 * above);
    }
  toneImage.getContext("2d").putImageData(pixels, 0, 0);
  // the first and last points lie on the edges of the frame
  const [w, h] = [f.w / CELLS, f.h / CELLS];
  context.drawImage(toneImage, f.left - w / 2, f.top - h / 2, f.w + w, f.h + h);
}

/** Where a class is as probable as the best of the others: zero of their difference, cell by cell. */
function borders(context, f, grid, colour) {
  const { classes, values } = grid;
  context.strokeStyle = colour;
  context.lineWidth = 3;
  const [w, h] = [f.w / CELLS, f.h / CELLS];
  const ahead = new Float64Array(SIDE * SIDE);
  context.beginPath();
  for (let k = 1; k < classes; k++) {
    for (let place = 0; place < SIDE * SIDE; place++)
      ahead[place] = values[place * classes + k] - values[place * classes + best(grid, place, k)];
    for (let j = 0; j < CELLS; j++)
      for (let i = 0; i < CELLS; i++) {
        const at = j * SIDE + i;
        const corners = [at, at + 1, at + SIDE + 1, at + SIDE];
        const above = corners.filter((one) => ahead[one] >= 0).length;
        if (above === 0 || above === 4) continue;
        const cuts = [];
        for (let c = 0; c < 4; c++) {
          const [p, q] = [corners[c], corners[(c + 1) % 4]];
          const [u, v] = [ahead[p], ahead[q]];
          if (u < 0 === v < 0) continue;
          const part = u / (u - v);
          const x = (p % SIDE) + part * ((q % SIDE) - (p % SIDE));
          const y = Math.floor(p / SIDE) + part * (Math.floor(q / SIDE) - Math.floor(p / SIDE));
          cuts.push(f.left + x * w, f.top + f.h - y * h);
        }
        context.moveTo(cuts[0], cuts[1]);
        context.lineTo(cuts[2], cuts[3]);
      }
  }
  context.stroke();
}

/** Histograms of the score of both classes. */
function drawScores({ context, width, height }, problem, { problem: own, theta }) {
  const stride = strideFor(own.events, 4000);
  const counts = [new Float64Array(BINS), new Float64Array(BINS)];
  const totals = [0, 0];
  for (let row = 0; row < own.events.y.length; row += stride) {
    const p = own.objective.predict(theta, own.events.x, row)[0];
    const kind = own.dataset.labels[row];
    counts[kind][Math.min(Math.floor(p * BINS), BINS - 1)] += 1;
    totals[kind] += 1;
  }
  const shares = counts.map((c, k) => c.map((n) => n / Math.max(totals[k], 1)));
  const highest = Math.max(...shares[0], ...shares[1]);
  const f = frame(width, height, [0, 1], [0, 1.15 * highest]);
  drawAxes(context, f, `score P(${problem.classes[1]})`, "share of the class");
  shares.forEach((share, k) => {
    context.fillStyle = context.strokeStyle = palette().classes[k];
    context.lineWidth = 2.5;
    context.beginPath();
    context.moveTo(f.x(0), f.y(0));
    share.forEach((value, i) => {
      context.lineTo(f.x(i / BINS), f.y(value));
      context.lineTo(f.x((i + 1) / BINS), f.y(value));
    });
    context.lineTo(f.x(1), f.y(0));
    context.stroke();
    context.globalAlpha = 0.18;
    context.fill();
    context.globalAlpha = 1;
  });
}
