// The surface from above: tones and lines of equal J, and the paths on it.

import { drawAxes, extent, frame, prepared, toneOf } from "./canvas.js";
import { ON_SURFACE, surfaceColour } from "./colours.js";

const LEVELS = 14;

/** Draws a Surface and paths of [a, b]; the tones are kept until the surface changes. */
export class Contour {
  constructor() {
    this._image = null;
    this._of = null;
  }

  /** `paths`: [{places: [[a, b], …], lane}]; returns the frame, for clicks. */
  draw(canvas, surface, paths) {
    const { context, width, height } = prepared(canvas);
    const f = frame(width, height, surface.rangeA, surface.rangeB);
    this._paint(surface);
    context.imageSmoothingEnabled = true;
    context.drawImage(this._image, f.left, f.top, f.w, f.h);
    if (surface.done) this._lines(context, surface, f);
    drawAxes(context, f, surface.nameA, surface.nameB, { grid: false });
    context.save();
    context.beginPath();
    context.rect(f.left, f.top, f.w, f.h);
    context.clip();
    if (surface.minimum) cross(context, f.x(surface.minimum[0]), f.y(surface.minimum[1]));
    for (const { places, lane } of paths) drawPath(context, places.map(([a, b]) => [f.x(a), f.y(b)]), lane);
    context.restore();
    return f;
  }

  /** Tones of the rows that are computed, one pixel a point. */
  _paint(surface) {
    const mark = `${surface.row}`;
    if (this._of === surface && this._mark === mark) return;
    const n = surface.points;
    this._image ??= document.createElement("canvas");
    this._image.width = this._image.height = n;
    const context = this._image.getContext("2d");
    const pixels = context.createImageData(n, n);
    const [low, high] = extent(surface.values);
    for (let j = 0; j < n; j++)
      for (let i = 0; i < n; i++) {
        const value = surface.values[j * n + i];
        const at = 4 * ((n - 1 - j) * n + i);
        if (Number.isNaN(value)) continue;
        pixels.data.set([...surfaceColour(toneOf(value, low, high)), 255], at);
      }
    context.putImageData(pixels, 0, 0);
    Object.assign(this, { _of: surface, _mark: mark, _range: [low, high], _contours: null });
  }

  _lines(context, surface, f) {
    const [low, high] = this._range;
    this._contours ??= contours(surface, low, high);
    context.strokeStyle = "rgba(255, 255, 255, 0.45)";
    context.lineWidth = 1;
    context.beginPath();
    for (const [a0, b0, a1, b1] of this._contours) {
      context.moveTo(f.x(a0), f.y(b0));
      context.lineTo(f.x(a1), f.y(b1));
    }
    context.stroke();
  }
}

/** Segments of equal J at levels that are evenly spaced in tone: marching squares. */
function contours(surface, low, high) {
  const n = surface.points;
  const tone = surface.values.map((value) => toneOf(value, low, high));
  const segments = [];
  for (let level = 1; level < LEVELS; level++) {
    const wanted = level / LEVELS;
    for (let j = 0; j + 1 < n; j++)
      for (let i = 0; i + 1 < n; i++) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        const values = corners.map(([p, q]) => tone[q * n + p]);
        const cuts = [];
        for (let k = 0; k < 4; k++) {
          const [x, y] = [values[k], values[(k + 1) % 4]];
          if (x < wanted === y < wanted || !Number.isFinite(x + y)) continue;
          const part = (wanted - x) / (y - x);
          const [p, q] = [corners[k], corners[(k + 1) % 4]];
          cuts.push([p[0] + part * (q[0] - p[0]), p[1] + part * (q[1] - p[1])]);
        }
        for (let k = 0; k + 1 < cuts.length; k += 2)
          segments.push([
            surface.coordinate(0, cuts[k][0]), surface.coordinate(1, cuts[k][1]),
            surface.coordinate(0, cuts[k + 1][0]), surface.coordinate(1, cuts[k + 1][1]),
          ]);
      }
  }
  return segments;
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

/** A path in pixels: a line with a dark rim, its steps where they are few, its end as a disc. */
export function drawPath(context, points, lane) {
  if (!points.length) return;
  const colour = ON_SURFACE[lane % ON_SURFACE.length];
  context.lineJoin = "round";
  for (const [width, style] of [[5, "rgba(0, 20, 45, 0.75)"], [2.6, colour]]) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.beginPath();
    points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
  }
  if (points.length <= 60) for (const point of points) disc(context, point, 3, colour);
  disc(context, points[0], 5, "#ffffff");
  disc(context, points[points.length - 1], 7, colour);
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
