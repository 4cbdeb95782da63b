// The playground: settings, the loop of frames, and what is drawn in each.

import { html, Component, createRef } from "./html.js";
import { finished, load } from "../twin/index.js";
import { Problem, optionsOf, problemKey } from "./problem.js";
import { Lane } from "./lane.js";
import { RACED, SPEEDS, decode, encode } from "./state.js";
import { parameterPlane, pathPlane, Surface, usualAxes } from "./surface.js";
import { bytes } from "./source.js";
import { CYCLE, Stage, TURNS } from "./stage.js";
import { boxes } from "./canvas.js";
import { dataTitle } from "./dataview.js";
import { predictedSteps, startOf, zones } from "./forecast.js";
import { explanation, raceSentence } from "./explain.js";
import { RateSlider, fitsRange, sliderRange } from "./slider.js";
import { Controls, Race } from "./controls.js";
import { Steps, sevenSteps } from "./steps.js";
import { PRESETS, stateOf } from "./presets.js";
import { SurfacePanel } from "./surface_panel.js";
import { Export } from "./export_view.js";
import { palette } from "./colours.js";
import { count, short } from "./numbers.js";

/** Milliseconds of a frame that steps, points of the surface, and λmax may take. */
const STEPS_MS = 2.5;
const WORK_MS = 2;
/** Cycles of frames between measurements of λmax where it changes. */
const LOOK_CYCLES = 8;
/** Places of the next order of events that are drawn in a frame without a step. */
const PREPARED = 2000;
/** Events from which ∇J is taken where a direction is enough. */
const SOME_EVENTS = 2000;

/** What changes J itself, so that θ is not kept. */
const ANEW = ["data", "features", "hidden", "activation", "scaling", "seed", "start"];

export class Playground extends Component {
  constructor(props) {
    super(props);
    this.state = { ready: false, note: this._read(), byEpoch: false, log: true };
    Object.assign(this, { datasets: {}, _problems: {}, _drawnAt: 0, stage: new Stage() });
    this.refs_ = { surface: createRef(), gl: createRef(), overlay: createRef(), data: createRef(), loss: createRef() };
    Object.assign(this, { playing: false, pending: 0, frames: 0, steps: null });
    this._frame = this._frame.bind(this);
    this._keys = this._keys.bind(this);
    this._moved = () => this._fromHash();
    this._themed = () => { this.dirty = true; this.forceUpdate(); };
    this._resized = () => { this.dirty = true; };
  }

  componentDidMount() {
    this._alive = true;
    addEventListener("keydown", this._keys);
    addEventListener("hashchange", this._moved);
    addEventListener("themechange", this._themed);
    boxes.addEventListener("resize", this._resized);
    globalThis.steepestLab = this; // for measurements
    this._build().then(() => requestAnimationFrame(this._frame));
  }

  componentWillUnmount() {
    this._alive = false;
    removeEventListener("keydown", this._keys);
    removeEventListener("hashchange", this._moved);
    removeEventListener("themechange", this._themed);
    boxes.removeEventListener("resize", this._resized);
    this.stage.destroy();
  }

  // --- state ------------------------------------------------------------------------------------

  /** Change settings; θ is kept where J allows it. */
  async set(changes) {
    const before = this.lab;
    this.lab = { ...before, ...changes };
    const differs = (key) => JSON.stringify(before[key]) !== JSON.stringify(this.lab[key]);
    if (ANEW.some(differs) || this._raceAnew(before)) await this._build(this.lab.start && ANEW.filter(differs).join() === "start");
    else {
      const l2 = differs("l2");
      this._settings().forEach((own, k) => {
        const lane = this.lanes[k];
        lane.state = own;
        lane.descent.change(optionsOf(own));
        if (l2) this._withPenalty(lane, own);
      });
      if (l2 || differs("axes")) this._surface();
      if (this.lanes.some((lane) => lane.descent.step === 0)) this.dirty = true;
      this._look();
    }
    this._link();
    this.forceUpdate();
  }

  /** Whether lanes came, went, or minimise another J. */
  _raceAnew(before) {
    const outline = (state) => state.race.map((other) => [other.scaling ?? null]);
    return JSON.stringify(outline(before)) !== JSON.stringify(outline(this.lab));
  }

  _withPenalty(lane, own) {
    lane.problem = new Problem(own, lane.problem.dataset);
    lane.descent.objective = lane.problem.objective;
  }

