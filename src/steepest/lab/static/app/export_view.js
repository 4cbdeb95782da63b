// Export: the link, the recipe, the Python lines, a picture, an animation.

import { html, Component } from "./html.js";
import { composed, download, pythonText, recipeText, recorded } from "./exports.js";
import { palette } from "./colours.js";
import { address } from "./source.js";
import { encode } from "./state.js";

/** Of an animation. */
const SECONDS = 6;

export class Export extends Component {
  constructor() {
    super();
    this.state = { text: "", what: "" };
  }

  /** The surface with the paths; beside it the data above the loss. */
  _picture({ refs_, lab }) {
    const { surface, gl, overlay, data, loss } = Object.fromEntries(Object.entries(refs_).map(([k, r]) => [k, r.current]));
    const columns = [[[lab.view === "3d" ? gl : surface, overlay]], [[data], [loss.querySelector("canvas")]]];
    return composed(columns, palette().panel);
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
    const { width, height } = this._picture(lab);
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    lab.reset();
    lab.playing = true;
    const film = await recorded(canvas, () => context.drawImage(this._picture(lab), 0, 0, width, height), SECONDS);
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
        <button type="button" class="secondary" onClick=${() => { lab._draw(); this._picture(lab).toBlob((blob) => download("steepest.png", blob)); this.setState({ what: "Picture", text: "" }); }}>PNG</button>
        <button type="button" class="secondary" onClick=${() => this._animation(lab)}>Animation</button>
      </div>
      <p role="status" class="foot">${what}${what.startsWith("Recipe") && html` <button type="button" class="plain link" onClick=${() => download("recipe.toml", recipe(), "application/toml")}>save recipe.toml</button>`}</p>
      ${text && html`<textarea readonly rows="8" aria-label=${what}>${text}</textarea>`}
    </section>`;
  }
}
