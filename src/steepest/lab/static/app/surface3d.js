// The surface in three dimensions: WebGL2 for the mesh, a 2-D canvas above it for the paths.

import { drawAxes3D } from "./axes3d.js";
import { MOST_DISCS, drawPath, length, lineWidth } from "./contour.js";
import { extent, prepared, scaled, sized, toneOf } from "./canvas.js";
import { surfaceColour } from "./colours.js";

const VERTEX = `#version 300 es
in vec3 place; in vec3 colour; in vec3 normal;
uniform mat4 view;
out vec3 shade;
void main() {
  float light = 0.62 + 0.38 * max(dot(normalize(normal), normalize(vec3(0.4, -0.5, 1.0))), 0.0);
  shade = colour * light;
  gl_Position = view * vec4(place, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec3 shade; out vec4 pixel; uniform float alpha;
void main() { pixel = vec4(shade, alpha); }`;
const HEIGHT = 0.85;
/** Of the eye from the middle of the mesh, whose half width is 1. */
const DISTANCE = 3.6;
/** Pixels that the axes need: at both sides together, above, and below. */
const ROOM = { sides: 110, above: 4, below: 48 };
/** Part of the width that the sides may take. */
const MOST_ROOM = 0.2;
const MOST_PLACES = 300;

/** Draws a Surface as a mesh that can be turned; without WebGL2 `works` is false. */
export class Surface3D {
  constructor() {
    this.turn = -0.6;
    this.tilt = 0.95;
    this.works = true;
  }

  /** The mesh where it, the view or the size has changed, and the paths above it. */
  draw(canvas, overlay, surface, paths) {
    const gl = this._context(canvas);
    if (!gl) return;
    const { width, height, changed } = sized(canvas);
    const mark = `${surface.row} ${this.turn} ${this.tilt}`;
    if (changed || this.surface !== surface || this._mark !== mark) {
      this._mark = mark;
      this._mesh(gl, surface);
      this.view = this._view(width, height);
      this._render(gl, canvas);
    }
    this._overlay(overlay, surface, paths, this.view);
  }

