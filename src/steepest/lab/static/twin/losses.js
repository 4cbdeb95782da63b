// ℓ(z, y) of one event, with its derivatives with respect to the logits z.
//
//   mean-squared-error     (z − y)²               2 (z − y)
//   binary-cross-entropy   log(1 + eᶻ) − y z      (1 − y) σ(z) − y σ(−z)
//   cross-entropy          log Σₖ e^{zₖ} − z_y    softmax(z) − onehot(y)
//
// The forms neither overflow nor cancel; they are those of steepest.losses.

const squaredError = {
  name: "mean-squared-error",
  curvatureBound: 2,
  value: (z, y) => (z[0] - y) * (z[0] - y),
  /** Write ∂ℓ/∂z to `out`, and return ℓ. */
  differentiate(z, y, out) {
    const residual = z[0] - y;
    out[0] = 2 * residual;
    return residual * residual;
  },
  /** Write (∂²ℓ/∂z²) · direction to `out`. */
  curvature(z, y, direction, out) {
    out[0] = 2 * direction[0];
  },
  predict(z, out) {
    out[0] = z[0];
  },
};

export const sigmoid = (z) => {
  const tail = Math.exp(-Math.abs(z));
  return z >= 0 ? 1 / (1 + tail) : tail / (1 + tail);
};

const binaryEntropy = {
  name: "binary-cross-entropy",
  curvatureBound: 0.25,
  value: (z, y) => Math.max(z[0], 0) - y * z[0] + Math.log1p(Math.exp(-Math.abs(z[0]))),
  differentiate(z, y, out) {
    const tail = Math.exp(-Math.abs(z[0]));
    const above = 1 / (1 + tail);
    const below = tail / (1 + tail);
    out[0] = z[0] >= 0 ? (1 - y) * above - y * below : (1 - y) * below - y * above;
    return Math.max(z[0], 0) - y * z[0] + Math.log1p(tail);
  },
  curvature(z, y, direction, out) {
    out[0] = sigmoid(z[0]) * sigmoid(-z[0]) * direction[0];
  },
  predict(z, out) {
    out[0] = sigmoid(z[0]);
  },
};

/** e^{dₖ − M} without the target's own term to `out`; returns [M, Σ of them], d = z − z_y. */
function relativeToTarget(z, y, out) {
  let largest = 0;
  for (let k = 0; k < z.length; k++) largest = Math.max(largest, z[k] - z[y]);
  let sum = 0;
  for (let k = 0; k < z.length; k++) {
    out[k] = k === y ? 0 : Math.exp(z[k] - z[y] - largest);
    sum += out[k];
  }
  return [largest, sum];
}

const entropy = {
  name: "cross-entropy",
  curvatureBound: 0.5,
  value(z, y) {
    const [largest, sum] = relativeToTarget(z, y, new Float64Array(z.length));
    return largest + Math.log1p(sum + Math.expm1(-largest));
  },
  differentiate(z, y, out) {
    const [largest, sum] = relativeToTarget(z, y, out);
    const all = sum + Math.exp(-largest);
    let others = 0;
    for (let k = 0; k < z.length; k++) {
      out[k] /= all;
      others += out[k];
    }
    out[y] = -others;
    return largest + Math.log1p(sum + Math.expm1(-largest));
  },
  curvature(z, y, direction, out) {
    this.predict(z, out);
    let along = 0;
    for (let k = 0; k < z.length; k++) along += out[k] * direction[k];
    for (let k = 0; k < z.length; k++) out[k] *= direction[k] - along;
  },
  predict(z, out) {
    const largest = Math.max(...z);
    let sum = 0;
    for (let k = 0; k < z.length; k++) {
      out[k] = Math.exp(z[k] - largest);
      sum += out[k];
    }
    for (let k = 0; k < z.length; k++) out[k] /= sum;
  },
};

export const LOSSES = Object.fromEntries(
  [squaredError, binaryEntropy, entropy].map((loss) => [loss.name, loss]),
);
