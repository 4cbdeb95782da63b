// J on a plane of θ: on the grid that is drawn, computed row by row between frames.

import { dot, hessian, norm, strideFor, eigen } from "../twin/index.js";

const POINTS = 49;
const EVENTS = 800;
/** Of a quadratic J, which five numbers give. */
const FINE = 81;
/** Of networks, whose points cost more. */
const NETWORK = { points: 37, events: 300 };
/** Of networks, while they train: planes change, and frames have other work. */
const COARSE = 25;

/** J on points × points places of a rectangle, a row for each value of the second axis. */
export class Grid {
  constructor({ points, rangeA, rangeB, nameA, nameB, minimum = null, values = null }) {
    Object.assign(this, { points, rangeA, rangeB, nameA, nameB, minimum });
    this.values = values ?? new Float64Array(points * points).fill(NaN);
    this._next = values ? values.length : 0;
  }

  /** Rows that are computed. */
  get row() {
    return Math.floor(this._next / this.points);
  }

  get done() {
    return this._next >= this.values.length;
  }

  /** The coordinate of a grid line. */
  coordinate(axis, index) {
    const [low, high] = axis === 0 ? this.rangeA : this.rangeB;
    return low + ((high - low) * index) / (this.points - 1);
  }

  contains(a, b) {
    return a >= this.rangeA[0] && a <= this.rangeA[1] && b >= this.rangeB[0] && b <= this.rangeB[1];
  }

  /** J at a place between grid points, as the mesh has it; NaN where it is not computed yet. */
  interpolated(a, b) {
    const n = this.points;
    const part = (value, [low, high]) => Math.min(Math.max(((value - low) / (high - low)) * (n - 1), 0), n - 1.000001);
    const [x, y] = [part(a, this.rangeA), part(b, this.rangeB)];
    const [i, j] = [Math.floor(x), Math.floor(y)];
    const along = (row) => this.values[row * n + i] * (1 - x + i) + this.values[row * n + i + 1] * (x - i);
    return along(j) * (1 - y + j) + along(j + 1) * (y - j);
  }
}

/** A plane θ = origin + a u + b v, with J at the places of a grid. */
export class Surface extends Grid {
  constructor(problem, plane, coarse = false) {
    const { points, events } = problem.objective.isLinear ? { points: POINTS, events: EVENTS } : NETWORK;
    super({ points: problem.isQuadratic ? FINE : coarse ? COARSE : points, ...plane });
    Object.assign(this, { origin: plane.origin, u: plane.u, v: plane.v, axes: plane.axes, share: plane.share });
    this.problem = problem;
    this.stride = problem.isQuadratic ? 1 : strideFor(problem.events, events);
    this._quadratic = problem.isQuadratic ? this._coefficients() : null;
    this._correction = problem.correction(this.stride);
  }

  /** Events that J is computed on. */
  get events() {
    return Math.ceil(this.problem.events.y.length / this.stride);
  }

  at(a, b) {
    const { origin, u, v } = this;
    return origin.map((x, i) => x + a * u[i] + b * v[i]);
  }

  /** J is quadratic along a and b: five numbers say it, exactly. */
  _coefficients() {
    const matrix = hessian(this.problem.objective, this.origin, this.problem.events);
    const gradient = new Float64Array(this.origin.length);
    const { y } = this.problem.events;
    const value = this.problem.objective.differentiate(this.origin, this.problem.events, null, 0, y.length, gradient);
    const times = (x) => matrix.map((row) => dot(row, x));
    const [hu, hv] = [times(this.u), times(this.v)];
    return [value, dot(gradient, this.u), dot(gradient, this.v), dot(this.u, hu), dot(this.u, hv), dot(this.v, hv)];
  }

  value(a, b) {
    if (this._quadratic) {
      const [c, gu, gv, uu, uv, vv] = this._quadratic;
      return c + gu * a + gv * b + 0.5 * (uu * a * a + 2 * uv * a * b + vv * b * b);
    }
    const theta = this.at(a, b);
    const value = this.problem.objective.value(theta, this.problem.events, this.stride);
    return this._correction ? value + this._correction(theta) : value;
  }

  /** Compute points for so many milliseconds; returns whether a row was completed. */
  work(milliseconds) {
    if (this.done) return false;
    const end = performance.now() + milliseconds;
    const before = this.row;
    do {
      const i = this._next % this.points;
      this.values[this._next] = this.value(this.coordinate(0, i), this.coordinate(1, this.row));
      this._next += 1;
    } while (!this.done && performance.now() < end);
    return this.row > before;
  }

