// The panel of the surface: its axes, its view, and the canvases that the stage draws to.

import { html } from "./html.js";
import { count } from "./numbers.js";

export function SurfacePanel({ lab: playground }) {
  const { surface, lab, refs_: refs, stage } = playground;
  const { problem } = playground.first;
  const partial = surface.events < problem.events.y.length ? `; J on ${count(surface.events)} of ${count(problem.events.y.length)} events` : "";
  const share = surface.share === undefined ? "" : surface.share === null ? "; the plane of ∇J" : `; this plane has ${surface.share > 0.995 ? "more than 99" : (100 * surface.share).toFixed(0)} % of the path`;
  const names = problem.names;
  const pick = (place) => (e) => {
    const axes = [...surface.axes];
    axes[place] = Number(e.target.value);
    if (axes[0] !== axes[1]) playground.set({ axes });
  };
  const axis = (place, label) => html`<select aria-label=${label} value=${surface.axes[place]} onChange=${pick(place)}>${names.map((name, i) => html`<option key=${i} value=${i} selected=${i === surface.axes[place]}>${name}</option>`)}</select>`;
  const label = `Surface of J over ${surface.nameA} and ${surface.nameB}${partial}; with the path. ${lab.view === "3d" ? "Arrow keys turn it." : "Click, or use the arrow keys, to start elsewhere."}`;
  return html`<section class="panel surface"><div class="panel-head"><h2>Surface of J</h2>
      ${surface.axes && problem.objective.size > 2 && html`<span class="axes">${axis(0, "Horizontal parameter")} × ${axis(1, "Vertical parameter")}</span>`}
      <div class="segmented" role="group" aria-label="View of the surface">
        ${[["contour", "Contours"], ["3d", "3-D"]].map(([view, title]) => html`<button type="button" key=${view} aria-pressed=${lab.view === view ? "true" : "false"} onClick=${() => playground.set({ view })}>${title}</button>`)}
      </div></div>
    ${lab.view === "3d"
      ? html`<div class="stack" key="3d" tabindex="0" role="application" aria-label=${label} onKeyDown=${(e) => playground.surfaceKeys(e)} onPointerMove=${(e) => playground.surfaceDrag(e)}>
          <canvas ref=${refs.gl} aria-hidden="true"></canvas><canvas ref=${refs.overlay} aria-hidden="true"></canvas>
          ${!stage.surface3d.works && html`<p class="empty">This browser has no WebGL2: choose Contours.</p>`}</div>`
      : html`<div class="stack" key="contour" tabindex="0" role="application" aria-label=${label} onKeyDown=${(e) => playground.surfaceKeys(e)}>
          <canvas ref=${refs.surface} aria-hidden="true"></canvas><canvas ref=${refs.overlay} aria-hidden="true" onClick=${(e) => playground.surfaceClick(e)}></canvas></div>`}
    <p class="foot">${lab.view === "3d" ? "Drag to turn; heights are logarithms" : "Click to start there"}${surface.minimum && lab.view === "contour" ? "; + is the minimum" : ""}${partial}${share}.</p>
  </section>`;
}
