// A table of texts that can be copied into a spreadsheet.

import { html, Component } from "./html.js";

/** A text with what follows an underscore as an index: 1/ε_B. */
export const indices = (text) => String(text).split(/_(\w)/).map((part, i) => (i % 2 ? html`<sub>${part}</sub>` : part));

/** Rows of texts, the first of each being its name; `head` names the columns. */
export class Table extends Component {
  async _copy() {
    const { head, rows } = this.props;
    const text = [head, ...rows].map((row) => row.join("\t")).join("\n");
    try {
      await navigator.clipboard.writeText(text);
      this.setState({ said: "copied" });
    } catch {
      this.setState({ said: "the browser refuses: select the table instead" });
    }
  }

  render({ title, head, rows }, { said = "" }) {
    return html`<div class="panel-head"><h2>${title}</h2><span><span role="status" class="foot">${said}</span> <button type="button" class="secondary" onClick=${() => this._copy()}>Copy</button></span></div>
      <div class="scrolled" tabindex="0" role="region" aria-label=${title}><table><thead><tr>${head.map((one, k) => (one ? html`<th scope="col" key=${k}>${one}</th>` : html`<td key=${k}></td>`))}</tr></thead>
        <tbody>${rows.map(([first, ...rest]) => html`<tr key=${first}><th scope="row">${title === "Figures of merit" ? indices(first) : first}</th>${rest.map((one, i) => html`<td key=${i}>${one}</td>`)}</tr>`)}</tbody></table></div>`;
  }
}
