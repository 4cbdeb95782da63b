// Eigenvalues of symmetric matrices, and Lanczos' method for products with a vector.

/** Eigenvalues, ascending, and eigenvectors (vectors[k] belongs to values[k]), by Jacobi. */
export function eigen(matrix) {
  const n = matrix.length;
  const a = matrix.map((row) => Float64Array.from(row));
  const v = a.map((_, i) => Float64Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 60; sweep++) {
    let [off, all] = [0, 0];
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        all += a[i][j] ** 2;
        if (i !== j) off += a[i][j] ** 2;
      }
    if (off <= 1e-32 * all) break;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(a, v, p, q);
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[i][i] - a[j][j]);
  return {
    values: order.map((i) => a[i][i]),
    vectors: order.map((i) => Float64Array.from({ length: n }, (_, j) => v[j][i])),
  };
}

function rotate(a, v, p, q) {
  if (a[p][q] === 0) return;
  const slope = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const t = Math.sign(slope || 1) / (Math.abs(slope) + Math.sqrt(slope * slope + 1));
  if (!Number.isFinite(t)) return;
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < a.length; k++) {
    const [kp, kq] = [a[k][p], a[k][q]];
    a[k][p] = c * kp - s * kq;
    a[k][q] = s * kp + c * kq;
  }
  for (let k = 0; k < a.length; k++) {
    const [pk, qk] = [a[p][k], a[q][k]];
    a[p][k] = c * pk - s * qk;
    a[q][k] = s * pk + c * qk;
    const [vp, vq] = [v[k][p], v[k][q]];
    v[k][p] = c * vp - s * vq;
    v[k][q] = s * vp + c * vq;
  }
}

export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

export const norm = (a) => Math.sqrt(dot(a, a));

/** Run a generator to its end; what it returns. */
export function finished(work) {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/**
 * The largest eigenvalue of `product`, and its vector: Lanczos with full orthogonalisation.
 * A generator that yields after each product, so that it can be spread over frames.
 */
export function* largestEigenvalue(product, size, steps = 40) {
  const basis = [];
  const [diagonal, side] = [[], []];
  let vector = Float64Array.from({ length: size }, (_, i) => Math.sin(1 + 1.7 * i) + 0.3);
  let length = norm(vector);
  for (let k = 0; k < Math.min(steps, size); k++) {
    vector = vector.map((x) => x / length);
    basis.push(vector);
    const next = Float64Array.from(product(vector));
    yield;
    diagonal.push(dot(vector, next));
    for (let twice = 0; twice < 2; twice++)
      for (const b of basis) {
        const part = dot(b, next);
        for (let i = 0; i < size; i++) next[i] -= part * b[i];
      }
    length = norm(next);
    side.push(length);
    if (length < 1e-10 * Math.max(...diagonal.map(Math.abs), 1e-300)) break;
    vector = next;
  }
  const { value, vector: mix } = largestOfTridiagonal(diagonal, side);
  const top = new Float64Array(size);
  basis.forEach((b, k) => {
    for (let i = 0; i < size; i++) top[i] += mix[k] * b[i];
  });
  return { value, vector: top };
}

/**
 * The largest eigenvalue of a symmetric tridiagonal matrix and its vector of length one: by
 * bisection on the number of eigenvalues below (Sturm), and inverse iteration from just above it.
 */
export function largestOfTridiagonal(diagonal, side) {
  const n = diagonal.length;
  const beside = (k) => (k >= 0 && k < n - 1 ? Math.abs(side[k]) : 0);
  const reach = diagonal.map((d, k) => [d - beside(k - 1) - beside(k), d + beside(k - 1) + beside(k)]);
  let [low, high] = [Math.min(...reach.map(([a]) => a)), Math.max(...reach.map(([, b]) => b))];
  const scale = Math.max(Math.abs(low), Math.abs(high), 1e-300);
  const allBelow = (x) => {
    let pivot = diagonal[0] - x;
    for (let k = 1; k < n && pivot < 0; k++) pivot = diagonal[k] - x - side[k - 1] ** 2 / pivot;
    return pivot < 0;
  };
  for (let k = 0; k < 100 && high - low > 1e-16 * scale; k++) {
    const middle = (low + high) / 2;
    if (allBelow(middle)) high = middle;
    else low = middle;
  }
  const shift = high + 1e-10 * scale; // shift I − T is positive definite: elimination needs no pivoting
  let vector = new Float64Array(n).fill(1);
  for (let turn = 0; turn < 4; turn++) {
    const pivots = [shift - diagonal[0]];
    for (let k = 1; k < n; k++) {
      const factor = side[k - 1] / pivots[k - 1];
      pivots.push(shift - diagonal[k] - factor * side[k - 1]);
      vector[k] += factor * vector[k - 1];
    }
    vector[n - 1] /= pivots[n - 1];
    for (let k = n - 2; k >= 0; k--) vector[k] = (vector[k] + side[k] * vector[k + 1]) / pivots[k];
    const length = norm(vector);
    vector = vector.map((x) => x / length);
  }
  return { value: high, vector };
}

/** x with A x = b, for a symmetric positive A given by its eigen decomposition; flat parts stay 0. */
export function solve({ values, vectors }, b, floor) {
  const x = new Float64Array(b.length);
  values.forEach((value, k) => {
    if (value <= floor * values[values.length - 1]) return;
    const part = dot(vectors[k], b) / value;
    for (let i = 0; i < x.length; i++) x[i] += part * vectors[k][i];
  });
  return x;
}