  _settings() {
    return [this.lab, ...this.lab.race.map((other) => ({ ...this.lab, ...other, race: [] }))];
  }

  /** All of it anew, but for problems that are known; a start on the surface that is shown leaves it as it is. */
  async _build(onSurface = false) {
    const known = this.props.index.datasets;
    if (!known.some((one) => one.name === this.lab.data)) {
      const note = `There are no events “${this.lab.data}” here: shown are those of “${known[0].title}”.`;
      this.lab = { ...this.lab, data: known[0].name, features: null };
      this.setState((before) => ({ note: `${note} ${before.note}`.trim() }));
    }
    const { data } = this.lab;
    try {
      this.datasets[data] ??= await load(known.find((one) => one.name === data), bytes);
    } catch (error) {
      this.setState({ note: error.message });
      return;
    }
    if (data !== this.lab.data) return; // another choice was quicker
    this.playing = false;
    const dataset = this.datasets[data];
    const problems = {};
    this.lanes = this._settings().map((own, k) => {
      const key = problemKey(own);
      problems[key] ??= this._problems[key] ?? new Problem(own, dataset);
      return new Lane(own, problems[key], k);
    });
    this._problems = problems;
    this._drawnAt = 0;
    this._sameStart();
    this.dirty = true;
    if (!onSurface) this._surface();
    this._look();
    this._range = null;
    if (this._alive) this.setState({ ready: true });
  }

  /** Lanes of another scaling start at the same function, where a start was chosen. */
  _sameStart() {
    const first = this.lanes[0];
    for (const lane of this.lanes.slice(1)) {
      const same = this.lab.start && lane.problem.translated(first.descent.start, first.problem);
      if (!same || lane.problem.key === first.problem.key) continue;
      lane.state = { ...lane.state, start: Array.from(same) };
      lane.reset();
    }
  }

  get first() {
    return this.lanes[0];
  }

  /** The surface of the first setting; `gently` where another plane of it is shown until it is complete. */
  _surface(gently = false) {
    const { problem } = this.first;
    const start = startOf(problem, this.lab);
    const plane = problem.objective.isLinear && problem.objective.size >= 2
      ? parameterPlane(problem, this.lab.axes ?? usualAxes(problem), start)
      : pathPlane(problem, this.first.someThetas(), () => this._gradientNow());
    const next = new Surface(problem, plane, gently && this.playing);
    if (gently && this.surface.done) this.coming = next;
    else this._shown(next);
  }

  _shown(surface) {
    this.surface = surface;
    this.coming = null;
    this.dirty ||= !this.playing; // while it plays, each frame draws what is new of the surface
    if (this._alive && !this.playing) this.forceUpdate();
  }

  _gradientNow() {
    const { descent, problem } = this.first;
    const gradient = new Float64Array(problem.objective.size);
    problem.objective.differentiate(descent.theta, problem.events, null, 0, Math.min(problem.events.y.length, SOME_EVENTS), gradient);
    return gradient;
  }

  /** What curvature says now. */
  _look() {
    this.looking = null;
    this._known(finished(zones(this.first.problem, this.lab, this.first.descent)));
  }

  _known(found) {
    this.zones = found;
    this.forecast = predictedSteps(this.first.problem, this.lab);
    this.said = explanation(this.first, found);
  }

  _link() {
    const query = encode(this.lab);
    history.replaceState(null, "", `#play${query ? `?${query}` : ""}`);
  }

  /** Take the state of the address, a picture's or one that is spelt out; returns what is wrong with it. */
  _read() {
    const query = location.hash.split("?")[1] ?? "";
    this.tour = PRESETS.findIndex(({ id }) => query === `show=${id}`);
    const { state, faults } = decode(query);
    this.lab = this.tour < 0 ? state : stateOf(PRESETS[this.tour]);
    return faults.join(" ");
  }

  _fromHash() {
    const [view] = location.hash.slice(1).split("?");
    if (view !== "play" && view !== "") return;
    this.setState({ note: this._read() });
    this._build().then(() => this.forceUpdate());
  }

  // --- frames -----------------------------------------------------------------------------------

  _frame() {
    if (!this._alive) return;
    try {
      this._act();
    } catch (error) {
      this.playing = false;
      this.setState({ note: `The page met an error that nobody foresaw: ${error.message}. Reload it to go on.` });
      throw error;
    }
    requestAnimationFrame(this._frame);
  }

