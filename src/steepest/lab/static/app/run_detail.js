// What is shown of one run: curves, figures, merits, jets, explanation, landscapes, recipe, log.

import { html } from "./html.js";
import { count, short } from "./numbers.js";
import { Jets } from "./jets.js";
import { Landscapes } from "./landscape_view.js";
import { Plot } from "./plot.js";
import { Table, indices } from "./table.js";

const CURVES = { loss: "J of the batch", training_loss: "training loss", validation_loss: "validation loss", learning_rate: "η", gradient_norm: "‖∇J‖", update_ratio: "‖Δθ‖/‖θ‖" };
/** Of the curves of one run where several are shown, each in a colour of its own. */
const DASHES = [null, [2, 4], [9, 4], [9, 3, 2, 3]];
/** Groups of curves; a validation's are those of its other columns. */
export const GROUPS = { Loss: ["loss", "training_loss", "validation_loss"], "Learning rate": ["learning_rate"], "Gradient norm": ["gradient_norm"], Validation: [] };

/** The curves of a group of one run or more: [[id, name]], from their histories. */
export function Curves({ runs, histories, group, onGroup }) {
  const columns = histories[runs[0]?.[0]]?.columns ?? {};
  const names = group === "Validation" ? Object.keys(columns).filter((one) => one.startsWith("validation_") && one !== "validation_loss") : GROUPS[group];
  const curves = runs.flatMap(([id, title], k) => names.filter((name) => histories[id]?.columns[name]?.step.length).map((name, i) => {
    const curve = histories[id].columns[name];
    const own = CURVES[name] ?? name.replace("validation_", "").replaceAll("_", " ").replace("auc", "AUC");
    const look = runs.length > 1 ? { label: `${title}: ${own}`, colour: k, dash: DASHES[i % DASHES.length] } : { label: own, colour: i };
    const noisy = name === "loss" && curve.value.length > 400; // of batches: fainter than what lies on it
    return { ...curve, ...look, noisy, last: short(curve.value.at(-1), 4) };
  }));
  return html`<section class="panel curves"><div class="panel-head"><h2>${group}</h2>
      <div class="segmented" role="group" aria-label="Curves">${Object.keys(GROUPS).map((name) => html`<button key=${name} type="button" aria-pressed=${name === group ? "true" : "false"} onClick=${() => onGroup(name)}>${name}</button>`)}</div></div>
    ${curves.length ? html`<${Plot} curves=${curves} x="steps" y=${group} log=${group !== "Validation"} />` : html`<p class="empty">${nothing(runs.map(([id]) => histories[id]))}</p>`}</section>`;
}

/** Why there is no curve. */
function nothing(histories) {
  if (histories.some((one) => !one)) return "Reading the curves …";
  return histories.every(({ rows }) => rows === 0) ? "No step is recorded: the run has just begun, or its method takes none." : "The run does not record this.";
}

export function RunDetail({ run, histories, group, onGroup, onAct }) {
  const { figures, explanation } = run;
  const roc = Array.isArray(figures.roc) ? figures.roc.map((one) => ({ step: one.signal_efficiency, value: one.rejection, label: one.name })) : [];
  return html`<div class="panel-head"><h2 class="run-name">${run.name} <span class=${`status ${run.status}`}>${run.status}</span></h2>
      <span class="buttons">${run.status === "training" && html`<button type="button" onClick=${() => onAct("stop", { run: run.id }, "It saves a checkpoint and stops.")}>Stop</button>`}
      ${run.status === "interrupted" && html`<button type="button" onClick=${() => onAct("resume", { run: run.id }, "It goes on from its last checkpoint.")}>Resume</button>`}</span></div>
    ${run.status === "training" && run.total_steps > 0 && html`<div class="progress"><progress max=${run.total_steps} value=${run.step} aria-label="Progress"></progress> step ${count(run.step)} of ${count(run.total_steps)}</div>`}
    ${run.warnings.map((text) => html`<p class="note" key=${text}>${text}</p>`)}
    <${Curves} runs=${[[run.id, run.name]]} histories=${histories} group=${group} onGroup=${onGroup} />
    ${(roc.length > 0 || figures.scores) && html`<div class="pair-panels">
      ${roc.length > 0 && html`<section class="panel curves"><h2>ROC</h2><${Plot} curves=${roc} x="signal efficiency" y="background rejection 1/ε" log=${true} /></section>`}
      ${figures.scores && html`<section class="panel curves"><h2>Scores</h2><${Plot} curves=${histograms(figures.scores)} x="score" y="events, normalised" log=${false} /></section>`}
    </div>`}
    ${run.merits_table && html`<section class="panel merits"><${Table} title="Figures of merit" head=${run.merits_table.head} rows=${run.merits_table.rows} />
      <details><summary>What they are</summary><dl>${run.merits.map((one) => html`<dt key=${one.name}>${indices(one.title)}</dt><dd>${one.definition}</dd>`)}</dl></details></section>`}
    ${figures.jets && html`<${Jets} pictures=${figures.jets} />`}
    <section class="panel"><h2>Why it went so</h2>${explanation ? html`<${Explanation} ...${explanation} />` : html`<p class="foot">Not explained yet. In the folder of the runs: <code>steepest explain ${run.name}</code></p>`}</section>
    ${run.landscapes.length > 0 ? html`<${Landscapes} key=${run.id} run=${run.id} names=${run.landscapes} />` : html`<section class="panel"><h2>Landscape</h2><p class="foot">None is drawn yet. In the folder of the runs: <code>steepest landscape ${run.name}</code></p></section>`}
    <details class="panel"><summary>Recipe</summary><pre tabindex="0" aria-label="Recipe">${run.recipe}</pre></details>
    <details class="panel"><summary>Log</summary><pre tabindex="0" aria-label="Log">${run.log}</pre></details>`;
}

/** Runs side by side: their curves, and what differs in the recipes. */
export function Compared({ runs, histories, differences, group, onGroup }) {
  const keys = Object.keys(differences);
  return html`<h2 class="run-name">Side by side</h2><${Curves} ...${{ runs, histories, group, onGroup }} />
    <section class="panel">${keys.length ? html`<${Table} title="What differs in the recipes" head=${["key", ...runs.map(([, name]) => name)]} rows=${keys.map((key) => [key, ...differences[key].map((value) => String(value ?? "–"))])} />` : html`<h2>What differs in the recipes</h2><p class="foot">Nothing: the recipes are the same.</p>`}</section>`;
}

function Explanation({ verdict, findings, checks }) {
  return html`<p><b>${verdict}</b></p>
    <ul class="findings">${findings.map((one) => html`<li key=${one.cause}><p><b>${one.title}</b> ${one.seen}; ${one.why}.</p><p><em>Do:</em> ${one.do}${one.trial ? html` <span class="trial">${one.trial.sentence}</span>` : ""}</p></li>`)}</ul>
    ${checks.length > 0 && html`<details><summary>Also looked at: ${checks.map((one) => one.check).join(", ")}</summary><ul class="findings">${checks.map((one) => html`<li key=${one.check}>${one.passed ? "✓" : "–"} <b>${one.check}</b>: ${one.sentence}</li>`)}</ul></details>`}`;
}

const histograms = (scores) =>
  Object.values(scores).filter((one) => one?.edges).map((one, k) => ({
    label: one.label, step: one.edges, value: [...one.contents, one.contents.at(-1)], steps: true,
    colour: k % 2, dash: one.label.includes("training") ? DASHES[2] : null,
  }));
