// The landscapes of a run, as `steepest landscape` has computed them: contours or 3-D, and the path.

import { html, Component, createRef } from "./html.js";
import { boxes } from "./canvas.js";
import { Contour } from "./contour.js";
import { Surface3D } from "./surface3d.js";
import { Grid } from "./surface.js";
import { Plot } from "./plot.js";
import { read } from "./source.js";

export class Landscapes extends Component {
  constructor(props) {
    super(props);
    this.state = { shown: null, error: "", view: "contour" };
    this.refs_ = { surface: createRef(), gl: createRef(), overlay: createRef() };
    this.contour = new Contour();
    this.surface3d = new Surface3D();
    this._draw = this._draw.bind(this);
  }

  componentDidMount() {
    boxes.addEventListener("resize", this._draw);
    this._choose(this.props.names[0]);
  }

  componentDidUpdate() {
    this._draw();
  }

  componentWillUnmount() {
    boxes.removeEventListener("resize", this._draw);
  }

  async _choose(name) {
    try {
      const shown = await read(`api/runs/${this.props.run}/landscapes/${name}`);
      const plane = shown.axes.length === 2;
      this.grid = plane ? gridOf(shown) : null;
      const { path } = shown;
      this.places = plane && path ? { list: path.x.map((x, i) => [x, path.y[i]]), now: [path.x.at(-1), path.y.at(-1)] } : null;
      this.setState({ shown, error: "" });
    } catch (error) {
      this.setState({ error: error.message });
    }
  }

  _draw() {
    const { surface, gl, overlay } = Object.fromEntries(Object.entries(this.refs_).map(([name, ref]) => [name, ref.current]));
    if (!this.grid || !overlay) return;
    const paths = this.places ? [{ places: this.places, lane: 0 }] : [];
    if (this.state.view === "3d") this.surface3d.draw(gl, overlay, this.grid, paths);
    else {
      this.contour.drawSurface(surface, this.grid);
      this.contour.drawPaths(overlay, paths);
    }
  }

  _turn(turn, tilt) {
    this.surface3d.rotate(turn, tilt);
    this._draw();
  }

  _keys(event) {
    const moves = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.06], ArrowDown: [0, -0.06] };
    if (!moves[event.key] || this.state.view !== "3d") return;
    event.preventDefault();
    this._turn(...moves[event.key]);
  }

  render({ names }, { shown, error, view }) {
    const kinds = [["contour", "Contours"], ["3d", "3-D"]];
    const label = shown && `J over ${shown.labels.join(" and ")}${shown.path ? ", with the path of the training" : ""}`;
    return html`<section class="panel"><div class="panel-head"><h2>Landscape</h2>
        ${names.length > 1 && html`<select aria-label="Landscape" onChange=${(e) => this._choose(e.target.value)}>${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select>`}
        ${this.grid && html`<div class="segmented" role="group" aria-label="View of the landscape">${kinds.map(([kind, title]) => html`<button type="button" key=${kind} aria-pressed=${view === kind ? "true" : "false"} onClick=${() => this.setState({ view: kind })}>${title}</button>`)}</div>`}</div>
      ${error && html`<p class="note" role="alert">${error}</p>`}
      ${!shown && !error && html`<p class="empty">Reading the landscape …</p>`}
      ${shown && this.grid && html`<div class="stack tall" key=${view} tabindex="0" role="application" aria-label=${`${label}.${view === "3d" ? " Arrow keys turn it." : ""}`} onKeyDown=${(e) => this._keys(e)} onPointerMove=${(e) => view === "3d" && e.buttons === 1 && this._turn(e.movementX * 0.01, -e.movementY * 0.006)}>
        <canvas ref=${view === "3d" ? this.refs_.gl : this.refs_.surface} aria-hidden="true"></canvas><canvas ref=${this.refs_.overlay} aria-hidden="true"></canvas></div>`}
      ${shown && !this.grid && html`<${Plot} curves=${[{ step: shown.axes[0], value: shown.losses, label: "J" }]} x=${shown.labels[0]} y="J" log=${false} />`}
      ${shown && html`<ul class="findings foot">${shown.sentences.map((one) => html`<li key=${one}>${one}</li>`)}</ul>`}</section>`;
  }
}

/** The grid that is drawn; where the axes have other numbers of points, of the nearest. */
function gridOf({ axes: [a, b], losses, labels }) {
  const points = Math.max(a.length, b.length);
  const values = new Float64Array(points * points);
  const nearest = (k, axis) => Math.round((k * (axis.length - 1)) / (points - 1));
  for (let j = 0; j < points; j++)
    for (let i = 0; i < points; i++) values[j * points + i] = losses[nearest(j, b) * a.length + nearest(i, a)] ?? NaN;
  return new Grid({ points, rangeA: [a[0], a.at(-1)], rangeB: [b[0], b.at(-1)], nameA: labels[0], nameB: labels[1], values });
}
