// The seven steps, each with its formula (MathML) and the numbers of the step that was taken.

import { html } from "./html.js";
import { count, short, vector } from "./numbers.js";

const mi = (text) => html`<mi>${text}</mi>`;
const mo = (text) => html`<mo>${text}</mo>`;
const sub = (base, below) => html`<msub>${mi(base)}${mi(below)}</msub>`;
const hat = html`<mover><mi>y</mi><mo>^</mo></mover>`;
const grad = html`<mrow><mo>∇</mo><mi>J</mi></mrow>`;
const math = (...content) => html`<math display="inline">${content}</math>`;

const LOSS = {
  regression: math(mi("J"), mo("="), html`<mfrac><mn>1</mn><mi>m</mi></mfrac>`, mo("∑"), html`<msup><mrow><mo>(</mo>${hat}<mo>−</mo><mi>y</mi><mo>)</mo></mrow><mn>2</mn></msup>`),
  binary: math(mi("J"), mo("="), mo("−"), html`<mfrac><mn>1</mn><mi>m</mi></mfrac>`, mo("∑"), mi("log"), html`<mrow><mi>P</mi><mo>(</mo><mi>y</mi><mo>)</mo></mrow>`),
  multiclass: math(mi("J"), mo("="), mo("−"), html`<mfrac><mn>1</mn><mi>m</mi></mfrac>`, mo("∑"), mo("log"), html`<msub>${hat}<mi>k=y</mi></msub>`),
};

const GRADIENT = {
  regression: math(grad, mo("="), html`<mfrac><mn>2</mn><mi>m</mi></mfrac>`, html`<msup><mi>X</mi><mi>T</mi></msup>`, html`<mrow><mo>(</mo>${hat}<mo>−</mo><mi>y</mi><mo>)</mo></mrow>`),
  other: math(grad, mo("="), html`<mfrac><mn>1</mn><mi>m</mi></mfrac>`, html`<msup><mi>X</mi><mi>T</mi></msup>`, html`<mrow><mo>(</mo>${hat}<mo>−</mo><mi>y</mi><mo>)</mo></mrow>`),
  network: math(grad, mo("="), html`<mfrac><mn>1</mn><mi>m</mi></mfrac>`, mo("∑"), html`<mfrac><mrow><mo>∂</mo><mi>ℓ</mi></mrow><mrow><mo>∂</mo><mi>θ</mi></mrow></mfrac>`),
};

const PREDICT = {
  regression: math(hat, mo("="), sub("f", "θ"), html`<mrow><mo>(</mo><mi>x</mi><mo>)</mo></mrow>`),
  binary: math(hat, mo("="), mi("σ"), html`<mrow><mo>(</mo><msub><mi>f</mi><mi>θ</mi></msub><mo>(</mo><mi>x</mi><mo>)</mo><mo>)</mo></mrow>`),
  multiclass: math(hat, mo("="), mi("softmax"), html`<mrow><mo>(</mo><msub><mi>f</mi><mi>θ</mi></msub><mo>(</mo><mi>x</mi><mo>)</mo><mo>)</mo></mrow>`),
};

/** Name, formula and numbers of each of the seven steps of a lane. */
export function sevenSteps(lane) {
  const { descent, problem, state } = lane;
  const { objective, events } = problem;
  const linear = objective.isLinear;
  const taken = descent.step > 0;
  const used = descent.last - descent.first;
  const row = taken ? (descent.rows ? descent.rows[descent.first] : 0) : 0;
  const before = taken ? descent.before : descent.theta;
  const moved = descent.theta.map((x, i) => x - before[i]);
  const y = events.centre + events.width * events.y[row];
  const predicted = objective.predict(before, events.x, row).map((p) => (problem.task === "regression" ? events.centre + events.width * p : p));
  const truth = problem.task === "regression" ? short(y) : problem.classes[problem.dataset.labels[row]];
  const rule = state.optimizer === "sgd" ? math(mi("θ"), mo("←"), mi("θ"), mo("−"), mi("η"), grad) : math(mi("θ"), mo("←"), mi("θ"), mo("−"), mi("η"), mi(state.optimizer));
  const stopped = descent.stopped;
  return [
    { name: "init", formula: math(sub("θ", "0")), numbers: vector(descent.start, 3) },
    { name: "predict", formula: PREDICT[problem.task], numbers: `event ${count(row + 1)}: ŷ = ${predicted.length > 1 ? vector(predicted, 3, 2) : short(predicted[0])}, y = ${truth}` },
    { name: "loss", formula: LOSS[problem.task], numbers: taken ? `J = ${short(descent.loss, 5)} over ${count(used)} event${used === 1 ? "" : "s"}` : `J = ${short(lane.J, 5)}` },
    { name: "gradient", formula: !linear ? GRADIENT.network : problem.task === "regression" ? GRADIENT.regression : GRADIENT.other, numbers: taken ? `∇J = ${vector(descent.gradient, 2)}, ‖∇J‖ = ${short(descent.gradientNorm)}` : "not yet" },
    { name: "step", formula: rule, numbers: taken ? `η = ${short(descent.rate)}, Δθ = ${vector(moved, 2)}` : `η = ${short(descent.nextRate())}` },
    { name: "repeat", formula: math(mi("t"), mo("←"), mi("t"), mo("+"), html`<mn>1</mn>`), numbers: `step ${count(descent.step)} of ${count(descent.totalSteps)}, epoch ${short(descent.epoch, 4)}` },
    { name: "stop", formula: math(mi("t"), mo("="), mi("T")), numbers: !stopped ? "not yet" : stopped.kind === "diverged" ? "diverged" : `after ${count(stopped.step)} steps` },
  ];
}

/** The strip of cards; `lit` is the number of the one that happens now, or null for all. */
export function Steps({ steps, lit }) {
  return html`<ol class="steps" aria-label="The seven steps of gradient descent">
    ${steps.map(
      ({ name, formula, numbers }, i) => html`<li class=${lit === i ? "lit" : ""} key=${name} aria-current=${lit === i ? "step" : undefined}>
        <span class="step-name"><b>${i + 1}</b> ${name}</span>
        <span class="step-formula">${formula}</span>
        <span class="step-numbers">${numbers}</span>
      </li>`,
    )}
  </ol>`;
}
