// Colours of the canvases, by theme. Lines and classes: Okabe and Ito's palette, which people with
// any colour vision tell apart; the surface: cividis (doi:10.1371/journal.pone.0199239).

const CIVIDIS = [
  [0, 34, 78], [18, 53, 112], [59, 73, 109], [87, 93, 109], [112, 113, 115], [138, 134, 120],
  [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];

const SHADES = 512;
const TABLE = new Uint8ClampedArray(3 * SHADES);
for (let k = 0; k < SHADES; k++) {
  const place = (k / (SHADES - 1)) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
  CIVIDIS[low].forEach((value, i) => (TABLE[3 * k + i] = value + (place - low) * (CIVIDIS[low + 1][i] - value)));
}

/** Write red, green and blue of the surface at 0 (low) … 1 (high) to `out` from `at`, times `scale`. */
export function surfaceColour(part, out, at, scale = 1) {
  const shade = 3 * Math.round(Math.min(Math.max(part, 0), 1) * (SHADES - 1));
  for (let i = 0; i < 3; i++) out[at + i] = scale * TABLE[shade + i];
}

export const dark = () => document.documentElement.dataset.theme === "dark";

const LIGHT = {
  text: "#17212b", muted: "#55636f", grid: "#e3e8ed", panel: "#ffffff", ink: "#17212b",
  lanes: ["#d55e00", "#0072b2", "#007a5a", "#a8447c"],
  classes: ["#0072b2", "#d55e00", "#007a5a", "#a8447c", "#8a6d00", "#2b7a9e"],
};
const DARK = {
  text: "#e8eef4", muted: "#a3b1be", grid: "#2b3947", panel: "#17222d", ink: "#e8eef4",
  lanes: ["#ff9a4d", "#6cbcf0", "#3ecf9f", "#ee9ac8"],
  classes: ["#6cbcf0", "#ff9a4d", "#3ecf9f", "#ee9ac8", "#e5c84a", "#8fd3ee"],
};

export const palette = () => (dark() ? DARK : LIGHT);
/** Of paths on the surface, whose colours are the same in both themes. */
export const ON_SURFACE = ["#ff9a4d", "#7cc8ff", "#5be3b5", "#ffb3dc"];
