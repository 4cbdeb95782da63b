// Exercises: predict, then see the computed answer; the results as JSON for a course.

import { html, Component } from "./html.js";
import { load } from "../twin/index.js";
import { bytes } from "./source.js";
import { Problem } from "./problem.js";
import { BEGIN, encode } from "./state.js";
import { EXERCISES, exported, grade } from "./exercises.js";
import { download } from "./exports.js";

export class Exercises extends Component {
  constructor(props) {
    super(props);
    this.state = { answers: {}, error: "" };
    this.datasets = {};
  }

  async _answer(exercise, given) {
    if (exercise.kind === "number" && !(given > 0)) {
      this.setState({ error: `A positive number is expected, such as 0.5; not “${given}”.` });
      return;
    }
    const state = { ...BEGIN, ...exercise.state };
    const dataset = (this.datasets[state.data] ??= await load(this.props.index.datasets.find((one) => one.name === state.data), bytes));
    const problemOf = (own) => new Problem(own, dataset);
    const result = grade({ ...exercise, state }, given, problemOf(state), problemOf);
    this.setState(({ answers }) => ({ error: "", answers: { ...answers, [exercise.id]: { predicted: given, ...result } } }));
  }

  _export() {
    const text = JSON.stringify(exported(this.state.answers, this.props.index.steepest), null, 2);
    download("exercises.json", `${text}\n`, "application/json");
  }

  render({ index }, { answers, error }) {
    const known = new Set(index.datasets.map((one) => one.name));
    const offered = EXERCISES.filter(({ state }) => known.has(state.data));
    const correct = Object.values(answers).filter((one) => one.correct).length;
    return html`<main class="exercises"><h1>Predict first, then run</h1>
      <p class="lead">Answer before you press play. The answer is computed here, from the curvature or by running the descent.</p>
      ${error && html`<p class="note" role="alert">${error}</p>`}
      ${offered.length === 0 && html`<p class="empty">The exercises use the built-in events, which this lab does not offer.</p>`}
      <ol>${offered.map((exercise) => this._item(exercise, answers[exercise.id]))}</ol>
      <p class="score"><span><b>${correct} of ${offered.length}</b> correct, ${Object.keys(answers).length} answered.</span>
        <button type="button" class="secondary" disabled=${Object.keys(answers).length === 0} onClick=${() => this._export()}>Export as JSON</button></p>
    </main>`;
  }

  _item(exercise, answer) {
    const { id, question, kind, choices, state, within } = exercise;
    return html`<li key=${id} class=${answer ? (answer.correct ? "right" : "wrong") : ""}>
      <p class="question">${question}</p>
      ${!answer && kind === "choice" && html`<div class="buttons">${choices.map((choice) => html`<button type="button" key=${choice} onClick=${() => this._answer(exercise, choice)}>${choice}</button>`)}</div>`}
      ${!answer && kind === "number" && html`<form class="buttons" onSubmit=${(e) => { e.preventDefault(); this._answer(exercise, Number(e.target.elements.value.value)); }}>
        <label for=${`answer-${id}`}>Your answer (within ${100 * within} %)</label><input id=${`answer-${id}`} name="value" inputmode="decimal" autocomplete="off" size="10" /><button type="submit">Answer</button></form>`}
      ${answer && html`<p class="result"><b>${answer.correct ? "✓ Correct" : "✗ Not so"}</b>: you said “${answer.predicted}”, the answer is “${answer.shown}”: ${answer.why}. <a href=${`#play?${encode({ ...BEGIN, ...state })}`}>Run it</a></p>`}
    </li>`;
  }
}
