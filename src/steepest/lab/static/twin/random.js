// NumPy's random numbers: SeedSequence, PCG64 (XSL-RR 128/64), uniform doubles and permutations.
//
// The library draws the initial weights from the stream (seed, 0) and the order of epoch e from
// (seed, 1, e), so that the same seed gives the same start and the same batches here.
//
// Source: O'Neill, HMC-CS-2014-0905 (PCG).

// the multiplier of PCG64, in limbs of 16 bits, lowest first
const M0 = 0xf645, M1 = 0x9fcc, M2 = 0xdf64, M3 = 0x4385;
const M4 = 0x5da4, M5 = 0x1fc6, M6 = 0xed05, M7 = 0x2360;

/** The 32-bit words of a number's seed entropy. */
function words(number) {
  const low = number >>> 0;
  const high = Math.floor(number / 2 ** 32);
  return high > 0 ? [low, high] : [low];
}

/** Eight 32-bit words that the entropy gives, as `SeedSequence(entropy).generate_state(8)`. */
export function seedWords(entropy) {
  const given = entropy.flatMap(words);
  let factor = 0x43b0d7e5;
  const hash = (value) => {
    value ^= factor;
    factor = Math.imul(factor, 0x931e8875);
    value = Math.imul(value, factor);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x, y) => {
    const both = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
    return (both ^ (both >>> 16)) >>> 0;
  };
  const pool = [0, 1, 2, 3].map((i) => hash(i < given.length ? given[i] : 0));
  for (let from = 0; from < 4; from++)
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  for (const word of given.slice(4))
    for (let to = 0; to < 4; to++) pool[to] = mix(pool[to], hash(word));
  factor = 0x8b51f9dd;
  const state = new Uint32Array(8);
  for (let i = 0; i < 8; i++) {
    let value = pool[i % 4] ^ factor;
    factor = Math.imul(factor, 0x58f38ded);
    value = Math.imul(value, factor);
    state[i] = value ^ (value >>> 16);
  }
  return state;
}

/** The generator `Generator(PCG64(SeedSequence(entropy)))`. */
export class Random {
  constructor(entropy) {
    const s = seedWords(entropy);
    // each pair of 64-bit numbers is (high, low)
    const start = [s[2], s[3], s[0], s[1]];
    const stream = [s[6], s[7], s[4], s[5]];
    this.increment = new Uint32Array(4);
    for (let i = 3; i > 0; i--) this.increment[i] = (stream[i] << 1) | (stream[i - 1] >>> 31);
    this.increment[0] = (stream[0] << 1) | 1;
    this.state = new Uint32Array(4);
    this._step();
    this._add(start);
    this._step();
    this._half = -1;
  }

  _add(limbs) {
    let carry = 0;
    for (let i = 0; i < 4; i++) {
      const sum = this.state[i] + limbs[i] + carry;
      this.state[i] = sum;
      carry = sum > 0xffffffff ? 1 : 0;
    }
  }

  /** state ← state · multiplier + increment, modulo 2¹²⁸: in limbs of 16 bits, sums below 2⁵³. */
  _step() {
    const s = this.state;
    const c = this.increment;
    const a0 = s[0] & 0xffff, a1 = s[0] >>> 16, a2 = s[1] & 0xffff, a3 = s[1] >>> 16;
    const a4 = s[2] & 0xffff, a5 = s[2] >>> 16, a6 = s[3] & 0xffff, a7 = s[3] >>> 16;
    let t = a0 * M0 + (c[0] & 0xffff);
    const r0 = t & 0xffff;
    t = (t - r0) / 65536 + a0 * M1 + a1 * M0 + (c[0] >>> 16);
    const r1 = t % 65536;
    t = (t - r1) / 65536 + a0 * M2 + a1 * M1 + a2 * M0 + (c[1] & 0xffff);
    const r2 = t % 65536;
    t = (t - r2) / 65536 + a0 * M3 + a1 * M2 + a2 * M1 + a3 * M0 + (c[1] >>> 16);
    const r3 = t % 65536;
    t = (t - r3) / 65536 + a0 * M4 + a1 * M3 + a2 * M2 + a3 * M1 + a4 * M0 + (c[2] & 0xffff);
    const r4 = t % 65536;
    t = (t - r4) / 65536 + a0 * M5 + a1 * M4 + a2 * M3 + a3 * M2 + a4 * M1 + a5 * M0 + (c[2] >>> 16);
    const r5 = t % 65536;
    t = (t - r5) / 65536 + a0 * M6 + a1 * M5 + a2 * M4 + a3 * M3 + a4 * M2 + a5 * M1 + a6 * M0 +
      (c[3] & 0xffff);
    const r6 = t % 65536;
    t = (t - r6) / 65536 + a0 * M7 + a1 * M6 + a2 * M5 + a3 * M4 + a4 * M3 + a5 * M2 + a6 * M1 +
      a7 * M0 + (c[3] >>> 16);
    const r7 = t % 65536;
    s[0] = r0 + r1 * 65536;
    s[1] = r2 + r3 * 65536;
    s[2] = r4 + r5 * 65536;
    s[3] = r6 + r7 * 65536;
  }

  /** Draw 64 bits into `low` and `high`. */
  _draw() {
    this._step();
    const s = this.state;
    const low = (s[0] ^ s[2]) >>> 0;
    const high = (s[1] ^ s[3]) >>> 0;
    const turn = s[3] >>> 26;
    const x = turn < 32 ? low : high;
    const y = turn < 32 ? high : low;
    const by = turn & 31;
    this.low = by === 0 ? x : ((x >>> by) | (y << (32 - by))) >>> 0;
    this.high = by === 0 ? y : ((y >>> by) | (x << (32 - by))) >>> 0;
  }

  next32() {
    if (this._half >= 0) {
      const value = this._half;
      this._half = -1;
      return value;
    }
    this._draw();
    this._half = this.high;
    return this.low;
  }

  /** A double in [0, 1). */
  double() {
    this._draw();
    return (this.high * 2097152 + (this.low >>> 11)) / 9007199254740992;
  }

  /** A double in [low, high). */
  uniform(low, high) {
    return low + (high - low) * this.double();
  }

  /** An integer from 0 to `largest` < 2³²: bits under a mask until they are small enough. */
  integer(largest) {
    if (largest === 0) return 0;
    const mask = 0xffffffff >>> Math.clz32(largest);
    let value = (this.next32() & mask) >>> 0;
    while (value > largest) value = (this.next32() & mask) >>> 0;
    return value;
  }
}

const INITIAL = 0;
const ORDER = 1;

/** The generator of the initial weights. */
export const ofInitial = (seed) => new Random([seed, INITIAL]);

/**
 * The order of the events in an epoch, as `Generator.permutation`, drawn in pieces.
 *
 * A shuffle of 24,000 events takes longer than a frame has, so that the next epoch's is drawn
 * while this one's steps are taken.
 */
export class Order {
  constructor(seed, epoch, events) {
    this.epoch = epoch;
    this.rows = new Uint32Array(events);
    for (let i = 0; i < events; i++) this.rows[i] = i;
    this._random = new Random([seed, ORDER, epoch]);
    this._left = events - 1;
  }

  /** Draw so many more places. */
  advance(count) {
    const rows = this.rows;
    const end = Math.max(this._left - count, 0);
    for (let i = this._left; i > end; i--) {
      const j = this._random.integer(i);
      const kept = rows[i];
      rows[i] = rows[j];
      rows[j] = kept;
    }
    this._left = end;
  }

  /** The rows, shuffled to the end. */
  finished() {
    this.advance(this._left);
    return this.rows;
  }
}
