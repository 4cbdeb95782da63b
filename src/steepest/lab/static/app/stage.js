// What is drawn in a frame: the paths in every one, the other panels in turn, so that none takes long.

import { Contour } from "./contour.js";
import { Surface3D } from "./surface3d.js";
import { LossCurve } from "./losscurve.js";
import { drawData } from "./dataview.js";

/** Frames after which each panel has had its turn. */
export const CYCLE = 12;
/** The turns of the data, of the loss, and of the text, which the playground writes. */
export const TURNS = { data: [0, 6], loss: [9], text: [3] };

/** Places of the paths that are projected onto a new surface in a frame, while it plays. */
const PLACES = 200;

export class Stage {
  constructor() {
    this.contour = new Contour();
    this.surface3d = new Surface3D();
    this.curve = new LossCurve();
  }

  /**
   * Draw a frame of a playground: {lanes, surface, view, loss}.
   *
   * @param canvases the elements: surface, gl, overlay, data, loss
   * @param turn the number of the frame in its cycle; null for all panels
   */
  draw(canvases, { lanes, surface, view, loss }, turn) {
    if (!surface || !canvases.data) return;
    const most = turn === null ? Infinity : Math.ceil(PLACES / lanes.length);
    const paths = lanes.map((lane) => ({ places: lane.places(surface, most), lane: lane.number })).reverse();
    if (view === "3d") this.surface3d.draw(canvases.gl, canvases.overlay, surface, paths);
    else {
      this.contour.drawSurface(canvases.surface, surface);
      this.contour.drawPaths(canvases.overlay, paths);
    }
    if (turn === null || TURNS.data.includes(turn))
      drawData(canvases.data, lanes[0].problem, lanes.map(({ problem, descent, number }) => ({ problem, theta: descent.theta, lane: number })));
    if (canvases.loss && (turn === null || TURNS.loss.includes(turn))) this.curve.draw(canvases.loss, lanes.map((lane) => lane.curve), loss);
  }

  destroy() {
    this.curve.destroy();
  }
}
