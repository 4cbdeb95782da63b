// The forms at the side: data, model, descent, race.

import { html } from "./html.js";
import { RULES, SCHEDULES } from "../twin/index.js";
import { RACED } from "./state.js";

const HIDDEN = ["", "4", "8", "16", "8-8", "16-16"];
const TITLES = { rate: "η", batch: "batch", scaling: "scaling", optimizer: "optimiser", momentum: "momentum β", schedule: "schedule", l2: "L2 λ" };

function Select({ id, label, value, options, onPick, titles = {}, wide = false }) {
  return html`<div class=${wide ? "field wide" : "field"}><label for=${id}>${label}</label>
    <select id=${id} value=${value} onChange=${(e) => onPick(e.target.value)}>
      ${options.map((one) => html`<option key=${one} value=${one} selected=${one === value}>${titles[one] ?? one}</option>`)}
    </select></div>`;
}

function Num({ id, label, value, min, max, step = "any", onPick }) {
  const pick = (e) => {
    const given = Number(e.target.value);
    if (e.target.value !== "" && given >= min && given <= max) onPick(given);
    else e.target.value = value;
  };
  return html`<div class="field"><label for=${id}>${label}</label>
    <input id=${id} type="number" value=${value} min=${min} max=${max} step=${step} onChange=${pick} /></div>`;
}

/** Data, model and descent of the first setting. */
export function Controls({ state, problem, datasets, set }) {
  const { description } = problem.dataset;
  const hidden = state.hidden.join("-");
  const events = problem.events.y.length;
  const uses = ["momentum", "nesterov"].includes(state.optimizer);
  return html`<form class="controls" aria-label="Settings" onSubmit=${(e) => e.preventDefault()}>
    <fieldset><legend>Data</legend>
      ${Select({ id: "data", label: "Events", wide: true, value: state.data, options: datasets.map((d) => d.name), titles: Object.fromEntries(datasets.map((d) => [d.name, d.title])), onPick: (data) => set({ data, features: null, start: null, axes: null }) })}
      ${description.features.length > 1 && html`<${Features} ...${{ problem, description, set }} />`}
      ${Select({ id: "scaling", label: "Scaling", value: state.scaling, options: problem.dataset.scalings, onPick: (scaling) => set({ scaling, start: null, axes: null }) })}
    </fieldset>
    <fieldset><legend>Model</legend>
      ${Select({ id: "hidden", label: "Hidden layers", value: hidden, options: HIDDEN.includes(hidden) ? HIDDEN : [...HIDDEN, hidden], titles: { "": "none (linear)" }, onPick: (text) => set({ hidden: text.split("-").filter(Boolean).map(Number), start: null, axes: null }) })}
      ${hidden && Select({ id: "activation", label: "Activation", value: state.activation, options: ["tanh", "relu", "sigmoid"], onPick: (activation) => set({ activation }) })}
      ${Num({ id: "l2", label: "L2 penalty λ", value: state.l2, min: 0, max: 1000, onPick: (l2) => set({ l2 }) })}
    </fieldset>
    <fieldset><legend>Descent</legend>
      <${Batch} ...${{ state, events, set }} />
      ${Select({ id: "optimizer", label: "Optimiser", value: state.optimizer, options: Object.keys(RULES), onPick: (optimizer) => set({ optimizer }) })}
      ${uses && Num({ id: "momentum", label: "Momentum β", value: state.momentum, min: 0, max: 0.999, onPick: (momentum) => set({ momentum }) })}
      ${Select({ id: "schedule", label: "Schedule", value: state.schedule, options: SCHEDULES, onPick: (schedule) => set({ schedule }) })}
      ${Num({ id: "epochs", label: "Epochs", value: state.epochs, min: 1, max: 1e7, step: 1, onPick: (epochs) => set({ epochs: Math.round(epochs) }) })}
      ${Num({ id: "seed", label: "Seed", value: state.seed, min: 0, max: 1e9, step: 1, onPick: (seed) => set({ seed: Math.round(seed), start: null }) })}
    </fieldset>
  </form>`;
}