  _render(gl, canvas) {
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.useProgram(this.program);
    gl.uniformMatrix4fv(gl.getUniformLocation(this.program, "view"), false, this.view);
    const alpha = gl.getUniformLocation(this.program, "alpha");
    gl.bindVertexArray(this.array);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.POLYGON_OFFSET_FILL);
    gl.polygonOffset(1, 1);
    gl.uniform1f(alpha, 1);
    gl.drawElements(gl.TRIANGLES, this.triangles, gl.UNSIGNED_INT, 0);
    gl.disable(gl.POLYGON_OFFSET_FILL);
  }

  _context(canvas) {
    if (this.canvas === canvas) return this.gl;
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext(); // of a canvas that is gone
    const gl = canvas.getContext("webgl2", { antialias: true, premultipliedAlpha: false, preserveDrawingBuffer: true });
    Object.assign(this, { canvas, gl, surface: null, buffer: null, elements: null, works: Boolean(gl) });
    if (!gl) return null;
    this.program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.linkProgram(this.program);
    this.array = gl.createVertexArray();
    return gl;
  }

  /** Heights, colours and normals of the grid points that are computed. */
  _mesh(gl, surface) {
    if (this.surface === surface && this.row === surface.row) return;
    const n = surface.points;
    const [low, high] = extent(surface.values);
    Object.assign(this, { surface, row: surface.row, low, high });
    const height = (i, j) => {
      const value = surface.values[Math.min(j, n - 1) * n + Math.min(i, n - 1)];
      return Number.isFinite(value) ? this._height(value) : 0;
    };
    const data = new Float32Array(n * n * 9);
    for (let j = 0; j < n; j++)
      for (let i = 0; i < n; i++) {
        const at = 9 * (j * n + i);
        const z = height(i, j);
        const [dx, dy] = [height(i + 1, j) - height(Math.max(i - 1, 0), j), height(i, j + 1) - height(i, Math.max(j - 1, 0))];
        data[at] = (2 * i) / (n - 1) - 1;
        data[at + 1] = (2 * j) / (n - 1) - 1;
        data[at + 2] = z;
        surfaceColour(z / HEIGHT, data, at + 3, 1 / 255);
        data[at + 6] = (-dx * (n - 1)) / 4;
        data[at + 7] = (-dy * (n - 1)) / 4;
        data[at + 8] = 1;
      }
    const rows = Math.max(surface.row - 1, 0);
    const indices = new Uint32Array(rows * (n - 1) * 6);
    let at = 0;
    for (let j = 0; j < rows; j++)
      for (let i = 0; i + 1 < n; i++) {
        const corner = j * n + i;
        for (const point of [corner, corner + 1, corner + n, corner + 1, corner + n + 1, corner + n]) indices[at++] = point;
      }
    gl.bindVertexArray(this.array);
    this.buffer ??= gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    ["place", "colour", "normal"].forEach((name, k) => {
      const where = gl.getAttribLocation(this.program, name);
      if (where < 0) return;
      gl.enableVertexAttribArray(where);
      gl.vertexAttribPointer(where, 3, gl.FLOAT, false, 36, 12 * k);
    });
    this.elements ??= gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.elements);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.DYNAMIC_DRAW);
    this.triangles = indices.length;
  }

  _height(value) {
    return HEIGHT * Math.min(toneOf(value, this.low, this.high), 1.2);
  }

  /** Turned about the vertical, tilted, seen from a distance, and as large as the panel allows. */
  _view(width, height) {
    const [ct, st] = [Math.cos(this.turn), Math.sin(this.turn)];
    const [cp, sp] = [Math.cos(this.tilt), Math.sin(this.tilt)];
    const [near, far] = [0.5, 10];
    // camera: x right, y up, z towards the viewer
    const [x, y, z] = [[ct, -st, 0, 0], [st * cp, ct * cp, sp, 0], [-st * sp, -ct * sp, cp, -DISTANCE]];
    const w = z.map((v) => -v);
    const along = (row, corner) => row[0] * corner[0] + row[1] * corner[1] + row[2] * corner[2] + row[3];
    const corners = [-1, 1].flatMap((i) => [-1, 1].flatMap((j) => [0, HEIGHT].map((k) => [i, j, k])));
    const fitted = (row, free) => {
      const [low, high] = extent(corners.map((corner) => along(row, corner) / along(w, corner)));
      return { scale: (2 - 2 * free) / (high - low), middle: (low + high) / 2 };
    };
    // pixels that the names of the axes need: the same scale in both directions
    const [across, up] = [fitted(x, Math.min(scaled(ROOM.sides) / width, MOST_ROOM)), fitted(y, scaled(ROOM.above + ROOM.below) / height)];
    const lift = scaled(ROOM.below - ROOM.above) / height;
    const scale = Math.min(across.scale * width, up.scale * height);
    const depth = [(far + near) / (near - far), (2 * far * near) / (near - far)];
    const matrix = [
      x.map((v, k) => ((v - across.middle * w[k]) * scale) / width),
      y.map((v, k) => ((v - up.middle * w[k]) * scale) / height + lift * w[k]),
      z.map((v, k) => depth[0] * v + (k === 3 ? depth[1] : 0)),
      w,
    ];
    return Float32Array.from({ length: 16 }, (_, k) => matrix[k % 4][Math.floor(k / 4)]);
  }

  _overlay(overlay, surface, paths, view) {
    const { context, width, height } = prepared(overlay);
    const pixel = (x, y, z) => {
      const p = [0, 1, 2, 3].map((k) => view[k] * x + view[4 + k] * y + view[8 + k] * z + view[12 + k]);
      return [((p[0] / p[3] + 1) / 2) * width, ((1 - p[1] / p[3]) / 2) * height];
    };
    const part = (value, [low, high]) => (2 * (value - low)) / (high - low) - 1;
    const place = ([a, b]) =>
      pixel(part(a, surface.rangeA), part(b, surface.rangeB), this._height(surface.interpolated(a, b)) + 0.012);
    const distance = (x, y) => view[3] * x + view[7] * y + view[15];
    drawAxes3D(context, width, height, surface, { low: this.low, high: this.high, top: HEIGHT }, { pixel, distance });
    if (this.surface !== surface || surface.row < 2) return;
    for (const { places, lane } of paths) {
      const inside = [...places.list, places.now].filter((at) => at && surface.contains(...at) && Number.isFinite(surface.interpolated(...at)));
      const step = Math.max(1, Math.ceil(inside.length / MOST_PLACES));
      const points = inside.filter((_, i) => i % step === 0 || i === inside.length - 1).map(place);
      const line = new Path2D();
      for (const [x, y] of points) line.lineTo(x, y);
      drawPath(context, line, points.length <= MOST_DISCS ? points : points.slice(0, 1), points[points.length - 1], lane, lineWidth(length(points), width, height));
    }
  }

  /** Turn by a drag or by keys, in radians. */
  rotate(turn, tilt) {
    this.turn += turn;
    this.tilt = Math.min(Math.max(this.tilt + tilt, 0.15), 1.5);
  }
}
