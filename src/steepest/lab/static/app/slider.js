// The learning rate on a logarithmic slider, coloured by what curvature says of each value.

import { html } from "./html.js";
import { count, short } from "./numbers.js";
import { zoneOf } from "./forecast.js";

const TICKS = 1000;
export const ZONES = {
  small: "too small", right: "just right", overshooting: "overshooting", diverging: "diverging",
};

/** The range of the slider: around the largest stable η. */
export function sliderRange(zones, rate) {
  const centre = zones.bound > 0 ? zones.bound : 1;
  return [Math.min(centre * 4e-3, rate / 1.5), Math.max(centre * 7, rate * 1.5)];
}

/** Whether a range still shows η and, apart from its ends, the bound, which may move as θ does. */
export function fitsRange([low, high], { bound }, rate) {
  const has = (value, room) => value >= low * room && value <= high / room;
  return has(rate, 0.99) && (!(bound > 0) || has(bound, 2));
}

export function RateSlider({ rate, zones, forecast, range, onRate }) {
  const [low, high] = range.map(Math.log);
  const place = (value) => Math.min(Math.max((Math.log(value) - low) / (high - low), 0), 1);
  const value = (tick) => Number(Math.exp(low + (tick / TICKS) * (high - low)).toPrecision(3));
  const zone = zoneOf(rate, zones);
  const known = zones.bound > 0;
  const cuts = known
    ? [["small", 0, place(zones.slow)], ["right", place(zones.slow), place(Math.max(zones.half, zones.slow))],
       ["overshooting", place(Math.max(zones.half, zones.slow)), place(zones.bound)], ["diverging", place(zones.bound), 1]]
    : [];
  const percent = (part) => `${(100 * part).toFixed(2)}%`;
  const marks = known
    ? [[zones.half, zones.adapts ? "½ bound" : "1/λmax"], [zones.bound, zones.adapts ? "bound" : zones.largest * zones.bound > 2.001 ? "bound" : "2/λmax"]]
    : [];
  return html`<div class="rate">
    <div class="rate-head">
      <label for="rate">Learning rate η</label>
      <input id="rate-number" aria-label="Learning rate η, as a number" type="number" step="any" min="1e-12" max="1e6"
        value=${rate} onChange=${(e) => Number(e.target.value) > 0 && onRate(Number(e.target.value))} />
      ${zone && html`<span class=${`badge zone-${zone}`}>${ZONES[zone]}</span>`}
      <span class="forecast" aria-live="polite">${forecastText(forecast)}</span>
    </div>
    <div class="track">
      <div class="zones" aria-hidden="true">
        ${cuts.map(([name, from, to]) => to > from && html`<span key=${name} class=${`zone zone-${name}`} style=${{ left: percent(from), width: percent(to - from) }}><b>${ZONES[name]}</b></span>`)}
      </div>
      <input id="rate" type="range" min="0" max=${TICKS} step="1" value=${Math.round(place(rate) * TICKS)}
        aria-valuetext=${`η = ${short(rate)}${zone ? `, ${ZONES[zone]}` : ""}`}
        onInput=${(e) => onRate(value(Number(e.target.value)))} />
      <div class="marks" aria-hidden="true">
        ${marks.map(([at, name], i) => html`<span key=${name} class=${i ? (place(at) > 0.68 ? "mark right late" : "mark right") : "mark left"} style=${{ left: percent(place(at)) }}>${name} = ${short(at)}</span>`)}
      </div>
    </div>
  </div>`;
}

function forecastText(forecast) {
  if (!forecast) return "no prediction: J is not convex, or the rule adapts";
  const { steps, exact, noisy } = forecast;
  if (!Number.isFinite(steps)) return "predicted: never arrives";
  return `predicted: ${exact ? "" : "about "}${count(steps)} step${steps === 1 ? "" : "s"} to J − J* = 10⁻³ of the start${noisy ? ", without the noise" : ""}`;
}
