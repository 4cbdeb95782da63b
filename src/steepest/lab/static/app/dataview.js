// The data with what the model says of them: line, boundary, or the scores of both classes.

import { drawAxes, extent, frame, prepared } from "./canvas.js";
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
  const f = frame(width, height, padded(extent(x)), padded(extent(labels), 0.12));
  drawAxes(context, f, axisTitle(problem, 0), labelTitle(problem));
  context.save();
  clip(context, f);
  points(context, f, x, labels, () => palette().muted, problem);
  const order = Array.from(x.keys()).sort((i, j) => x[i] - x[j]);
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
    else order.forEach((row, i) => draw(x[row], own.objective.logits(theta, own.events.x, row)[0], i));
    context.stroke();
  }
  context.restore();
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
  const [x, y] = [problem.events.columns[0], problem.events.columns[Math.min(1, problem.features.length - 1)]];
  const f = frame(width, height, padded(extent(x)), padded(extent(y)));
  const colours = palette().classes;
  context.save();
  clip(context, f);
  tones(context, f, problem, lanes[0], colours);
  points(context, f, x, y, (row) => colours[problem.dataset.labels[row]], problem);
  for (const lane of lanes) borders(context, f, lane);
  context.restore();
  drawAxes(context, f, axisTitle(problem, 0), axisTitle(problem, Math.min(1, problem.features.length - 1)), { grid: false });
}

/** Inputs of a model at a place of the plane; further features are at their mean. */
function inputsAt(problem, a, b) {
  problem._means ??= problem.events.columns.map((column) => column.reduce((sum, v) => sum + v, 0) / column.length);
  const raw = Float64Array.from(problem._means);
  raw[0] = a;
  if (raw.length > 1) raw[1] = b;
  return problem.events.transform(raw);
}

function grid(f, { problem, theta }) {
  const values = [];
  for (let j = 0; j <= CELLS; j++)
    for (let i = 0; i <= CELLS; i++) {
      const a = f.rangeX[0] + ((f.rangeX[1] - f.rangeX[0]) * i) / CELLS;
      const b = f.rangeY[0] + ((f.rangeY[1] - f.rangeY[0]) * j) / CELLS;
      const p = problem.objective.predict(theta, inputsAt(problem, a, b), 0);
      values.push(p.length === 1 ? [1 - p[0], p[0]] : p);
    }
  return values;
}

function tones(context, f, problem, lane, colours) {
  const values = grid(f, lane);
  lane.grid = values;
  const image = (toneImage ??= document.createElement("canvas"));
  const side = CELLS + 1;
  image.width = image.height = side;
  const pixels = image.getContext("2d").createImageData(side, side);
  for (let j = 0; j < side; j++)
    for (let i = 0; i < side; i++) {
      const p = values[j * side + i];
      const best = p.indexOf(Math.max(...p));
      const above = Math.max((p[best] - 1 / p.length) / (1 - 1 / p.length), 0);
      const alpha = 255 * (0.06 + 0.34 * above);
      pixels.data.set([...rgb(colours[best]), alpha], 4 * ((side - 1 - j) * side + i));
    }
  image.getContext("2d").putImageData(pixels, 0, 0);
  // the first and last points lie on the edges of the frame
  const [w, h] = [f.w / CELLS, f.h / CELLS];
  context.drawImage(image, f.left - w / 2, f.top - h / 2, f.w + w, f.h + h);
}

let toneImage = null;
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function borders(context, f, lane) {
  const values = lane.grid ?? grid(f, lane);
  const best = values.map((p) => p.indexOf(Math.max(...p)));
  context.strokeStyle = palette().lanes[lane.lane];
  context.lineWidth = 3;
  const [w, h] = [f.w / CELLS, f.h / CELLS];
  const top = Math.max(...best);
  context.beginPath();
  for (let k = 0; k <= top; k++) {
    // zero of p_k − the largest other, cell by cell
    const value = values.map((p) => p[k] - Math.max(...p.filter((_, i) => i !== k)));
    for (let j = 0; j < CELLS; j++)
      for (let i = 0; i < CELLS; i++) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        const cuts = [];
        for (let c = 0; c < 4; c++) {
          const [p, q] = [corners[c], corners[(c + 1) % 4]];
          const [u, v] = [value[p[1] * (CELLS + 1) + p[0]], value[q[1] * (CELLS + 1) + q[0]]];
          if (u < 0 === v < 0) continue;
          const part = u / (u - v);
          cuts.push([f.left + (p[0] + part * (q[0] - p[0])) * w, f.top + f.h - (p[1] + part * (q[1] - p[1])) * h]);
        }
        if (cuts.length >= 2) {
          context.moveTo(...cuts[0]);
          context.lineTo(...cuts[1]);
        }
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
