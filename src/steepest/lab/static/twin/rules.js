// The update rules of steepest.compiled.rules: θ ← θ − η g, and its relatives.

const plain = {
  state: 0,
  stability: () => 2,
  update(theta, g, state, rate) {
    for (let i = 0; i < theta.length; i++) theta[i] -= rate * g[i];
  },
};

const momentum = {
  state: 1,
  stability: ({ momentum: beta }) => 2 * (1 + beta),
  update(theta, g, [v], rate, { momentum: beta }) {
    for (let i = 0; i < theta.length; i++) {
      v[i] = beta * v[i] + g[i];
      theta[i] -= rate * v[i];
    }
  },
};

const nesterov = {
  state: 1,
  stability: ({ momentum: beta }) => (2 * (1 + beta)) / (1 + 2 * beta),
  update(theta, g, [v], rate, { momentum: beta }) {
    for (let i = 0; i < theta.length; i++) {
      v[i] = beta * v[i] + g[i];
      theta[i] -= rate * (g[i] + beta * v[i]);
    }
  },
};

const RHO = 0.9;
const EPSILON = 1e-8;
const rmsprop = {
  state: 1,
  stability: () => null,
  update(theta, g, [s], rate) {
    for (let i = 0; i < theta.length; i++) {
      s[i] = RHO * s[i] + (1 - RHO) * g[i] * g[i];
      theta[i] -= (rate * g[i]) / (Math.sqrt(s[i]) + EPSILON);
    }
  },
};

const BETA1 = 0.9;
const BETA2 = 0.999;
const adam = {
  state: 2,
  stability: () => null,
  update(theta, g, [m, s], rate, options, step) {
    const pace = rate / (1 - BETA1 ** step);
    const spread = 1 / (1 - BETA2 ** step);
    for (let i = 0; i < theta.length; i++) {
      m[i] = BETA1 * m[i] + (1 - BETA1) * g[i];
      s[i] = BETA2 * s[i] + (1 - BETA2) * g[i] * g[i];
      theta[i] -= (pace * m[i]) / (Math.sqrt(s[i] * spread) + EPSILON);
    }
  },
};

const DECAY = 0.01;
const adamw = {
  state: 2,
  stability: () => null,
  update(theta, g, state, rate, options, step, isWeight) {
    for (let i = 0; i < theta.length; i++) if (isWeight[i]) theta[i] -= rate * DECAY * theta[i];
    adam.update(theta, g, state, rate, options, step);
  },
};

/** By name: how many vectors of state, the largest stable ηλ (null: it adapts), the update. */
export const RULES = { sgd: plain, momentum, nesterov, rmsprop, adam, adamw };

/** 1/(√v̂ + ε) with which an adaptive rule multiplies the gradient; null before its first step. */
export function preconditioner(name, state, step) {
  if (name === "rmsprop") return state[0].map((s) => 1 / (Math.sqrt(s) + EPSILON));
  const spread = 1 / (1 - BETA2 ** step);
  return state[1].map((s) => 1 / (Math.sqrt(s * spread) + EPSILON));
}

/** The largest stable ηλ of Adam on the preconditioned Hessian (arXiv:2207.14484), 2 of RMSprop. */
export const adaptiveBound = (name) =>
  name === "rmsprop" ? 2 : (2 * (1 + BETA1)) / (1 - BETA1);