  /** Where θ is on the plane, projected onto it: its coordinates. */
  project(theta) {
    const away = theta.map((x, i) => x - this.origin[i]);
    const [uu, vv, uv] = [dot(this.u, this.u), dot(this.v, this.v), dot(this.u, this.v)];
    const [du, dv] = [dot(away, this.u), dot(away, this.v)];
    const determinant = uu * vv - uv * uv;
    const a = (vv * du - uv * dv) / determinant;
    const b = (uu * dv - uv * du) / determinant;
    return [a, b];
  }
}

const unit = (size, index) => Float64Array.from({ length: size }, (_, i) => (i === index ? 1 : 0));

/** Two parameters that the surface of a linear model begins with. */
export function usualAxes(problem) {
  const size = problem.objective.size;
  if (problem.features.length === 1 && problem.outputs === 1) return [1, 0]; // b across, w up
  return [0, Math.min(problem.outputs, size - 1)];
}

/** The plane of two parameters through the minimum of a linear model, or through θ₀ without one. */
export function parameterPlane(problem, axes, start) {
  const size = problem.objective.size;
  const [i, j] = axes.length === 2 && axes[0] !== axes[1] && Math.max(...axes) < size ? axes : usualAxes(problem);
  const q = problem.quadratic;
  const origin = Float64Array.from(q ? q.minimum : start);
  const centre = [origin[i], origin[j]];
  const reach = [i, j].map((index) => {
    const away = Math.abs(start[index] - origin[index]);
    const curvature = q ? spreadAlong(q, index) : 1;
    return Math.max(1.35 * away, curvature, 1e-9);
  });
  origin[i] = 0;
  origin[j] = 0;
  return {
    origin,
    u: unit(size, i),
    v: unit(size, j),
    rangeA: [centre[0] - reach[0], centre[0] + reach[0]],
    rangeB: [centre[1] - reach[1], centre[1] + reach[1]],
    nameA: problem.names[i],
    nameB: problem.names[j],
    axes: [i, j],
    minimum: q ? centre : null,
  };
}

/** How far J rises by a tenth of itself, or by 0.1, along a parameter. */
function spreadAlong(q, index) {
  let curvature = 0;
  q.values.forEach((value, k) => (curvature += value * q.vectors[k][index] ** 2));
  return curvature > 0 ? 2 * Math.sqrt((2 * Math.max(0.1 * Math.abs(q.lowest), 1e-3)) / curvature) : 1;
}

/** Of a network: the plane of the two directions in which the path goes most; ∇J's before there is one. */
export function pathPlane(problem, thetas, gradient) {
  const size = problem.objective.size;
  const last = thetas[thetas.length - 1];
  const differences = thetas.slice(0, -1).map((theta) => theta.map((x, i) => x - last[i]));
  const n = differences.length;
  let [u, v] = [null, null];
  let share = null; // there is no path yet
  if (n >= 2) {
    const gram = differences.map((a) => differences.map((b) => dot(a, b)));
    const { values, vectors } = eigen(gram);
    const direction = (k) => {
      const sum = new Float64Array(size);
      differences.forEach((d, i) => d.forEach((x, j) => (sum[j] += vectors[k][i] * x)));
      const length = norm(sum);
      return length > 0 ? sum.map((x) => x / length) : null;
    };
    const all = values.reduce((sum, value) => sum + Math.max(value, 0), 0);
    [u, v] = [direction(n - 1), direction(n - 2)];
    share = all > 0 ? (values[n - 1] + values[n - 2]) / all : 1;
  }
  u ??= normalised(gradient());
  v ??= normalised(Float64Array.from({ length: size }, (_, i) => Math.cos(1 + 2.3 * i)));
  const along = dot(u, v);
  v = normalised(v.map((x, i) => x - along * u[i]));
  const places = thetas.map((theta) => {
    const away = theta.map((x, i) => x - last[i]);
    return [dot(away, u), dot(away, v)];
  });
  const range = (axis) => {
    const all = places.map((place) => place[axis]);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const reach = Math.max(0.9 * (high - low), 0.05 * norm(last), 0.5);
    return [(low + high) / 2 - reach, (low + high) / 2 + reach];
  };
  return { origin: Float64Array.from(last), u, v, rangeA: range(0), rangeB: range(1), nameA: "path direction 1", nameB: "path direction 2", axes: null, minimum: null, share };
}

const normalised = (x) => {
  const length = norm(x) || 1;
  return x.map((value) => value / length);
};
