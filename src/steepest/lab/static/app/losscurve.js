// The loss against the step or the epoch, by uPlot: a curve for each setting.

import uPlot from "../vendor/uplot.js";
import { axesOf, scaleOf } from "./axes.js";
import { sizeOf } from "./canvas.js";
import { palette } from "./colours.js";
import { short } from "./numbers.js";

/** Owns a plot; `draw` makes it anew where its shape changes, else gives it the numbers. */
export class LossCurve {
  draw(box, curves, { labels, lowest, byEpoch, log }) {
    const colours = palette();
    const shape = JSON.stringify([labels, byEpoch, log, colours.text, lowest !== null]);
    const [width, height] = sizeOf(box);
    if (this.shape !== shape || this.box !== box) {
      this.plot?.destroy();
      const options = optionsFor(labels, colours, byEpoch, log, lowest !== null, width, height);
      this.plot = new uPlot(options, this._data(curves, byEpoch, lowest), box);
      Object.assign(this, { shape, box, width, height });
      return;
    }
    if (this.width !== width || this.height !== height) {
      this.plot.setSize({ width, height });
      Object.assign(this, { width, height });
    }
    this.plot.setData(this._data(curves, byEpoch, lowest));
  }

  /** The curves on one axis, as uPlot takes them: null where one has no value. */
  _data(curves, byEpoch, lowest) {
    const tables = curves.map(({ steps, epochs, values }) => [byEpoch ? epochs : steps, values]);
    const joined = tables.length > 1 ? uPlot.join(tables) : tables[0].map((column) => column.slice());
    if (lowest !== null) joined.push(joined[0].map(() => lowest));
    return joined;
  }

  destroy() {
    this.plot?.destroy();
    this.plot = this.shape = null;
  }
}

function optionsFor(labels, colours, byEpoch, log, hasLowest, width, height) {
  const series = labels.map((label, k) => ({
    label, stroke: colours.lanes[k], width: 2.5, spanGaps: true, points: { show: false },
    value: (_, value) => short(value, 4),
  }));
  if (hasLowest)
    series.push({ label: "J*", stroke: colours.muted, dash: [5, 5], width: 1.5, points: { show: false }, value: (_, value) => short(value, 4) });
  return {
    width, height, legend: { show: false }, cursor: { drag: { x: true, y: false } },
    scales: { x: { time: false }, y: scaleOf(log) },
    axes: axesOf(colours, byEpoch ? "epochs" : "steps", "J", log),
    series: [{ label: byEpoch ? "epoch" : "step" }, ...series],
  };
}
