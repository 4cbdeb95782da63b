// Runs: found as they appear, their curves live, their results, side by side.

import { html, Component, createRef } from "./html.js";
import uPlot from "../vendor/uplot.js";
import { palette } from "./colours.js";
import { count, short } from "./numbers.js";

const LOOK_MS = 3000;
const CURVES = { loss: "J of the batch", training_loss: "training loss", validation_loss: "validation loss", learning_rate: "η", gradient_norm: "‖∇J‖", update_ratio: "‖Δθ‖/‖θ‖" };
const GROUPS = { Loss: ["loss", "training_loss", "validation_loss"], "Learning rate": ["learning_rate"], "Gradient norm": ["gradient_norm"], Validation: [] };

async function get(path) {
  const answer = await fetch(path);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

async function post(action, body) {
  const answer = await fetch(`./api/${action}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

export class Runs extends Component {
  constructor(props) {
    super(props);
    this.state = { list: null, chosen: location.hash.split("/")[1] ?? null, detail: null, histories: {}, compared: [], differences: {}, note: "", group: "Loss" };
  }

  componentDidMount() {
    this._alive = true;
    this._themed = () => this.forceUpdate();
    addEventListener("themechange", this._themed);
    this._look();
    if (this.state.chosen) this._choose(this.state.chosen);
  }

  componentWillUnmount() {
    this._alive = false;
    removeEventListener("themechange", this._themed);
    clearTimeout(this._timer);
    this._stream?.close();
  }

  async _look() {
    try {
      const { runs } = await get("./api/runs");
      if (this._alive) this.setState({ list: runs });
    } catch (error) {
      if (this._alive) this.setState({ note: `The runs could not be listed: ${error.message}` });
    }
    if (this._alive) this._timer = setTimeout(() => this._look(), LOOK_MS);
  }

  async _choose(id) {
    history.replaceState(null, "", `#runs/${id}`);
    this._stream?.close();
    this.setState({ chosen: id, detail: null, note: "" });
    try {
      const [detail, found] = await Promise.all([get(`./api/runs/${id}`), get(`./api/runs/${id}/history`)]);
      this.setState(({ histories }) => ({ detail, histories: { ...histories, [id]: found } }));
      if (detail.status === "training") this._follow(id);
    } catch (error) {
      this.setState({ note: error.message });
    }
  }

  /** Curves as they grow, by server-sent events; when the run ends, its results. */
  _follow(id) {
    this._stream = new EventSource(`./api/runs/${id}/live`);
    this._stream.onmessage = (event) => {
      const { status, history: found } = JSON.parse(event.data);
      if (found.rows) this.setState(({ histories }) => ({ histories: { ...histories, [id]: found } }));
      if (status === "training") return;
      this._stream.close();
      if (this.state.chosen === id) this._choose(id);
    };
  }

  async _act(action, body, said) {
    try {
      await post(action, body);
      this.setState({ note: said });
      setTimeout(() => this.state.chosen && this._choose(this.state.chosen), 2500);
    } catch (error) {
      this.setState({ note: error.message });
    }
  }

  async _compare(id) {
    const compared = this.state.compared.includes(id) ? this.state.compared.filter((one) => one !== id) : [...this.state.compared, id].slice(-4);
    this.setState({ compared });
    try {
      const loaded = await Promise.all(compared.filter((one) => !this.state.histories[one]).map(async (one) => [one, await get(`./api/runs/${one}/history`)]));
      const differences = compared.length > 1 ? await get(`./api/differences?runs=${compared.join(",")}`) : {};
      this.setState(({ histories }) => ({ histories: { ...histories, ...Object.fromEntries(loaded) }, differences }));
    } catch (error) {
      this.setState({ note: error.message });
    }
  }

  render(_, { list, chosen, detail, note, compared }) {
    return html`<main class="runs"><h1 class="unseen">Runs</h1>
      <section class="panel list" aria-label="Runs"><div class="panel-head"><h2>Runs</h2>
          <button type="button" class="secondary" onClick=${() => this._start()} title="Train what the playground shows">Train the playground's setting</button></div>
        ${note && html`<p class="note" role="status">${note}</p>`}
        ${list === null && html`<p class="empty">Looking for runs …</p>`}
        ${list?.length === 0 && html`<p class="empty">There are no runs yet. Train one with <code>steepest train</code>, or with the button above; it appears here as it starts.</p>`}
        <ul>${(list ?? []).map((run) => html`<li key=${run.id} class=${run.id === chosen ? "chosen" : ""}>
          <input type="checkbox" aria-label=${`Compare ${run.name}`} checked=${compared.includes(run.id)} onChange=${() => this._compare(run.id)} />
          <button type="button" class="plain row" aria-current=${run.id === chosen ? "true" : undefined} onClick=${() => this._choose(run.id)}>
            <b>${run.name}</b> <span class=${`status ${run.status}`}>${run.status}</span>
            <small>${run.model ?? ""} ${run.first_merit ? merit(run.first_merit) : ""}${run.step !== undefined ? ` step ${count(run.step)}, J = ${short(run.loss, 4)}` : ""}${run.error ?? ""}</small>
          </button></li>`)}</ul>
      </section>
      <div class="detail">${compared.length > 1 ? this._compared() : detail ? this._detail(detail) : html`<p class="empty panel">${chosen ? "Reading the run …" : "Choose a run to see its curves and results; tick two or more to compare them."}</p>`}</div>
    </main>`;
  }

  async _start() {
    const { decode } = await import("./state.js");
    const { load } = await import("../twin/index.js");
    const { Problem } = await import("./problem.js");
    const { recipeTables } = await import("./exports.js");
    const lab = globalThis.steepestLab;
    const state = lab?.lab ?? decode("").state;
    const problem = lab?.first?.problem ?? new Problem(state, await load(this.props.index.datasets.find((one) => one.name === state.data)));
    const { model, descent } = recipeTables(state, problem);
    await this._act("start", { data: state.data, features: problem.features, model, descent }, "The training starts; it appears in the list.");
  }

  _curves(runs) {
    const { histories, group } = this.state;
    const names = group === "Validation" ? Object.keys(histories[runs[0]?.[0]]?.columns ?? {}).filter((one) => one.startsWith("validation_") && one !== "validation_loss") : GROUPS[group];
    const curves = runs.flatMap(([id, title]) => names.filter((name) => histories[id]?.columns[name]?.step.length).map((name) => ({ ...histories[id].columns[name], label: runs.length > 1 ? `${title}: ${CURVES[name] ?? name}` : CURVES[name] ?? name.replace("validation_", "") })));
    return html`<section class="panel curves"><div class="panel-head"><h2>${group}</h2>
        <div class="segmented" role="group" aria-label="Curves">${Object.keys(GROUPS).map((name) => html`<button key=${name} type="button" aria-pressed=${name === group ? "true" : "false"} onClick=${() => this.setState({ group: name })}>${name}</button>`)}</div></div>
      ${curves.length ? html`<${Plot} curves=${curves} x="steps" y=${group} log=${group !== "Validation"} />` : html`<p class="empty">Nothing of this is recorded yet.</p>`}</section>`;
  }

  _detail(run) {
    const roc = Array.isArray(run.figures.roc) ? run.figures.roc.map((one) => ({ step: one.signal_efficiency, value: one.rejection, label: one.name })) : [];
    return html`<div class="panel-head"><h2 class="run-name">${run.name} <span class=${`status ${run.status}`}>${run.status}</span></h2>
        <span class="buttons">${run.status === "training" && html`<button type="button" onClick=${() => this._act("stop", { run: run.id }, "It saves a checkpoint and stops.")}>Stop</button>`}
        ${run.status === "interrupted" && html`<button type="button" onClick=${() => this._act("resume", { run: run.id }, "It goes on from its last checkpoint.")}>Resume</button>`}</span></div>
      ${run.warnings.map((text) => html`<p class="note">${text}</p>`)}
      ${this._curves([[run.id, run.name]])}
      <div class="pair-panels">
        ${roc.length > 0 && html`<section class="panel curves"><h2>ROC</h2><${Plot} curves=${roc} x="signal efficiency" y="background rejection 1/ε" log=${true} /></section>`}
        ${run.figures.scores && html`<section class="panel curves"><h2>Scores</h2><${Plot} curves=${histograms(run.figures.scores)} x="score" y="events, normalised" log=${false} /></section>`}
      </div>
      ${run.merits.length > 0 && html`<section class="panel"><h2>Figures of merit</h2><table><thead><tr><th scope="col">name</th><th scope="col">value</th><th scope="col">interval</th><th scope="col">counts</th></tr></thead><tbody>
        ${run.merits.map((one) => html`<tr key=${one.name} title=${one.definition}><th scope="row">${one.name.replaceAll("_", " ")}</th><td>${short(one.value, 5)} ${one.unit ?? ""}</td><td>${short(one.low, 4)} … ${short(one.high, 4)}</td><td>${Object.entries(one.counts ?? {}).filter(([k]) => !k.endsWith("effective")).map(([k, v]) => `${k.replaceAll("_", " ")} ${Number.isInteger(v) ? count(v) : short(v, 4)}`).join(", ")}</td></tr>`)}</tbody></table></section>`}
      ${run.figures.jets && html`<${Jets} pictures=${run.figures.jets} />`}
      <section class="panel"><h2>Why it went so</h2>${run.explanation ? html`<p>${run.explanation.verdict}</p><ul class="findings">${run.explanation.findings.map((one) => html`<li><b>${one.title}</b> ${one.seen}; ${one.why}. <em>${one.do}</em></li>`)}</ul>` : html`<p class="foot">Not explained yet: <code>steepest explain ${run.name}</code></p>`}</section>
      <details class="panel"><summary>Recipe</summary><pre>${run.recipe}</pre></details>
      <details class="panel"><summary>Log</summary><pre>${run.log}</pre></details>`;
  }

  _compared() {
    const { compared, list, differences } = this.state;
    const runs = compared.map((id) => [id, list?.find((one) => one.id === id)?.name ?? id]);
    const keys = Object.keys(differences);
    return html`<h2 class="run-name">Side by side</h2>${this._curves(runs)}
      <section class="panel"><h2>What differs in the recipes</h2>${keys.length ? html`<table><thead><tr><th scope="col">key</th>${runs.map(([id, name]) => html`<th scope="col" key=${id}>${name}</th>`)}</tr></thead><tbody>
        ${keys.map((key) => html`<tr key=${key}><th scope="row">${key}</th>${differences[key].map((value, k) => html`<td key=${k}>${String(value ?? "–")}</td>`)}</tr>`)}</tbody></table>` : html`<p class="foot">Nothing: the recipes are the same.</p>`}</section>`;
  }
}

const merit = ({ name, value, uncertainty }) => `${name} = ${short(value, 4)}${uncertainty ? ` ± ${short(uncertainty, 2)}` : ""}`;

function histograms(scores) {
  return Object.values(scores).filter((one) => one && one.edges).map((one) => ({ label: one.label, step: one.edges.slice(0, -1).map((low, i) => (low + one.edges[i + 1]) / 2), value: one.contents }));
}

/** Curves {step, value, label} on one plot. */
class Plot extends Component {
  constructor() {
    super();
    this.box = createRef();
  }

  componentDidMount() {
    this._observer = new ResizeObserver(() => this._draw(true));
    this._observer.observe(this.box.current);
    this._draw(true);
  }

  componentDidUpdate() {
    this._draw(false);
  }

  componentWillUnmount() {
    this._observer.disconnect();
    this.plot?.destroy();
  }

  _draw(resized) {
    const { curves, x, y, log } = this.props;
    const colours = palette();
    const box = this.box.current;
    const shape = JSON.stringify([curves.map((one) => one.label), x, y, log, colours.text]);
    const positive = log && curves.some((one) => one.value.some((v) => v > 0));
    const tables = curves.map((one) => [one.step, one.value.map((v) => (positive && !(v > 0) ? null : v))].map((c) => c.slice()));
    const sorted = tables.map(([steps, values]) => {
      const order = steps.map((_, i) => i).sort((a, b) => steps[a] - steps[b]);
      return [order.map((i) => steps[i]), order.map((i) => values[i])];
    });
    const data = sorted.length > 1 ? uPlot.join(sorted) : sorted[0];
    if (this.shape === shape && this.plot) {
      if (resized) this.plot.setSize({ width: box.clientWidth, height: box.clientHeight });
      this.plot.setData(data);
      return;
    }
    this.plot?.destroy();
    this.shape = shape;
    const font = "13px system-ui, sans-serif";
    const axis = { stroke: colours.muted, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false }, font, labelFont: font };
    this.plot = new uPlot({
      width: box.clientWidth, height: box.clientHeight, legend: { show: false },
      scales: { x: { time: false }, y: positive ? { distr: 3 } : {} },
      axes: [{ ...axis, label: x, size: 34, labelSize: 18 }, { ...axis, label: y, size: 60, labelSize: 18, values: (_, all) => all.map((v) => (v === null ? "" : short(v, 2))) }],
      series: [{}, ...curves.map((one, k) => ({ label: one.label, stroke: colours.lanes[k % 4], dash: k >= 4 ? [6, 4] : undefined, width: one.step.length > 400 ? 1.3 : 2.2, spanGaps: true, points: { show: false } }))],
    }, data, box);
  }

  render({ curves, x, y }) {
    return html`<div class="plot tall" ref=${this.box} role="img" aria-label=${`${y} against ${x}: ${curves.map((one) => one.label).join(", ")}`}></div>
      <ul class="legend">${curves.map((one, k) => html`<li key=${k}><i class="swatch" style=${{ background: palette().lanes[k % 4] }}></i>${one.label}${x === "steps" && one.value.length ? html` <span class="num">${short(one.value[one.value.length - 1], 4)}</span>` : ""}</li>`)}</ul>`;
  }
}

