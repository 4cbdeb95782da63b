// The jets most wrongly classified: each particle a circle in the η–φ plane, its area its pT.

import { html } from "./html.js";
import { palette } from "./colours.js";
import { short } from "./numbers.js";

export function Jets({ pictures }) {
  const jets = pictures.jets ?? [];
  const reach = 1.1 * Math.max(0.4, ...jets.flatMap((jet) => [...jet.delta_eta, ...jet.delta_phi].map(Math.abs)));
  return html`<section class="panel"><h2>Most wrongly classified jets</h2><div class="jets">${jets.map((jet, i) => html`<figure key=${i}>
    <svg viewBox="-1 -1 2 2" role="img" aria-label=${`Jet ${i + 1}: ${jet.pt.length} particles`}><rect x="-1" y="-1" width="2" height="2" class="plane" />
      ${jet.pt.map((pt, k) => html`<circle key=${k} cx=${jet.delta_eta[k] / reach} cy=${-jet.delta_phi[k] / reach} r=${Math.max(0.012, 0.35 * Math.sqrt(pt / Math.max(jet.jet_pt, 1e-9)))} fill=${palette().classes[jet.group % 6]} fill-opacity="0.45" />`)}</svg>
    <figcaption>${plain(jet.title)} <small>${pictures.groups?.[jet.group] ?? ""}</small></figcaption></figure>`)}</div>
    <p class="foot">Δη to the right, Δφ upwards, ± ${short(reach, 2)}; areas are shares of the jet's pT.</p></section>`;
}

/** A title of Matplotlib without its TeX. */
const plain = (title) => title.replaceAll("$", "").replace(/_\{?(\w+)\}?/g, "$1").replace(/\\(eta|phi|mathrm)/g, (_, name) => ({ eta: "η", phi: "φ", mathrm: "" })[name]);
