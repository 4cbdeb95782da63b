// What the canvases share: sizes in device pixels, axes with ticks.

import { palette } from "./colours.js";
import { short } from "./numbers.js";

const sizes = new WeakMap();
/** Says "resize" when a box that was drawn into has another size. */
export const boxes = new EventTarget();
const observer = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) sizes.set(target, [contentRect.width, contentRect.height]);
  boxes.dispatchEvent(new Event("resize"));
});

/** Width and height of an element; asked of the layout once, as it makes the browser lay out anew. */
export function sizeOf(element) {
  if (!sizes.has(element)) {
    sizes.set(element, [element.clientWidth, element.clientHeight]);
    observer.observe(element);
  }
  return sizes.get(element);
}

/** Give a canvas the device pixels of its box: {ratio, width, height, changed}. */
export function sized(canvas) {
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const [width, height] = sizeOf(canvas);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  const changed = canvas.width !== w || canvas.height !== h;
  if (changed) Object.assign(canvas, { width: w, height: h });
  return { ratio, width, height, changed };
}

/** Size a canvas to its box, and clear it; returns its context in CSS pixels, with width and height. */
export function prepared(canvas) {
  const { ratio, width, height } = sized(canvas);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Pixels of the page's text, as a part of the usual 16: larger on a projector. */
let unit = null;
addEventListener("resize", () => (unit = null));
export const scaled = (pixels) => pixels * (unit ??= parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1);
export const font = () => `${scaled(13)}px system-ui, sans-serif`;

const margin = () => ({ left: scaled(66), right: scaled(12), top: scaled(10), bottom: scaled(40) });

/** Maps of values to pixels inside the margins. */
export function frame(width, height, rangeX, rangeY) {
  const { left, right, top, bottom } = margin();
  const [w, h] = [width - left - right, height - top - bottom];
  return {
    left, top, w, h, rangeX, rangeY,
    x: (value) => left + ((value - rangeX[0]) / (rangeX[1] - rangeX[0])) * w,
    y: (value) => top + h - ((value - rangeY[0]) / (rangeY[1] - rangeY[0])) * h,
    ofX: (pixel) => rangeX[0] + ((pixel - left) / w) * (rangeX[1] - rangeX[0]),
    ofY: (pixel) => rangeY[0] + ((top + h - pixel) / h) * (rangeY[1] - rangeY[0]),
  };
}

/** Round values within a range, some five of them. */
export function ticks([low, high], most = 5) {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [];
  const power = 10 ** Math.floor(Math.log10(span / most));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => span / s <= most);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * span; k++) found.push(k * step);
  return found;
}

/** Axes of a frame with ticks and labels. */
export function drawAxes(context, f, labelX, labelY, { grid = true } = {}) {
  const colours = palette();
  context.font = font();
  context.lineWidth = 1;
  context.fillStyle = colours.muted;
  context.strokeStyle = colours.grid;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const tick of ticks(f.rangeX)) {
    if (grid) line(context, f.x(tick), f.top, f.x(tick), f.top + f.h);
    context.fillText(short(Math.abs(tick) < 1e-12 ? 0 : tick), f.x(tick), f.top + f.h + scaled(5));
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const tick of ticks(f.rangeY)) {
    if (grid) line(context, f.left, f.y(tick), f.left + f.w, f.y(tick));
    context.fillText(short(Math.abs(tick) < 1e-12 ? 0 : tick), f.left - scaled(6), f.y(tick));
  }
  context.fillStyle = colours.text;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  context.fillText(cut(context, labelX, f.w), f.left + f.w / 2, f.top + f.h + margin().bottom - 1);
  context.save();
  context.translate(scaled(9), f.top + f.h / 2);
  context.rotate(-Math.PI / 2);
  context.textBaseline = "middle";
  context.fillText(cut(context, labelY, f.h + scaled(30)), 0, 0);
  context.restore();
}

/** A text in so many pixels, with … for what has no place. */
function cut(context, text, most) {
  if (context.measureText(text).width <= most) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > most) length -= 1;
  return `${text.slice(0, length)}…`;
}

export function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** The part of a tone scale for J: steep near the minimum, so that the valley shows. */
export function toneOf(value, low, high) {
  const part = (value - low) / (high - low || 1);
  return Math.log1p(300 * Math.max(part, 0)) / Math.log1p(300);
}

/** Lowest and highest finite value. */
export function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}
