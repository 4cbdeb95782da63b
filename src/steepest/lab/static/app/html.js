// preact with htm: one place that binds them.
import { h, render, Component, createRef } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export const html = htm.bind(h);
export { render, Component, createRef };
