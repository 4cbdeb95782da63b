// What the plots by uPlot share: axes, and a logarithmic scale that is as wide as its values.

import { font, scaled, ticks } from "./canvas.js";
import { short } from "./numbers.js";

/** Pixels between two numbers on the vertical axis. */
const SPACE = 26;
/** Part of the range that is left free at both ends of a logarithmic scale. */
const FREE = 0.06;

/** Options of both axes; `log` of the vertical one. */
export function axesOf(colours, x, y, log) {
  const own = { stroke: colours.muted, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false, size: 0 }, font: font(), labelFont: font() };
  const logarithmic = log ? { splits: (plot, _, low, high) => powers(low, high, mostOf(plot)), filter: (_, splits) => splits } : {};
  const values = (_, all) => told(all);
  return [
    { ...own, label: x, size: scaled(24), labelSize: scaled(20), space: scaled(64) },
    { ...own, label: y, size: scaled(52), labelSize: scaled(18), values, ...logarithmic },
  ];
}

/** Numbers of an axis with as few digits as tell them apart. */
function told(all) {
  const texts = (digits) => all.map((value) => (value === null ? "" : short(value, digits).replace(/^1·/, "")));
  return [2, 3, 4, 5].map(texts).find((some) => new Set(some).size === some.length) ?? texts(6);
}

export const scaleOf = (log) => (log ? { distr: 3, range: (_, low, high) => widened(low, high) } : {});

function widened(low, high) {
  if (!(low > 0 && high < Infinity)) return [0.1, 1];
  const factor = Math.max((high / low) ** FREE, 1.05);
  return [low / factor, high * factor];
}

const mostOf = ({ height }) => Math.max(2, Math.floor((height - scaled(50)) / scaled(SPACE)));

/** At most `most` round values on a logarithmic scale: 1, 2, 3, 5, 7 of each power of ten, fewer, or powers alone. */
export function powers(low, high, most) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const of = (parts, every) => {
    const found = [];
    for (let k = Math.ceil(first / every) * every - (every > 1 ? every : 0); k <= last; k += every)
      for (const part of parts) found.push(part * 10 ** k);
    return found.filter((value) => value >= low && value <= high);
  };
  const choices = [of([1, 2, 3, 5, 7], 1), of([1, 2, 5], 1), of([1, 3], 1), ...[1, 2, 3, 5, 10, 20, 50, 100].map((every) => of([1], every))];
  const fits = choices.find((values) => values.length >= 2 && values.length <= most);
  return fits ?? ticks([low, high], most).filter((value) => value > 0);
}
