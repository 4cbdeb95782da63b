// Export: the link, the recipe, the Python lines, a picture, an animation.

import { html, Component } from "./html.js";
import { composed, download, pythonText, recipeText, recorded } from "./exports.js";
import { palette } from "./colours.js";
import { address } from "./source.js";
import { encode } from "./state.js";

export class Export extends Component {
  constructor() {
    super();
    this.state = { text: "", what: "" };
  }

  _canvases({ refs_, lab }) {
    const { surface, gl, overlay, data } = Object.fromEntries(Object.entries(refs_).map(([k, r]) => [k, r.current]));
    return [lab.view === "3d" ? [gl, overlay] : [surface, overlay], [data]];
  }

  async _copy(text, what) {
    this.setState({ text, what });
    try {
      await navigator.clipboard.writeText(text);
      this.setState({ what: `${what}, copied` });
    } catch {
      // the text stands there to be copied by hand
    }
  }

  async _animation(lab) {
    this.setState({ what: "Recording …", text: "" });
    lab._draw();
    const first = composed(this._canvases(lab), palette().panel);
    const canvas = document.createElement("canvas");
    canvas.width = first.width;
    canvas.height = first.height;
    const context = canvas.getContext("2d");
    lab.reset();
    lab.playing = true;
    const film = await recorded(canvas, () => context.drawImage(composed(this._canvases(lab), palette().panel), 0, 0), 6);
    lab.playing = false;
    if (film) download(`steepest.${film.type.endsWith("mp4") ? "mp4" : "webm"}`, film);
    this.setState({ what: film ? `Animation, ${Math.round(film.size / 1024)} KiB` : "This browser cannot record a canvas." });
    lab.forceUpdate();
  }

  render({ lab }, { text, what }) {
    const { problem } = lab.first;
    const link = `${address}#play?${encode(lab.lab)}`;
    const recipe = () => recipeText(lab.lab, problem);
    return html`<section class="export" aria-label="Export"><h2>Export</h2>
      <div class="buttons">
        <button type="button" class="secondary" onClick=${() => this._copy(link, "Link")}>Link</button>
        <button type="button" class="secondary" onClick=${() => this._copy(recipe(), "Recipe")}>Recipe</button>
        <button type="button" class="secondary" onClick=${() => this._copy(pythonText(lab.lab, problem), "Python")}>Python</button>
        <button type="button" class="secondary" onClick=${() => { lab._draw(); composed(this._canvases(lab), palette().panel).toBlob((blob) => download("steepest.png", blob)); this.setState({ what: "Picture", text: "" }); }}>PNG</button>
        <button type="button" class="secondary" onClick=${() => this._animation(lab)}>Animation</button>
      </div>
      <p role="status" class="foot">${what}${what.startsWith("Recipe") && html` <button type="button" class="plain link" onClick=${() => download("recipe.toml", recipe(), "application/toml")}>save recipe.toml</button>`}</p>
      ${text && html`<textarea readonly rows="8" aria-label=${what}>${text}</textarea>`}
    </section>`;
  }
}
