// A data set of the server or the site: its description, and columns of float64.

import { eigen } from "./linear_algebra.js";

/** Read data/NAME.bin by `bytes`: features one after the other, labels, and weights if there are any. */
export async function load(description, bytes) {
  try {
    return new Dataset(description, await bytes(`data/${description.name}.bin`));
  } catch (error) {
    throw new Error(`The events of ${description.title} could not be read: ${error.message}`);
  }
}

export class Dataset {
  constructor(description, buffer) {
    const numbers = new Float64Array(buffer);
    const { events, features, weighted } = description;
    this.description = description;
    this.columns = features.map((_, j) => numbers.subarray(j * events, (j + 1) * events));
    this.labels = numbers.subarray(features.length * events, (features.length + 1) * events);
    this.weights = weighted ? numbers.subarray((features.length + 1) * events) : null;
  }

  index(name) {
    return this.description.features.findIndex((feature) => feature.name === name);
  }

  /** The scalings that these events allow. */
  get scalings() {
    const known = Object.keys(this.description.scalings);
    return known.includes("standard") ? [...known, "whiten"] : known;
  }

  /**
   * The events as a descent takes them: inputs (events × features, row by row), targets, weights.
   * `transform(raw)` gives the inputs of a raw point, `inverse` the raw point of inputs.
   */
  events(names, scaling, scaleLabels) {
    const columns = names.map((name) => this.columns[this.index(name)]);
    const map = scaling === "whiten" ? this._whiten(names) : this._diagonal(names, scaling);
    const n = names.length;
    const x = new Float64Array(this.labels.length * n);
    const raw = new Float64Array(n);
    for (let row = 0; row < this.labels.length; row++) {
      for (let j = 0; j < n; j++) raw[j] = columns[j][row];
      x.set(map.transform(raw), row * n);
    }
    const [centre, width] = scaleLabels ? this.description.target : [0, 1];
    const y =
      centre === 0 && width === 1 ? this.labels : this.labels.map((label) => (label - centre) / width);
    return { x, y, w: this.weights, centre, width, names, columns, ...map };
  }

  _diagonal(names, scaling) {
    const { shift, width } = this.description.scalings[scaling];
    const s = names.map((name) => shift[this.index(name)]);
    const w = names.map((name) => width[this.index(name)]);
    return {
      transform: (raw) => raw.map((value, j) => (value - s[j]) / w[j]),
      inverse: (inputs) => inputs.map((value, j) => value * w[j] + s[j]),
    };
  }

  /** x' = P^(−½) (x − mean)/σ with P the correlation matrix: ZCA-cor (doi:10.1080/00031305.2016.1277159). */
  _whiten(names) {
    const standard = this._diagonal(names, "standard");
    const n = names.length;
    const correlation = Array.from({ length: n }, () => new Float64Array(n));
    const columns = names.map((name) => this.columns[this.index(name)]);
    const raw = new Float64Array(n);
    let total = 0;
    for (let row = 0; row < this.labels.length; row++) {
      const weight = this.weights ? this.weights[row] : 1;
      for (let j = 0; j < n; j++) raw[j] = columns[j][row];
      const u = standard.transform(raw);
      total += weight;
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) correlation[i][j] += weight * u[i] * u[j];
    }
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) correlation[i][j] = i === j ? 1 : correlation[i][j] / total;
    const { values, vectors } = eigen(correlation);
    const power = (exponent) =>
      Array.from({ length: n }, (_, i) =>
        Float64Array.from({ length: n }, (_, j) =>
          values.reduce(
            (sum, value, k) =>
              value > 1e-10 * values[n - 1]
                ? sum + vectors[k][i] * vectors[k][j] * value ** exponent
                : sum,
            0,
          ),
        ),
      );
    const [whitener, colourer] = [power(-0.5), power(0.5)];
    const times = (matrix, v) =>
      matrix.map((row) => row.reduce((sum, entry, j) => sum + entry * v[j], 0));
    return {
      transform: (point) => times(whitener, standard.transform(point)),
      inverse: (inputs) => standard.inverse(times(colourer, inputs)),
    };
  }
}
