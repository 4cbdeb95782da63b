// Numbers as text: four digits, powers of ten written out, groups of three.

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

/** A number to `digits` significant digits. */
export function short(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === Infinity) return "∞";
  if (value === -Infinity) return "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    const raised = String(Number(exponent)).replace(/./g, (c) => SUPERSCRIPTS[c]);
    return `${mantissa.replace("-", "−").replace(/\.?0+$/, "")}·10${raised}`;
  }
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

/** A bound rounded down, so that it is stable when it is typed in. */
export function shortBelow(value, digits = 3) {
  if (!Number.isFinite(value) || value <= 0) return short(value, digits);
  const nearest = Number(value.toPrecision(digits));
  const unit = 10 ** (Math.floor(Math.log10(value)) - digits + 1);
  return short(nearest > value ? nearest - unit : nearest, digits);
}

/** A whole number with commas. */
export const count = (value) =>
  Number.isFinite(value) ? Math.round(value).toLocaleString("en-US") : "∞";

/** A few entries of a vector. */
export function vector(values, most = 3, digits = 3) {
  const shown = Array.from(values.slice(0, most), (value) => short(value, digits));
  return `(${shown.join(", ")}${values.length > most ? ", …" : ""})`;
}

/** A number as a recipe or a link has it: the shortest that reads back. */
export const exact = (value) => String(value);