  _act() {
    const began = performance.now();
    const turn = this.playing ? this.frames % CYCLE : null;
    this.frames += 1;
    if (this.playing) this._steps(began);
    else this.lanes.forEach((lane) => lane.descent.prepare(PREPARED));
    const busy = Object.values(TURNS).flat().includes(turn);
    if (this.coming?.done) this._shown(this.coming); // a frame of its own: it is drawn as a whole
    else if (turn === null || !busy) this._work(began + STEPS_MS + WORK_MS);
    if (TURNS.text.includes(turn)) this._text();
    if (this.playing || this.dirty) {
      const all = this.dirty || turn === null;
      this.dirty = false;
      this._draw(all ? null : turn);
    }
  }

  /** What is not finished, until a time: the surface, or else λmax, a product with ∇²J at a time. */
  _work(end) {
    const computed = this.coming ?? this.surface;
    if (computed && !computed.done) {
      if (document.hidden || !computed.work(end - performance.now())) return;
      if (!this.coming) this.dirty ||= !this.playing;
      return;
    }
    for (let took = 0; this.looking && performance.now() + took < end; ) {
      const began = performance.now();
      const { done, value } = this.looking.next();
      took = performance.now() - began;
      if (!done) continue;
      this.looking = null;
      this._known(value);
      if (!this.playing) this.forceUpdate();
    }
  }

  _steps(began) {
    this.pending += SPEEDS[this.lab.speed];
    let taken = false;
    while (this.pending >= 1) {
      const moved = this.lanes.map((lane) => lane.take()).some(Boolean);
      this.pending -= 1;
      if (!moved) {
        this._pause();
        return;
      }
      taken = true;
      if (performance.now() - began > STEPS_MS) this.pending = 0;
    }
    const few = this.first.problem.events.y.length <= 500;
    if (taken && this.lab.speed === 0) this.steps?.light(this.first.descent.step);
    if (taken && few && SPEEDS[this.lab.speed] <= 20) this.lanes.forEach((lane) => lane.sample());
  }

  _text(paused = false) {
    this.lanes.forEach((lane) => lane.sample());
    const moving = !this.first.problem.objective.isLinear || this.zones.adapts;
    if (moving && (!this.playing || Math.floor(this.frames / CYCLE) % LOOK_CYCLES === 0))
      this.looking ??= zones(this.first.problem, this.lab, this.first.descent);
    this.said = explanation(this.first, this.zones);
    if (!this.first.problem.objective.isLinear) this._follow(paused);
    this.forceUpdate();
  }

  /** A network's plane is that of its path: a new one where the path has left the old one or, step by step, is twice as long. */
  _follow(paused) {
    if (!paused && (this.coming || !this.surface.done)) return;
    const { theta, step } = this.first.descent;
    const outside = this.surface.done && !this.surface.contains(...this.surface.project(theta));
    const longer = !this.playing && step >= Math.max(2, 2 * this._drawnAt);
    if (step === this._drawnAt || !(outside || longer || paused)) return;
    this._drawnAt = step;
    this._surface(true);
  }

  /** Draw the panels whose turn it is; all of them for null. */
  _draw(turn = null) {
    const canvases = Object.fromEntries(Object.entries(this.refs_).map(([name, ref]) => [name, ref.current]));
    this._drawn = canvases;
    const { quadratic } = this.first.problem;
    const log = this.state.log && this.lanes.some((lane) => lane.curve.values.some((value) => value > 0));
    const loss = { labels: this.names(), lowest: quadratic?.lowest > 0 ? quadratic.lowest : null, byEpoch: this.state.byEpoch, log };
    this.stage.draw(canvases, { lanes: this.lanes, surface: this.surface, view: this.lab.view, loss }, turn);
  }

  /** What each lane is called in the legend. */
  names() {
    if (this.lanes.length === 1) return ["J"];
    const states = this.lanes.map((lane) => lane.state);
    const keys = RACED.filter((key) => states.some((own) => own[key] !== states[0][key]));
    const titles = { rate: "η", batch: "batch", l2: "λ", momentum: "β" };
    return states.map((own) => keys.map((key) => `${titles[key] ?? ""}${titles[key] ? " " : ""}${typeof own[key] === "number" ? short(own[key]) : own[key]}`).join(", "));
  }

  // --- actions ----------------------------------------------------------------------------------

