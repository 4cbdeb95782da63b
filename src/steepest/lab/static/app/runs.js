// The runs: found as they appear, followed while they train, side by side, started and stopped.

import { html, Component } from "./html.js";
import { load } from "../twin/index.js";
import { recipeTables } from "./exports.js";
import { count, short } from "./numbers.js";
import { Problem } from "./problem.js";
import { Compared, RunDetail } from "./run_detail.js";
import { bytes, follow, post, read } from "./source.js";
import { decode } from "./state.js";

const LOOK_MS = 3000;
/** Runs that are shown; a filter finds the others. */
const MOST_SHOWN = 100;
const MOST_COMPARED = 4;

export class Runs extends Component {
  constructor(props) {
    super(props);
    this.state = { list: null, chosen: location.hash.split("/")[1] ?? null, detail: null, histories: {}, compared: [], differences: {}, note: "", group: "Loss", filter: "" };
    this._group = (group) => this.setState({ group });
    this._act = this._act.bind(this);
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
    this._unfollow?.();
  }

  async _look() {
    try {
      if (!document.hidden) {
        const { runs } = await read("api/runs");
        if (this._alive && this._lost) this.setState({ note: "" });
        this._lost = false;
        if (this._alive) this._listed(runs);
      }
    } catch (error) {
      this._lost = true;
      if (this._alive) this.setState({ note: `The runs could not be listed: ${error.message}` });
    }
    if (this._alive) this._timer = setTimeout(() => this._look(), LOOK_MS);
  }

  /** Take a new list: one that was started here is chosen, or the newest if none is; the chosen one is read again if it has begun or ended. */
  _listed(list) {
    this.setState({ list });
    const { chosen, compared, detail } = this.state;
    const started = list.find((run) => run.name === this.started);
    const shown = started ?? (chosen || compared.length ? null : list[0]);
    if (shown) {
      this.started = null;
      this._choose(shown.id);
      return;
    }
    const now = detail && list.find((run) => run.id === detail.id);
    if (!now || now.status === detail.status) return;
    this.setState({ note: "" }); // what was said of the status before
    this._read(detail.id);
  }

  _choose(id) {
    history.replaceState(null, "", `#runs/${id}`);
    this.setState({ chosen: id, detail: null, note: "", compared: [] }, () => this._read(id));
  }

  async _read(id) {
    this._unfollow?.();
    try {
      const [detail, found] = await Promise.all([read(`api/runs/${id}`), read(`api/runs/${id}/history`)]);
      if (!this._alive || this.state.chosen !== id) return;
      this.setState(({ histories }) => ({ detail, histories: { ...histories, [id]: found } }));
      if (detail.status === "training") this._follow(id);
    } catch (error) {
      this.setState({ note: error.message });
    }
  }

  /** Curves as they grow; when the run ends, its results. */
  _follow(id) {
    this._unfollow = follow(id, ({ status, history: found }) => {
      if (found.rows) this.setState(({ histories }) => ({ histories: { ...histories, [id]: found } }));
      if (status !== "training" && this.state.chosen === id) this._read(id);
    });
  }

  async _act(action, body, said) {
    try {
      const { started } = await post(action, body);
      this.started = started ?? null;
      this.setState({ note: said });
    } catch (error) {
      this.setState({ note: error.message });
    }
  }

  async _compare(id) {
    const before = this.state.compared;
    const compared = before.includes(id) ? before.filter((one) => one !== id) : [...before, id].slice(-MOST_COMPARED);
    this.setState({ compared });
    try {
      const missing = compared.filter((one) => !this.state.histories[one]);
      const loaded = await Promise.all(missing.map(async (one) => [one, await read(`api/runs/${one}/history`)]));
      const differences = compared.length > 1 ? await read(`api/differences/${compared.join(",")}`) : {};
      this.setState(({ histories }) => ({ histories: { ...histories, ...Object.fromEntries(loaded) }, differences }));
    } catch (error) {
      this.setState({ note: error.message });
    }
  }

  /** Train what the playground shows, or showed last. */
  async _start() {
    const lab = globalThis.steepestLab;
    const state = lab?.lab ?? decode("").state;
    try {
      const problem = lab?.first?.problem ?? new Problem(state, await load(this.props.index.datasets.find((one) => one.name === state.data), bytes));
      const { model, descent } = recipeTables(state, problem);
      await this._act("start", { data: state.data, features: problem.features, model, descent }, "The training starts; it appears in the list.");
    } catch (error) {
      this.setState({ note: error.message });
    }
  }

  render(_, state) {
    const { list, chosen, detail, note, compared, histories, differences, group, filter } = state;
    const wanted = (list ?? []).filter((run) => run.name.toLowerCase().includes(filter.toLowerCase()));
    const names = new Map((list ?? []).map((run) => [run.id, run.name]));
    const shown = detail && { ...detail, ...(list ?? []).find((run) => run.id === detail.id) };
    const shared = { histories, group, onGroup: this._group };
    return html`<main class="runs"><h1 class="unseen">Runs</h1>
      <section class="panel list" aria-label="Runs"><div class="panel-head"><h2>Runs${list ? html` <small>${count(list.length)}</small>` : ""}</h2>
          <button type="button" class="secondary" onClick=${() => this._start()} title="Train what the playground shows">Train the playground's setting</button></div>
        ${note && html`<p class="note" role="status">${note}</p>`}
        ${list === null && html`<p class="empty">Looking for runs …</p>`}
        ${list?.length === 0 && html`<p class="empty">There are no runs yet. Train one with <code>steepest train</code>, or with the button above; it appears here as it starts.</p>`}
        ${list?.length > 5 && html`<input type="search" class="filter" placeholder="Filter by name" aria-label="Filter by name" value=${filter} onInput=${(e) => this.setState({ filter: e.target.value })} />`}
        <ul>${wanted.slice(0, MOST_SHOWN).map((run) => this._row(run, chosen, compared))}</ul>
        ${wanted.length > MOST_SHOWN && html`<p class="foot">The newest ${MOST_SHOWN} of ${count(wanted.length)}: filter by name for the others.</p>`}
        ${list?.length > 0 && wanted.length === 0 && html`<p class="empty">No run has “${filter}” in its name.</p>`}
      </section>
      <div class="detail">${compared.length > 1 ? html`<${Compared} runs=${compared.map((id) => [id, names.get(id) ?? id])} differences=${differences} ...${shared} />` : shown ? html`<${RunDetail} run=${shown} onAct=${this._act} ...${shared} />` : list?.length !== 0 && html`<p class="empty panel">${chosen && !note ? "Reading the run …" : "Choose a run to see its curves and results; tick two or more to compare them."}</p>`}</div>
    </main>`;
  }

  _row(run, chosen, compared) {
    const where = run.step === undefined ? [] : [`step ${count(run.step)}`, run.loss === undefined || run.loss === null ? "" : `J = ${short(run.loss, 4)}`];
    return html`<li key=${run.id} class=${run.id === chosen ? "chosen" : ""}>
      <input type="checkbox" aria-label=${`Compare ${run.name}`} checked=${compared.includes(run.id)} onChange=${() => this._compare(run.id)} />
      <button type="button" class="plain row" aria-current=${run.id === chosen ? "true" : undefined} onClick=${() => this._choose(run.id)}>
        <b>${run.name}</b> <span class=${`status ${run.status}`}>${run.status}</span>
        <small>${[run.model, run.first_merit && `${run.first_merit.title} ${run.first_merit.text}`, ...where, run.error].filter(Boolean).map((one) => html`<span key=${one}>${one}</span>`)}</small>
      </button></li>`;
  }
}
