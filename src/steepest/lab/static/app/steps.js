// The seven steps, each with its formula (MathML) and the numbers of the step that was taken.

import { html, Component } from "./html.js";
import { count, short, vector } from "./numbers.js";

const mi = (text) => html`<mi>${text}</mi>`;
const mo = (text) => html`<mo>${text}</mo>`;
const sub = (base, below) => html`<msub>${mi(base)}${mi(below)}</msub>`;
const hat = html`<mover><mi>y</mi><mo>^</mo></mover>`;
const grad = html`<mrow><mo>∇</mo><mi>J</mi></mrow>`;
const math = (...content) => html`<math display="inline">${content}</math>`;

const eta = mi("η");
const update = (...amount) => math(mi("θ"), mo("←"), mi("θ"), mo("−"), ...amount);
const root = (below) => html`<msqrt>${below}</msqrt>`;
const of = (base, mark) => html`<mover>${mi(base)}${mo(mark)}</mover>`;

/** Δθ of each rule; ε below the roots is left out. */
const RULE = {
  sgd: update(eta, grad),
  momentum: update(eta, html`<mrow><mo>(</mo><mi>β</mi><mi>v</mi><mo>+</mo>${grad}<mo>)</mo></mrow>`),
  nesterov: update(eta, html`<mrow><mo>(</mo>${grad}<mo>+</mo><mi>β</mi><mi>v</mi><mo>)</mo></mrow>`),
  rmsprop: update(eta, html`<mfrac>${grad}${root(mi("v"))}</mfrac>`),
  adam: update(eta, html`<mfrac>${of("m", "^")}${root(of("v", "^"))}</mfrac>`),
  adamw: math(mi("θ"), mo("←"), html`<mrow><mo>(</mo><mn>1</mn><mo>−</mo><mi>η</mi><mi>λ</mi><mo>)</mo></mrow>`, mi("θ"), mo("−"), eta, html`<mfrac>${of("m", "^")}${root(of("v", "^"))}</mfrac>`),
};

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
  const stopped = descent.stopped;
  return [
    { name: "init", formula: math(sub("θ", "0")), numbers: vector(descent.start, 3) },
    { name: "predict", formula: PREDICT[problem.task], numbers: whole`event ${count(row + 1)}:| ŷ = ${predicted.length > 1 ? vector(predicted, 3, 2) : short(predicted[0])},| y = ${truth}` },
    { name: "loss", formula: LOSS[problem.task], numbers: taken ? whole`J = ${short(descent.loss, 5)}| over ${count(used)} event${used === 1 ? "" : "s"}` : whole`J = ${short(lane.J, 5)}` },
    { name: "gradient", formula: !linear ? GRADIENT.network : problem.task === "regression" ? GRADIENT.regression : GRADIENT.other, numbers: taken ? whole`∇J = ${vector(descent.gradient, 2)},| ‖∇J‖ = ${short(descent.gradientNorm)}` : "not yet" },
    { name: "step", formula: RULE[state.optimizer], numbers: taken ? whole`η = ${short(descent.rate)},| ${state.optimizer === "sgd" ? `η∇J = ${vector(moved.map((x) => -x), 2)}` : `Δθ = ${vector(moved, 2)}`}` : whole`η = ${short(descent.nextRate())}` },
    { name: "repeat", formula: math(mi("t"), mo("←"), mi("t"), mo("+"), html`<mn>1</mn>`), numbers: whole`θ = ${vector(descent.theta, 2)},| t = ${count(descent.step)},| epoch ${Number.isInteger(descent.epoch) ? count(descent.epoch) : short(descent.epoch, 3)}` },
    { name: "stop", formula: math(mi("t"), mo("="), mi("T")), numbers: !stopped ? whole`not yet,| T = ${count(descent.totalSteps)}` : stopped.kind === "diverged" ? whole`it diverged| at step ${count(stopped.step)}` : whole`after ${count(stopped.step)} steps` },
  ];
}

/** A text that is broken at | and after commas: its other spaces do not break. */
const whole = (parts, ...values) =>
  String.raw({ raw: parts.map((part) => part.replaceAll("| ", "|")) }, ...values).replace(/(?<!,) /g, "\u00a0").replaceAll("|", " ");

/** Each is lit so long after a single step: less than three flashes a second at the lowest speed. */
const LIT_MS = 65;
const ALL = [0, 1, 2, 3, 4, 5, 6];
const LOOP = [1, 2, 3, 4, 5];

/**
 * The strip of cards. After a single step, `light` lights one after the other; else those are lit that
 * go on: init before the first step, the loop from predict to repeat while it plays, stop at the end.
 * `mounted` is given the component.
 */
export class Steps extends Component {
  constructor() {
    super();
    this.state = { queue: [] };
  }

  /** Light what step number `step` does: the first begins with init. */
  light(step) {
    this._next(step > 1 ? ALL.slice(1) : ALL);
  }

  _next(queue) {
    clearTimeout(this._timer);
    this.setState({ queue });
    if (queue.length) this._timer = setTimeout(() => this._next(queue.slice(1)), LIT_MS);
  }

  componentDidMount() {
    this.props.mounted(this);
  }

  componentWillUnmount() {
    clearTimeout(this._timer);
  }

  _lit({ playing, started, stopped }, [now]) {
    if (now !== undefined) return [now];
    if (playing) return LOOP;
    return stopped ? [6] : started ? [] : [0];
  }

  render(props, { queue }) {
    const lit = this._lit(props, queue);
    return html`<ol class="steps" aria-label="The seven steps of gradient descent">
      ${props.steps.map(
        ({ name, formula, numbers }, i) => html`<li class=${lit.includes(i) ? "lit" : ""} key=${name} aria-current=${lit[0] === i && lit.length === 1 ? "step" : undefined}>
          <span class="step-name"><b>${i + 1}</b> ${name}</span>
          <span class="step-formula">${formula}</span>
          <span class="step-numbers">${numbers}</span>
        </li>`,
      )}
    </ol>`;
  }
}