function Features({ problem, description, set }) {
  const chosen = new Set(problem.features);
  const toggle = (name) => {
    const next = description.features.map((f) => f.name).filter((one) => (one === name ? !chosen.has(one) : chosen.has(one)));
    if (next.length) set({ features: next, start: null, axes: null });
  };
  return html`<div class="chips" role="group" aria-label="Features">
    ${description.features.map(({ name, symbol }) => html`<button type="button" key=${name} class="chip" title=${name} aria-pressed=${chosen.has(name) ? "true" : "false"} onClick=${() => toggle(name)}>${symbol}</button>`)}
  </div>`;
}

function Batch({ state, events, set }) {
  const kind = state.batch === "all" ? "all" : state.batch === 1 ? "1" : "k";
  const pick = (value) => set({ batch: value === "all" ? "all" : value === "1" ? 1 : Math.min(32, Math.max(2, Math.floor(events / 4))) });
  return html`<div class="field"><span id="batch-label" class="label">Events a step</span>
    <div class="segmented" role="group" aria-labelledby="batch-label">
      ${[["all", "all"], ["k", "some"], ["1", "1"]].map(([value, title]) => html`<button type="button" key=${value} aria-pressed=${kind === value ? "true" : "false"} onClick=${() => pick(value)}>${title}</button>`)}
    </div></div>
    ${kind === "k" && Num({ id: "batch", label: "Batch size", value: state.batch, min: 2, max: events, step: 1, onPick: (batch) => set({ batch: Math.round(batch) }) })}`;
}

/** What the other settings of a race differ in, beginning with the first that is shown above. */
export function Race({ state, scalings, colours, set, names }) {
  const change = (index, other) => set({ race: state.race.map((one, i) => (i === index ? other : one)) });
  const remove = (index) => set({ race: state.race.filter((_, i) => i !== index) });
  return html`<section class="race" aria-label="Race">
    <h2>Race <small>the same start, other settings</small></h2>
    ${state.race.length > 0 && html`<ul>
      <li><i class="swatch" style=${{ background: colours[0] }}></i> <span>${names[0]}</span></li>
      ${state.race.map((other, index) => html`<li key=${index}><i class="swatch" style=${{ background: colours[index + 1] }}></i>
        <span class="pairs">${RACED.filter((key) => key in other).map((key) => Pair({ index, name: key, value: other[key], scalings, onValue: (value) => change(index, { ...other, [key]: value }) }))}
          ${html`<select aria-label=${`Setting ${index + 2} differs in`} value="" onChange=${(e) => e.target.value && change(index, { ...other, [e.target.value]: state[e.target.value] })}>
            <option value="">also …</option>
            ${RACED.filter((key) => !(key in other)).map((key) => html`<option key=${key} value=${key}>${TITLES[key]}</option>`)}
          </select>`}</span>
        <button type="button" class="plain" aria-label=${`Remove setting ${index + 2}`} onClick=${() => remove(index)}>×</button></li>`)}
    </ul>`}
    ${state.race.length < 3 && html`<button type="button" class="secondary" onClick=${() => set({ race: [...state.race, { rate: Number((state.rate / 4).toPrecision(2)) }] })}>+ Add a setting</button>`}
  </section>`;
}

function Pair({ index, name, value, scalings, onValue }) {
  const id = `race-${index}-${name}`;
  const lists = { scaling: scalings, optimizer: Object.keys(RULES), schedule: SCHEDULES };
  if (lists[name]) return html`<span class="pair" key=${name}><label for=${id}>${TITLES[name]}</label><select id=${id} value=${value} onChange=${(e) => onValue(e.target.value)}>${lists[name].map((one) => html`<option key=${one} selected=${one === value}>${one}</option>`)}</select></span>`;
  const read = (text) => (name === "batch" ? (text === "all" ? "all" : Math.max(1, Math.round(Number(text)))) : Number(text));
  return html`<span class="pair" key=${name}><label for=${id}>${TITLES[name]}</label><input id=${id} value=${value} size="7" onChange=${(e) => { const given = read(e.target.value); if (given === "all" || (Number.isFinite(given) && given >= 0 && (name !== "rate" || given > 0))) onValue(given); else e.target.value = value; }} /></span>`;
}
