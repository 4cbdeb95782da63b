// A table of texts that can be copied into a spreadsheet.

import { html, Component } from "./html.js";

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

  render({ title, head, rows, titles = [] }, { said = "" }) {
    return html`<div class="panel-head"><h2>${title}</h2><span><span role="status" class="foot">${said}</span> <button type="button" class="secondary" onClick=${() => this._copy()}>Copy</button></span></div>
      <div class="scrolled" tabindex="0" role="region" aria-label=${title}><table><thead><tr>${head.map((one) => html`<th scope="col" key=${one}>${one}</th>`)}</tr></thead>
        <tbody>${rows.map(([first, ...rest], k) => html`<tr key=${first} title=${titles[k]}><th scope="row">${first}</th>${rest.map((one, i) => html`<td key=${i}>${one}</td>`)}</tr>`)}</tbody></table></div>`;
  }
}