  play() {
    if (this.playing) {
      this._pause();
      return;
    }
    if (this.lanes.every((lane) => lane.descent.stopped)) this.reset();
    this.playing = true;
    this.pending = 1;
    this.forceUpdate();
  }

  /** Stop playing, and say what came of it. */
  _pause() {
    this.playing = false;
    this.dirty = true;
    this._text(true);
  }

  step() {
    this.playing = false;
    const taken = this.lanes.map((lane) => lane.take()).some(Boolean);
    this.dirty = true; // the next frame draws, which is also the next one that shows
    this._text();
    if (taken) this.steps?.light(this.first.descent.step);
  }

  reset() {
    this.playing = false;
    this.lanes.forEach((lane) => lane.reset());
    this._drawnAt = 0;
    this.dirty = true;
    if (!this.first.problem.objective.isLinear) this._surface();
    this._look();
    this.forceUpdate();
  }

  show(number) {
    this.tour = (number + PRESETS.length) % PRESETS.length;
    this.lab = stateOf(PRESETS[this.tour]);
    this.setState({ note: "" });
    this._build().then(() => this.forceUpdate());
    history.replaceState(null, "", `#play?show=${PRESETS[this.tour].id}`);
  }

  _keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.state.ready) return;
    // where a key has a meaning of its own, it keeps it
    const own = event.key === " " ? "a, button, input, select, textarea, summary" : "input:not([type=range]), select, textarea";
    if (event.target.closest(own)) return;
    const actions = { " ": () => event.repeat || this.play(), s: () => this.step(), r: () => this.reset(), n: () => this.show(this.tour + 1), p: () => this.show(this.tour - 1) };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Start at a point of the surface. */
  startAt(a, b) {
    if (!this.first.problem.objective.isLinear && this.surface.axes === null && this.lab.hidden.length === 0) return;
    this.set({ start: Array.from(this.surface.at(a, b)) });
  }

  surfaceClick(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const { frame } = this.stage.contour;
    const [x, y] = [frame.ofX(event.clientX - box.left), frame.ofY(event.clientY - box.top)];
    if (this.surface.contains(x, y)) this.startAt(x, y);
  }

  surfaceKeys(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    if (this.lab.view === "3d") this._turn(move[0] * 0.1, move[1] * 0.06);
    else {
      const [a, b] = this.surface.project(this.first.descent.start);
      const width = ([low, high]) => (high - low) / 25;
      this.startAt(a + move[0] * width(this.surface.rangeA), b + move[1] * width(this.surface.rangeB));
    }
  }

  _turn(turn, tilt) {
    this.stage.surface3d.rotate(turn, tilt);
    this.dirty = true;
  }

  surfaceDrag(event) {
    if (event.buttons !== 1) return;
    this._turn(event.movementX * 0.01, -event.movementY * 0.006);
  }

  // --- what is shown ----------------------------------------------------------------------------

  render({ index }, { ready, note, byEpoch, log }) {
    if (!ready) return html`<main class="message"><p>${note || "Loading events …"}</p></main>`;
    const { lab, first } = this;
    const { problem } = first;
    if (!this._range || !fitsRange(this._range, this.zones, lab.rate)) this._range = sliderRange(this.zones, lab.rate);
    const set = (changes) => this.set(changes);
    const race = this.lanes.length > 1 ? raceSentence(this.lanes, this.names()) : "";
    return html`<main class="play"><h1 class="unseen">Gradient descent: the playground</h1>
      ${this._tour()}
      ${note && html`<p class="note" role="alert">${note}</p>`}
      <div class="bar">
        ${this._transport()}
        <${RateSlider} rate=${lab.rate} zones=${this.zones} forecast=${this.forecast} range=${this._range} onRate=${(rate) => set({ rate })} />
      </div>
      <p class=${`said zone-line-${this.said.tone}${this.lanes.length > 1 ? " racing" : ""}`} role="status">${this.said.text} ${race && html`<b>${race}</b>`}</p>
      <div class="board">
        <details class="side" open=${innerWidth > 760}><summary>Settings: ${problem.title}, ${count(problem.events.y.length)} events</summary>
          <${Controls} state=${lab} problem=${problem} datasets=${index.datasets} set=${set} />
          <${Race} state=${lab} scalings=${problem.dataset.scalings} colours=${palette().lanes} set=${set} names=${this.names()} />
          <${Export} lab=${this} />
        </details>
        <${SurfacePanel} lab=${this} />
        <section class="panel data"><div class="panel-head"><h2>${dataTitle(problem)}</h2>${this._legend(problem)}</div>
          <canvas ref=${this.refs_.data} role="img" aria-label=${`${dataTitle(problem)}: ${count(problem.events.y.length)} events`}></canvas></section>
        <section class="panel loss"><div class="panel-head"><h2>Loss J${first.stride > 1 ? html` <small>on ${count(Math.ceil(problem.events.y.length / first.stride))} events</small>` : ""}</h2>
            <div class="segmented" role="group" aria-label="Axes of the loss">
              <button type="button" aria-pressed=${log ? "true" : "false"} onClick=${() => { this.setState({ log: !log }); this.dirty = true; }}>log</button>
              <button type="button" aria-pressed=${byEpoch ? "true" : "false"} onClick=${() => { this.setState({ byEpoch: !byEpoch }); this.dirty = true; }}>epochs</button>
            </div></div>
          <div class="plot" ref=${this.refs_.loss} role="img" aria-label=${`Loss after ${count(first.descent.step)} steps: ${short(first.J, 5)}`}></div>
          ${this.lanes.length > 1 && html`<ul class="legend">${this.names().map((name, k) => html`<li key=${k}><i class="swatch" style=${{ background: palette().lanes[k] }}></i>${name} <span class="num">J = ${short(this.lanes[k].J, 4)}</span></li>`)}</ul>`}
        </section>
      </div>
      <${Steps} mounted=${(strip) => (this.steps = strip)} steps=${sevenSteps(first)} playing=${this.playing && lab.speed > 0} started=${first.descent.step > 0} stopped=${Boolean(first.descent.stopped)} />
    </main>`;
  }

  componentDidUpdate() {
    const drawn = this._drawn ?? {};
    this.dirty ||= Object.entries(this.refs_).some(([name, { current }]) => current && current !== drawn[name]);
  }

  _tour() {
    const preset = PRESETS[this.tour];
    return html`<section class="tour" aria-label="The lecture in twelve pictures">
      <div class="tour-pick">
        <button type="button" class="plain" aria-label="Previous picture" onClick=${() => this.show(this.tour < 0 ? PRESETS.length - 1 : this.tour - 1)}>‹</button>
        <select aria-label="Picture of the lecture" value=${preset?.id ?? ""} onChange=${(e) => this.show(PRESETS.findIndex((one) => one.id === e.target.value))}>
          ${!preset && html`<option value="" selected>Show me …</option>`}
          ${PRESETS.map(({ id, title }, i) => html`<option key=${id} value=${id} selected=${id === preset?.id}>${i + 1}. ${title}</option>`)}
        </select>
        <button type="button" class="plain" aria-label="Next picture" onClick=${() => this.show(this.tour + 1)}>›</button>
      </div>
      <p>${preset ? html`${preset.text} <em>${preset.look}</em>` : html`Gradient descent, step by step: choose a picture of the lecture, or press play.`}</p>
    </section>`;
  }

  _transport() {
    const done = this.lanes.every((lane) => lane.descent.stopped);
    return html`<div class="transport" role="group" aria-label="Run">
      <button type="button" class="primary" id="play" onClick=${() => this.play()}>${this.playing ? "Pause" : done ? "Again" : "Play"}</button>
      <button type="button" id="step" onClick=${() => this.step()}>Step</button>
      <button type="button" id="reset" onClick=${() => this.reset()} title="Back to the same initial weights">Reset</button>
      <div class="speed"><label for="speed">Speed</label>
        <input id="speed" type="range" min="0" max=${SPEEDS.length - 1} step="1" value=${this.lab.speed} aria-valuetext=${speedText(this.lab.speed)} onInput=${(e) => this.set({ speed: Number(e.target.value) })} />
        <span class="num">${speedText(this.lab.speed)}</span></div>
      <span class="num steps-done">step ${count(this.first.descent.step)}</span>
    </div>`;
  }

  _legend(problem) {
    if (problem.task === "regression") return null;
    return html`<ul class="legend inline">${problem.classes.map((name, k) => html`<li key=${k}><i class="dot" style=${{ background: palette().classes[k] }}></i>${name}</li>`)}</ul>`;
  }
}

const speedText = (speed) => (SPEEDS[speed] < 1 ? `${short(60 * SPEEDS[speed], 2)} steps/s` : `${SPEEDS[speed]}/frame`);
