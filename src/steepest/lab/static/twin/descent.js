// The seven steps of gradient descent: init, predict, loss, gradient, step, repeat, stop.
//
// Batch, mini-batch and stochastic gradient descent are one loop with another batch size. Order of
// events, initial weights and arithmetic are the library's: see steepest.descent.

import { Order } from "./random.js";
import { RULES } from "./rules.js";
import { factor } from "./schedules.js";
import { norm } from "./linear_algebra.js";

/** A loss so many times that of the start counts as exploded, as in the library. */
const EXPLODED = 1e6;

/** A descent of `objective` on `events` {x, y, w}, which can be stepped through. */
export class Descent {
  /**
   * @param options batchSize ("all" or a number), optimizer {name, momentum}, rate, schedule
   *   {name, …}, epochs, seed
   */
  constructor(objective, events, options, start = null) {
    this.objective = objective;
    this.events = events;
    this.options = options;
    this.theta = start ? Float64Array.from(start) : objective.initial(options.seed); // 1 init
    this.start = this.theta.slice();
    this.gradient = new Float64Array(objective.size);
    this.before = this.theta.slice();
    this.step = 0;
    this.loss = NaN;
    this.rate = options.rate;
    this.stopped = null;
    this.first = 0;
    this.last = 0;
    this._resetState();
    this._limit = EXPLODED * Math.max(Math.abs(objective.value(this.theta, events)), 1e-300);
  }

  _resetState() {
    const { state } = RULES[this.options.optimizer.name];
    this.state = Array.from({ length: state }, () => new Float64Array(this.objective.size));
    this.ruleStep = 0;
    this._order = null;
    this._next = null;
    this._seenSize = null;
  }

  get batchSize() {
    const { batchSize } = this.options;
    return batchSize === "all" ? this.events.y.length : Math.min(batchSize, this.events.y.length);
  }

  get perEpoch() {
    return Math.ceil(this.events.y.length / this.batchSize);
  }

  get totalSteps() {
    return this.options.epochs * this.perEpoch;
  }

  /** Epochs done. */
  get epoch() {
    return this._epochs + this._position / this.perEpoch;
  }

  /** Change η, λ, the batch size or the rule of a running descent; θ stays. */
  change(options) {
    const rule = options.optimizer.name !== this.options.optimizer.name;
    const size = options.batchSize !== this.options.batchSize;
    this.options = options;
    if (this.stopped?.kind !== "diverged") this.stopped = null;
    if (rule) {
      const { state } = RULES[options.optimizer.name];
      this.state = Array.from({ length: state }, () => new Float64Array(this.objective.size));
      this.ruleStep = 0;
    }
    if (size && this.step > 0) {
      // the next step begins an epoch of the new batches
      this._epochs = Math.ceil(this._epochs + this._position / Math.max(this._seenSize ?? 1, 1));
      this._position = 0;
    }
  }

  _epochs = 0;
  _position = 0;

  /** The rows of the next step: null for all events in their own order, else of the order. */
  _rows() {
    const events = this.events.y.length;
    const size = this.batchSize;
    this._seenSize = this.perEpoch;
    if (this._position >= this.perEpoch) {
      this._epochs += 1;
      this._position = 0;
    }
    this.first = this._position * size;
    this.last = Math.min(this.first + size, events);
    if (size === events) return null;
    if (this._order?.epoch !== this._epochs) {
      const ready = this._next?.epoch === this._epochs ? this._next : null;
      this._order = ready ?? new Order(this.options.seed, this._epochs, events);
      this._order.finished();
      this._next = new Order(this.options.seed, this._epochs + 1, events);
    }
    this._next.advance(2 * size);
    return this._order.rows;
  }

  /** Draw so many places of the next order of events, so that no step waits for all of them. */
  prepare(count) {
    const events = this.events.y.length;
    if (this.batchSize === events || this.stopped) return;
    this._next ??= new Order(this.options.seed, this._epochs, events);
    this._next.advance(count);
  }

  /** The rate of the next step. */
  nextRate() {
    const { rate, schedule } = this.options;
    return rate * factor(schedule, this.step, this.totalSteps, this.perEpoch);
  }

  /** Take one step; returns whether it was taken. */
  take() {
    if (this.stopped) return false;
    const { optimizer } = this.options;
    const rows = this._rows();
    this.before.set(this.theta);
    this.rows = rows;
    // 2 predict, 3 loss, 4 gradient
    this.loss = this.objective.differentiate(
      this.theta, this.events, rows, this.first, this.last, this.gradient,
    );
    if (!(this.loss <= this._limit)) {
      this.stopped = { kind: "diverged", step: this.step };
      return false;
    }
    this.rate = this.nextRate();
    this.ruleStep += 1;
    // 5 step
    RULES[optimizer.name].update(
      this.theta, this.gradient, this.state, this.rate, optimizer, this.ruleStep,
      this.objective.isWeight,
    );
    this.step += 1;
    this._position += 1;
    if (this.step >= this.totalSteps) this.stopped = { kind: "epochs", step: this.step }; // 7 stop
    return true; // 6 repeat
  }

  get gradientNorm() {
    return norm(this.gradient);
  }
}
