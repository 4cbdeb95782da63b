// Curves {step, value, label, last, colour, dash, steps} on one plot, by uPlot, with their names below.

import { html, Component, createRef } from "./html.js";
import uPlot from "../vendor/uplot.js";
import { axesOf, scaleOf } from "./axes.js";
import { sizeOf, boxes } from "./canvas.js";
import { palette } from "./colours.js";

export class Plot extends Component {
  constructor() {
    super();
    this.box = createRef();
    this._resized = () => this._draw();
  }

  componentDidMount() {
    boxes.addEventListener("resize", this._resized);
    this._draw();
  }

  componentDidUpdate() {
    this._draw();
  }

  componentWillUnmount() {
    boxes.removeEventListener("resize", this._resized);
    this.plot?.destroy();
  }

  _draw() {
    const { curves, x, y, log } = this.props;
    const colours = palette();
    const box = this.box.current;
    const [width, height] = sizeOf(box);
    const positive = log && curves.some((one) => one.value.some((v) => v > 0));
    const shape = JSON.stringify([curves.map((one) => [one.label, one.steps, one.dash, one.noisy, one.value.length > 400]), x, y, positive, colours.text]);
    const data = together(curves, positive);
    if (this.shape === shape && this.plot) {
      if (this.plot.width !== width || this.plot.height !== height) this.plot.setSize({ width, height });
      this.plot.setData(data);
      return;
    }
    this.plot?.destroy();
    this.shape = shape;
    this.plot = new uPlot({
      width, height, legend: { show: false },
      scales: { x: { time: false }, y: scaleOf(positive) },
      axes: axesOf(colours, x, y, positive),
      series: [{}, ...curves.map((one, k) => ({
        label: one.label, stroke: colours.lanes[(one.colour ?? k) % 4] + (one.noisy ? "80" : ""), dash: one.dash ?? undefined,
        width: one.noisy ? 1 : one.value.length > 400 ? 1.6 : 2.2, spanGaps: true, points: { show: one.value.length < 3 },
        paths: one.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
      }))],
    }, data, box);
  }

  render({ curves, x, y }) {
    return html`<div class="plot tall" ref=${this.box} role="img" aria-label=${`${y} against ${x}: ${curves.map((one) => one.label).join(", ")}`}></div>
      <ul class="legend">${curves.map((one, k) => html`<li key=${k}><i class=${one.dash ? "swatch dashed" : "swatch"} style=${{ color: palette().lanes[(one.colour ?? k) % 4] }}></i>${one.label}${one.last !== undefined ? html` <span class="num">${one.last}</span>` : ""}</li>`)}</ul>`;
  }
}

/** The curves on one axis, as uPlot takes them; on a logarithmic one without what is not positive. */
function together(curves, positive) {
  const tables = curves.map(({ step, value }) => {
    const order = step.map((_, i) => i).sort((i, j) => step[i] - step[j]);
    return [order.map((i) => step[i]), order.map((i) => (positive && !(value[i] > 0) ? null : value[i]))];
  });
  return tables.length > 1 ? uPlot.join(tables) : tables[0];
}
