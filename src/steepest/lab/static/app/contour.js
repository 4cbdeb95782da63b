// The surface from above: tones and lines of equal J, and the paths on it.

import { drawAxes, extent, frame, prepared, scaled, sized, toneOf } from "./canvas.js";
import { ON_SURFACE, dark, surfaceColour } from "./colours.js";

const LEVELS = 14;
/** Steps up to which each is marked. */
export const MOST_DISCS = 60;
/** Widths of the line of a path: the longer the line, the thinner, so that the surface shows. */
const [THIN, THICK] = [1.1, 2.6];
export const lineWidth = (length, width, height) => scaled(Math.min(Math.max((THICK * (width + height)) / (1.5 * length), THIN), THICK));
export const length = (points) => points.reduce((sum, [x, y], i) => sum + (i ? Math.hypot(x - points[i - 1][0], y - points[i - 1][1]) : 0), 0);

/** Draws a Surface; what has not changed is not drawn again. */
export class Contour {
  constructor() {
    this._mark = "";
    this._tones = document.createElement("canvas");
    this._traces = [];
  }

  /** Tones, lines and axes to `canvas` where they have changed; returns the frame, for clicks. */
  drawSurface(canvas, surface) {
    const { ratio, width, height, changed } = sized(canvas);
    const mark = `${surface.row} ${surface.nameA} ${surface.nameB} ${ratio} ${dark()}`;
    if (!changed && this._canvas === canvas && this._surface === surface && this._mark === mark) return this.frame;
    const painted = this._surface === surface && this._row === surface.row;
    Object.assign(this, { _canvas: canvas, _surface: surface, _mark: mark, _row: surface.row });
    const { context } = prepared(canvas);
    const f = frame(width, height, surface.rangeA, surface.rangeB);
    if (!painted) this._paint(surface);
    context.imageSmoothingEnabled = true;
    context.drawImage(this._tones, f.left, f.top, f.w, f.h);
    if (surface.done) this._lines(context, surface, f);
    drawAxes(context, f, surface.nameA, surface.nameB, { grid: false });
    if (surface.minimum) cross(context, f.x(surface.minimum[0]), f.y(surface.minimum[1]));
    this.frame = f;
    this._traces = [];
    return f;
  }

  /** Paths to the canvas above: [{places: {list, now}, lane}]; only new places are added to the lines. */
  drawPaths(canvas, paths) {
    const { context } = prepared(canvas);
    const f = this.frame;
    context.save();
    context.beginPath();
    context.rect(f.left, f.top, f.w, f.h);
    context.clip();
    for (const { places, lane } of paths) {
      if (this._traces[lane]?.list !== places.list) this._traces[lane] = { list: places.list, line: new Path2D(), count: 0, length: 0 };
      const trace = this._traces[lane];
      const pixels = ([a, b]) => [f.x(a), f.y(b)];
      for (; trace.count < places.list.length; trace.count++) {
        const at = pixels(places.list[trace.count]);
        trace.line.lineTo(...at);
        trace.length += trace.end ? Math.hypot(at[0] - trace.end[0], at[1] - trace.end[1]) : 0;
        trace.end = at;
      }
      const few = places.list.slice(0, places.list.length <= MOST_DISCS ? undefined : 1).map(pixels);
      const now = places.now && pixels(places.now);
      const line = new Path2D(trace.line);
      if (now) line.lineTo(...now);
      drawPath(context, line, few, now, lane, lineWidth(trace.length, f.w, f.h));
    }
    context.restore();
  }

  /** Tones of the points that are computed, a pixel each. */
  _paint(surface) {
    const n = surface.points;
    this._tones.width = this._tones.height = n;
    const context = this._tones.getContext("2d");
    const pixels = context.createImageData(n, n);
    const [low, high] = extent(surface.values);
    for (let j = 0; j < surface.row; j++)
      for (let i = 0; i < n; i++) {
        const at = 4 * ((n - 1 - j) * n + i);
        if (!Number.isFinite(surface.values[j * n + i])) continue; // J overflows there
        surfaceColour(toneOf(surface.values[j * n + i], low, high), pixels.data, at);
        pixels.data[at + 3] = 255;
      }
    context.putImageData(pixels, 0, 0);
    if (surface.done) this._contours = contours(surface, low, high);
  }

  _lines(context, surface, f) {
    context.strokeStyle = "rgba(255, 255, 255, 0.45)";
    context.lineWidth = 1;
    context.beginPath();
    const x = (i) => f.left + (i / (surface.points - 1)) * f.w;
    const y = (j) => f.top + f.h - (j / (surface.points - 1)) * f.h;
    const ends = this._contours;
    for (let k = 0; k < ends.length; k += 4) {
      context.moveTo(x(ends[k]), y(ends[k + 1]));
      context.lineTo(x(ends[k + 2]), y(ends[k + 3]));
    }
    context.stroke();
  }
}

/** Segments of equal J in grid units, four numbers each: marching squares at levels evenly spaced in tone. */
function contours(surface, low, high) {
  const n = surface.points;
  const tone = surface.values.map((value) => toneOf(value, low, high) * LEVELS);
  const ends = [];
  const corner = [[0, 0], [1, 0], [1, 1], [0, 1]];
  for (let j = 0; j + 1 < n; j++)
    for (let i = 0; i + 1 < n; i++) {
      const at = j * n + i;
      const values = [tone[at], tone[at + 1], tone[at + n + 1], tone[at + n]];
      const [least, most] = [Math.min(...values), Math.max(...values)];
      if (!Number.isFinite(most - least)) continue;
      for (let level = Math.max(Math.ceil(least), 1); level < Math.min(most, LEVELS); level++) {
        const before = ends.length;
        for (let k = 0; k < 4; k++) {
          const [u, v] = [values[k], values[(k + 1) % 4]];
          if (u < level === v < level) continue;
          const part = (level - u) / (v - u);
          const [[p, q], [r, s]] = [corner[k], corner[(k + 1) % 4]];
          ends.push(i + p + part * (r - p), j + q + part * (s - q));
        }
        if ((ends.length - before) % 4) ends.length = before;
      }
    }
  return ends;
}

function cross(context, x, y) {
  for (const [width, colour] of [[5, "rgba(0, 20, 45, 0.8)"], [2, "#ffffff"]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(x - 7, y);
    context.lineTo(x + 7, y);
    context.moveTo(x, y - 7);
    context.lineTo(x, y + 7);
    context.stroke();
  }
}

/** A path in pixels: a line with a dark rim, discs at `places` (the first is the start) and at its end. */
export function drawPath(context, path, places, now, lane, thick) {
  if (!places.length) return;
  const colour = ON_SURFACE[lane % ON_SURFACE.length];
  context.lineJoin = "round";
  for (const [width, style] of [[1.9 * thick, "rgba(0, 20, 45, 0.75)"], [thick, colour]]) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.stroke(path);
  }
  for (const place of places.slice(1)) disc(context, place, scaled(3), colour);
  disc(context, places[0], scaled(5), "#ffffff");
  if (now) disc(context, now, scaled(7), colour);
}

function disc(context, [x, y], radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = "rgba(0, 20, 45, 0.9)";
  context.stroke();
}
