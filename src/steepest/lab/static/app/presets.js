// The twelve rows of the lecture, as links to states with a sentence each: the tour.

import { decode } from "./state.js";

/** Name, title, what it is, what to watch, and the state as a link has it; in the order of the lecture. */
const ROWS = [
  ["descend", "Down to the minimum",
    "Measure the local slope of the loss, and step down: the path on the surface is the descent, the line through the points its answer.",
    "Press play: each step follows the steepest slope, straight across the contours.",
    "rate=0.05&epochs=400&speed=2"],
  ["seven-steps", "Seven steps",
    "Init, predict, loss, gradient, step, repeat, stop: nothing else happens in any training, be it of a line or of a network.",
    "Press step, and read the numbers of each of the seven below.",
    "epochs=50&speed=0"],
  ["linear", "Linear regression",
    "ŷ = θ·x with the mean squared error: J is a bowl, so the curvature at one place is that of all places, and everything can be predicted.",
    "The prediction of steps next to the slider is exact: run it, and count.",
    "rate=0.2&epochs=300&view=3d"],
  ["logistic", "Logistic regression",
    "p̂ = σ(θ·x) with the binary cross entropy: the boundary between two classes is where p̂ = ½.",
    "The boundary turns and then sharpens: the direction is learnt first, the certainty later.",
    "data=two-classes&scaling=standard&rate=8&speed=2"],
  ["softmax", "Three classes: softmax",
    "Cross entropy for K classes: as many scores as classes, and the largest wins.",
    "Three borders meet at one point.",
    "data=three-classes&rate=3&epochs=400&speed=2"],
  ["steps-sizes", "Small steps, large steps",
    "A small learning rate needs many steps; a large one overshoots, and beyond 2/λmax it diverges. The slider knows before the run.",
    "Move η from left to right over the four colours, and press play in each.",
    "rate=0.44&speed=2"],
  ["minima", "Minima, plateaus, ridges",
    "The surface of a network is no bowl: it has several minima, plateaus where nothing seems to happen, and ridges.",
    "Another seed starts elsewhere, and ends elsewhere. Turn the surface.",
    "data=two-moons&hidden=6&scaling=standard&rate=0.6&epochs=3000&speed=5&view=3d&seed=3"],
  ["scaling", "Feature scaling",
    "Stretched contours are slow, round ones quick: the lecture's parabola needs some 755,000 steps as it is, and 196 when its features are standardised.",
    "Two settings at once: the scaled one has arrived before the other seems to move.",
    "data=parabola&rate=3.4e-5&epochs=3000&race=rate:0.49;scaling:standard"],
  ["batch", "Batch gradient descent",
    "The gradient as one matrix product over the full training set: here 16,756 jets a step, top quarks against QCD.",
    "A smooth path, but each step is a pass over all jets.",
    "data=top-jets&scaling=standard&rate=2&epochs=300"],
  ["rates", "Too small, just right, too large",
    "η = 0.02, 0.1 and 0.5 on the same points, from the same start: the lecture's three panels.",
    "Three lines: one is late, one is there, one has left the picture.",
    "speed=1&race=rate:0.02&race=rate:0.5"],
  ["stochastic", "One event at a time",
    "Stochastic gradient descent takes a step on every single event: much faster in passes over the data, but it cannot settle, unless a schedule lowers η.",
    "Three settings: single events, single events with a schedule, and all events a step.",
    "batch=1&epochs=30&speed=4&race=schedule:inverse-time&race=batch:all"],
  ["share", "Data and models to share",
    "Real events, a recipe that gives the same bits in the library, and from there to the Hugging Face Hub: what you see here can leave the browser.",
    "Open Export: a link, the recipe, the Python lines, the picture.",
    "data=top-jets&features=mass,tau32,n_constituents,c2&scaling=standard&optimizer=adam&rate=0.01&batch=128&schedule=one-cycle&epochs=10&speed=5"],
];

export const PRESETS = ROWS.map(([id, title, text, look, query]) => ({ id, title, text, look, query }));

/** The state of a preset. */
export const stateOf = ({ query }) => decode(query).state;
