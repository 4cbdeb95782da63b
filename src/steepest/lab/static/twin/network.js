// A dense network on one flat vector θ, event by event: as steepest.models.dense and layers.
//
// θ holds, layer after layer, the weights (fan in, fan out) row by row, then the biases.
// Without a hidden layer this is linear, logistic or softmax regression.

import { ofInitial } from "./random.js";
import { sigmoid } from "./losses.js";

const ACTIVATIONS = {
  relu: { value: (x) => Math.max(x, 0), first: (x) => (x > 0 ? 1 : 0), second: () => 0 },
  tanh: {
    value: Math.tanh,
    first: (x) => 1 - Math.tanh(x) ** 2,
    second: (x) => -2 * Math.tanh(x) * (1 - Math.tanh(x) ** 2),
  },
  sigmoid: {
    value: sigmoid,
    first: (x) => sigmoid(x) * sigmoid(-x),
    second: (x) => sigmoid(x) * sigmoid(-x) * (1 - 2 * sigmoid(x)),
  },
};

/** The initialisation that a recipe names: it draws uniform numbers alone. */
export const initializationOf = (hidden, activation) =>
  hidden.length === 0 ? "zeros" : activation === "relu" ? "he-uniform" : "glorot-uniform";

/** J(θ) = 1/m Σ wᵢ ℓ(f_θ(xᵢ), yᵢ) + (λ/2) ‖W‖² and its derivatives. */
export class Objective {
  constructor({ inputs, hidden = [], outputs = 1, activation = "relu", loss, l2 = 0 }) {
    this.widths = [inputs, ...hidden, outputs];
    this.hidden = hidden;
    this.activation = activation;
    this.function = ACTIVATIONS[activation];
    this.loss = loss;
    this.l2 = l2;
    this.layers = [];
    let start = 0;
    for (let l = 0; l + 1 < this.widths.length; l++) {
      const [fanIn, fanOut] = [this.widths[l], this.widths[l + 1]];
      this.layers.push({ fanIn, fanOut, weights: start, biases: start + fanIn * fanOut });
      start += (fanIn + 1) * fanOut;
    }
    this.size = start;
    this.isWeight = new Uint8Array(start);
    for (const layer of this.layers) this.isWeight.fill(1, layer.weights, layer.biases);
    const vectors = () => this.widths.map((width) => new Float64Array(width));
    // of one event: sums z, values a, signals D, and their changes along a direction
    [this._z, this._a, this._d, this._dz, this._da, this._dd] = Array.from({ length: 6 }, vectors);
    this._out = new Float64Array(outputs);
  }

  get isLinear() {
    return this.hidden.length === 0;
  }

  /** θ₀, the bits of the library's. */
  initial(seed) {
    const theta = new Float64Array(this.size);
    const name = initializationOf(this.hidden, this.activation);
    if (name === "zeros") return theta;
    const random = ofInitial(seed);
    for (const { fanIn, fanOut, weights, biases } of this.layers) {
      const reach = Math.sqrt(name === "he-uniform" ? 6 / fanIn : 6 / (fanIn + fanOut));
      for (let i = weights; i < biases; i++) theta[i] = random.uniform(-reach, reach);
    }
    return theta;
  }

  /** The logits of one row of `x`; a view that the next call overwrites. */
  logits(theta, x, row) {
    const n = this.widths[0];
    let given = this._a[0];
    for (let j = 0; j < n; j++) given[j] = x[row * n + j];
    const last = this.layers.length - 1;
    for (let l = 0; l <= last; l++) {
      const { fanIn, fanOut, weights, biases } = this.layers[l];
      const z = this._z[l + 1];
      for (let k = 0; k < fanOut; k++) {
        let sum = 0;
        for (let j = 0; j < fanIn; j++) sum += given[j] * theta[weights + j * fanOut + k];
        z[k] = sum + theta[biases + k];
      }
      if (l === last) return z;
      given = this._a[l + 1];
      for (let k = 0; k < fanOut; k++) given[k] = this.function.value(z[k]);
    }
    return null;
  }

  /** What the logits of one row say: a value, a probability, or one of each class; a new array. */
  predict(theta, x, row) {
    this.loss.predict(this.logits(theta, x, row), this._out);
    return Array.from(this._out);
  }

  penalty(theta) {
    if (!this.l2) return 0;
    let square = 0;
    for (let i = 0; i < this.size; i++) if (this.isWeight[i]) square += theta[i] * theta[i];
    return 0.5 * this.l2 * square;
  }

  /** J over all events, or over every `stride`-th. */
  value(theta, { x, y, w }, stride = 1) {
    let [total, count] = [0, 0];
    for (let row = 0; row < y.length; row += stride, count++) {
      const value = this.loss.value(this.logits(theta, x, row), y[row]);
      total += w ? w[row] * value : value;
    }
    return total / count + this.penalty(theta);
  }

