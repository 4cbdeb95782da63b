// The page: which view is shown, the theme, and the errors that nobody foresaw.

import { html, render, Component } from "./html.js";
import { Playground } from "./playground.js";
import { Exercises } from "./exercise_view.js";
import { Runs } from "./runs.js";
import { asset, read, theme } from "./source.js";
import { learn } from "./wording.js";

class App extends Component {
  constructor() {
    super();
    this.state = { index: null, error: null, view: viewOf(location.hash) };
    this.left = {}; // where each view was left
    this._hash = ({ oldURL }) => {
      const { hash } = new URL(oldURL);
      this.left[viewOf(hash)] = hash || "#play";
      this.setState({ view: viewOf(location.hash) });
    };
  }

  async componentDidMount() {
    addEventListener("hashchange", this._hash);
    try {
      const index = await read("data/index.json");
      learn(index.wording);
      this.setState({ index });
    } catch (error) {
      this.setState({ error: `The lab's data could not be read: ${error.message}. Reload the page, or start steepest lab again.` });
    }
  }

  componentWillUnmount() {
    removeEventListener("hashchange", this._hash);
  }

  render(_, { index, error, view }) {
    if (error) return html`<main class="message" role="alert"><p>${error}</p></main>`;
    if (!index) return html`<main class="message"><p>Loading the lab …</p></main>`;
    const views = [["play", "Playground"], ["exercises", "Exercises"], ...(index.server ? [["runs", "Runs"]] : [])];
    const shown = views.some(([name]) => name === view) ? view : "play";
    return html`<header class="top">
        <a class="brand" href="#play"><img src=${asset("icon.svg")} alt="" width="28" height="28" /> <span class="name">steepest lab</span></a>
        <nav aria-label="Views">${views.map(([name, title]) => html`<a key=${name} href=${this.left[name] ?? `#${name}`} aria-current=${shown === name ? "page" : undefined}>${title}</a>`)}</nav>
        <button type="button" class="plain theme" onClick=${() => this._theme()} aria-label="Switch between light and dark">◐</button>
      </header>
      ${shown === "play" && html`<${Playground} index=${index} />`}
      ${shown === "exercises" && html`<${Exercises} index=${index} />`}
      ${shown === "runs" && html`<${Runs} index=${index} />`}`;
  }

  _theme() {
    const { dataset } = document.documentElement;
    dataset.theme = dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("steepest-theme", dataset.theme);
    } catch {
      // a browser that keeps nothing forgets the theme
    }
    dispatchEvent(new Event("themechange"));
  }
}

const viewOf = (hash) => hash.slice(1).split("?")[0].split("/")[0] || "play";

function begin() {
  let kept = null;
  try {
    kept = localStorage.getItem("steepest-theme");
  } catch {
    // as above
  }
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = theme ?? (kept === "dark" || kept === "light" ? kept : system);
  // the token is a cookie by now: it need not stand on a projector, or in a link that is copied
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  const root = document.getElementById("app");
  root.replaceChildren();
  render(html`<${App} />`, root);
}

begin();