/** The jets most wrongly classified: each particle a circle in the η–φ plane, its area its pT. */
function Jets({ pictures }) {
  const jets = pictures.jets ?? [];
  const reach = Math.max(0.4, ...jets.flatMap((jet) => [...jet.delta_eta, ...jet.delta_phi].map(Math.abs)));
  return html`<section class="panel"><h2>Most wrongly classified jets</h2><div class="jets">${jets.map((jet, i) => html`<figure key=${i}>
    <svg viewBox="-1 -1 2 2" role="img" aria-label=${`Jet ${i + 1}: ${jet.pt.length} particles`}><rect x="-1" y="-1" width="2" height="2" class="plane" />
      ${jet.pt.map((pt, k) => html`<circle key=${k} cx=${jet.delta_eta[k] / reach} cy=${-jet.delta_phi[k] / reach} r=${Math.max(0.012, 0.35 * Math.sqrt(pt / Math.max(jet.jet_pt, 1e-9)))} fill=${palette().classes[jet.group % 6]} fill-opacity="0.45" />`)}</svg>
    <figcaption>${jet.title.replaceAll("$", "").replace("p_{T}", "pT")} <small>${pictures.groups?.[jet.group] ?? ""}</small></figcaption></figure>`)}</div>
    <p class="foot">Δη to the right, Δφ upwards, ± ${short(reach, 2)}; areas are shares of the jet's pT.</p></section>`;
}