  /** Write ∇J over the rows from `first` to `last` of `rows` (null: all) to `gradient`; return J. */
  differentiate(theta, { x, y, w }, rows, first, last, gradient) {
    const scale = 1 / (last - first);
    let total = 0;
    gradient.fill(0);
    for (let place = first; place < last; place++) {
      const row = rows ? rows[place] : place;
      const signal = this._d[this.layers.length];
      const z = this.logits(theta, x, row);
      const value = this.loss.differentiate(z, y[row], signal);
      const weight = w ? w[row] : 1;
      total += weight * value;
      for (let k = 0; k < signal.length; k++) signal[k] *= weight * scale;
      this._backward(theta, gradient);
    }
    if (this.l2)
      for (let i = 0; i < this.size; i++)
        if (this.isWeight[i]) gradient[i] += this.l2 * theta[i];
    return total / (last - first) + this.penalty(theta);
  }

  _backward(theta, gradient) {
    for (let l = this.layers.length - 1; l >= 0; l--) {
      const { fanIn, fanOut, weights, biases } = this.layers[l];
      const [given, signal] = [this._a[l], this._d[l + 1]];
      for (let j = 0; j < fanIn; j++) {
        const at = weights + j * fanOut;
        for (let k = 0; k < fanOut; k++) gradient[at + k] += given[j] * signal[k];
      }
      for (let k = 0; k < fanOut; k++) gradient[biases + k] += signal[k];
      if (l === 0) return;
      const below = this._d[l];
      for (let j = 0; j < fanIn; j++) {
        let sum = 0;
        const at = weights + j * fanOut;
        for (let k = 0; k < fanOut; k++) sum += signal[k] * theta[at + k];
        below[j] = sum * this.function.first(this._z[l][j]);
      }
    }
  }

  /** Write ∇²J · vector to `out`, over every `stride`-th event (Pearlmutter 1994). */
  hessianVector(theta, vector, { x, y, w }, stride, out) {
    out.fill(0);
    let count = 0;
    const top = this.layers.length;
    for (let row = 0; row < y.length; row += stride, count++) {
      const z = this.logits(theta, x, row);
      this._forwardChanges(theta, vector);
      const weight = w ? w[row] : 1;
      this.loss.differentiate(z, y[row], this._d[top]);
      this.loss.curvature(z, y[row], this._dz[top], this._dd[top]);
      for (let k = 0; k < z.length; k++) {
        this._d[top][k] *= weight;
        this._dd[top][k] *= weight;
      }
      this._backwardChanges(theta, vector, out);
    }
    for (let i = 0; i < this.size; i++)
      out[i] = out[i] / count + (this.isWeight[i] ? this.l2 * vector[i] : 0);
    return out;
  }

  _forwardChanges(theta, vector) {
    this._da[0].fill(0);
    for (let l = 0; l < this.layers.length; l++) {
      const { fanIn, fanOut, weights, biases } = this.layers[l];
      for (let k = 0; k < fanOut; k++) {
        let sum = vector[biases + k];
        for (let j = 0; j < fanIn; j++) {
          const at = weights + j * fanOut + k;
          sum += this._a[l][j] * vector[at] + this._da[l][j] * theta[at];
        }
        this._dz[l + 1][k] = sum;
        this._da[l + 1][k] =
          l + 1 < this.layers.length ? this.function.first(this._z[l + 1][k]) * sum : sum;
      }
    }
  }

  _backwardChanges(theta, vector, out) {
    for (let l = this.layers.length - 1; l >= 0; l--) {
      const { fanIn, fanOut, weights, biases } = this.layers[l];
      const [given, change] = [this._a[l], this._da[l]];
      const [signal, signalChange] = [this._d[l + 1], this._dd[l + 1]];
      for (let k = 0; k < fanOut; k++) {
        for (let j = 0; j < fanIn; j++)
          out[weights + j * fanOut + k] += given[j] * signalChange[k] + change[j] * signal[k];
        out[biases + k] += signalChange[k];
      }
      if (l === 0) return;
      for (let j = 0; j < fanIn; j++) {
        let [below, belowChange] = [0, 0];
        for (let k = 0; k < fanOut; k++) {
          const at = weights + j * fanOut + k;
          below += signal[k] * theta[at];
          belowChange += signalChange[k] * theta[at] + signal[k] * vector[at];
        }
        const z = this._z[l][j];
        const slope = this.function.first(z);
        this._dd[l][j] = belowChange * slope + below * this.function.second(z) * this._dz[l][j];
        this._d[l][j] = below * slope;
      }
    }
  }
}
