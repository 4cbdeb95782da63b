// η(t)/η₀ at step t = 0, 1, …, as steepest.schedules; e are epochs, both after the warm-up.

const DEFAULTS = {
  constant: {},
  "inverse-time": { decay: 1 },
  step: { every: 10, factor: 0.1 },
  exponential: { factor: 0.9 },
  cosine: { final: 0 },
  "one-cycle": { start: 0.04, final: 1e-4, warmup: 0.3 },
};
export const SCHEDULES = Object.keys(DEFAULTS);

/** The factor of η at `step` of `total`, with so many steps an epoch; `options` has a name. */
export function factor(options, step, total, perEpoch) {
  const o = { warmup: 0, ...DEFAULTS[options.name], ...options };
  const warm = roundHalfEven(o.warmup * total);
  if (step < warm) {
    if (o.name !== "one-cycle") return (step + 1) / (warm + 1);
    return o.start + (1 - o.start) * 0.5 * (1 - Math.cos((Math.PI * step) / Math.max(warm, 1)));
  }
  const after = step - warm;
  const epochs = after / perEpoch;
  if (o.name === "inverse-time") return 1 / (1 + o.decay * epochs);
  if (o.name === "step") return o.factor ** Math.floor(epochs / o.every);
  if (o.name === "exponential") return o.factor ** epochs;
  if (o.name === "cosine" || o.name === "one-cycle") {
    const part = Math.min(after / Math.max(total - warm, 1), 1);
    return o.final + (1 - o.final) * 0.5 * (1 + Math.cos(Math.PI * part));
  }
  return 1;
}

/** As Python's `round`: halves go to the even number. */
function roundHalfEven(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}
