// The axes of the surface in three dimensions: along the two lower edges in front, and up one corner.

import { font, scaled, ticks } from "./canvas.js";
import { palette } from "./colours.js";
import { short } from "./numbers.js";

/** Pixels from an edge to its numbers and to its name. */
const NUMBERS = 14;
const NAME = 32;

/**
 * Draw the axes of a surface over [−1, 1]², from below to `top`.
 *
 * @param values low and high: J at the lower and the upper end
 * @param seen pixel(x, y, z) → [x, y] on the canvas, distance(x, y) of a lower corner from the eye
 */
export function drawAxes3D(context, width, height, surface, values, { pixel, distance }) {
  const colours = palette();
  Object.assign(context, { font: font(), lineWidth: 1, strokeStyle: colours.muted, textBaseline: "middle", textAlign: "center" });
  const [y, x] = [distance(0, -1) < distance(0, 1) ? -1 : 1, distance(-1, 0) < distance(1, 0) ? -1 : 1];
  const middle = pixel(0, 0, 0);
  const edges = [
    { name: surface.nameA, range: surface.rangeA, at: (s) => [s, y] },
    { name: surface.nameB, range: surface.rangeB, at: (s) => [x, s] },
  ];
  for (const { name, range, at } of edges) {
    const place = (s) => pixel(...at(s), 0);
    stroke(context, place(-1), place(1));
    const away = outwards(place(-1), place(1), middle);
    const moved = ([px, py], by) => [px + by * away[0], py + by * away[1]];
    context.fillStyle = colours.muted;
    for (const tick of ticks(range, 3)) {
      const along = (2 * (tick - range[0])) / (range[1] - range[0]) - 1;
      if (Math.abs(along) > 0.9) continue; // the numbers of another axis are at the corner
      const from = place(along);
      stroke(context, from, moved(from, scaled(4)));
      written(context, short(Math.abs(tick) < 1e-12 ? 0 : tick), moved(from, scaled(NUMBERS)), width, height);
    }
    context.fillStyle = colours.text;
    context.textAlign = Math.abs(away[0]) < 0.15 ? "center" : away[0] < 0 ? "right" : "left"; // away from the edge
    written(context, name, moved(place(0), scaled(NAME)), width, height);
    context.textAlign = "center";
  }
  if (Number.isFinite(values.low + values.high)) upright(context, colours, values, pixel, { x, y, width, height });
}

/** J along the outermost of the two corners that both hold a lower edge. */
function upright(context, colours, { low, high, top }, pixel, { x, y, width, height }) {
  const corners = [[x, -y], [-x, y]];
  const [left] = corners.sort((a, b) => pixel(...a, 0)[0] - pixel(...b, 0)[0]);
  const place = (z) => pixel(...left, z);
  stroke(context, place(0), place(top));
  context.textAlign = "right";
  context.fillStyle = colours.muted;
  for (const [z, value] of [[0, low], [top, high]]) {
    const [px, py] = place(z);
    context.fillText(short(value, 2), px - scaled(6), py);
  }
  context.fillStyle = colours.text;
  const [px, py] = place(top / 2);
  context.fillText("J", px - scaled(8), py);
}

/** The direction, of length one, from an edge away from the middle. */
function outwards(from, to, middle) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(dx, dy) || 1;
  const normal = [-dy / length, dx / length];
  const side = (from[0] - middle[0]) * normal[0] + (from[1] - middle[1]) * normal[1];
  return side < 0 ? normal.map((v) => -v) : normal;
}

function stroke(context, from, to) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

/** A text within the canvas. */
function written(context, text, [x, y], width, height) {
  const wide = context.measureText(text).width + 2;
  const before = { center: wide / 2, right: wide, left: 2 }[context.textAlign];
  context.fillText(text, Math.max(Math.min(x, width - (wide - before) - 2), before), Math.min(Math.max(y, 8), height - 8));
}
