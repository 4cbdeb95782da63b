// The twelve rows of the lecture, as states of the playground with a sentence each: the tour.

/** In the order of the lecture. `look` says what to watch. */
export const PRESETS = [
  {
    id: "descend", title: "Down to the minimum",
    text: "Measure the local slope of the loss, and step down: the path on the surface is the descent, the line through the points its answer.",
    look: "Press play: each step follows the steepest slope, straight across the contours.",
    state: { data: "noisy-line", rate: 0.05, epochs: 400, speed: 2 },
  },
  {
    id: "seven-steps", title: "Seven steps",
    text: "Init, predict, loss, gradient, step, repeat, stop: nothing else happens in any training, be it of a line or of a network.",
    look: "Press step, and read the numbers of each of the seven below.",
    state: { data: "noisy-line", rate: 0.1, epochs: 50, speed: 0 },
  },
  {
    id: "linear", title: "Linear regression",
    text: "ŷ = θ·x with the mean squared error: J is a bowl, so the curvature at one place is that of all places, and everything can be predicted.",
    look: "The prediction of steps next to the slider is exact: run it, and count.",
    state: { data: "noisy-line", rate: 0.2, epochs: 300, speed: 3, view: "3d" },
  },
  {
    id: "logistic", title: "Logistic regression",
    text: "p̂ = σ(θ·x) with the binary cross entropy: the boundary between two classes is where p̂ = ½.",
    look: "The boundary turns and then sharpens: the direction is learnt first, the certainty later.",
    state: { data: "two-classes", scaling: "standard", rate: 8, epochs: 200, speed: 2 },
  },
  {
    id: "softmax", title: "Three classes: softmax",
    text: "Cross entropy for K classes: as many scores as classes, and the largest wins.",
    look: "Three borders meet at one point.",
    state: { data: "three-classes", rate: 3, epochs: 400, speed: 2 },
  },
  {
    id: "steps-sizes", title: "Small steps, large steps",
    text: "A small learning rate needs many steps; a large one overshoots, and beyond 2/λmax it diverges. The slider knows before the run.",
    look: "Move η from left to right over the four colours, and press play in each.",
    state: { data: "noisy-line", rate: 0.44, epochs: 200, speed: 2 },
  },
  {
    id: "minima", title: "Minima, plateaus, ridges",
    text: "The surface of a network is no bowl: it has several minima, plateaus where nothing seems to happen, and ridges.",
    look: "Another seed starts elsewhere, and ends elsewhere. Turn the surface.",
    state: { data: "two-moons", hidden: [6], activation: "tanh", scaling: "standard", rate: 0.6, epochs: 3000, speed: 5, view: "3d", seed: 3 },
  },
  {
    id: "scaling", title: "Feature scaling",
    text: "Stretched contours are slow, round ones quick: the lecture's parabola needs some 755,000 steps as it is, and 196 when its features are standardised.",
    look: "Two settings at once: the scaled one has arrived before the other seems to move.",
    state: { data: "parabola", rate: 3.4e-5, epochs: 3000, speed: 3, race: [{ scaling: "standard", rate: 0.49 }] },
  },
  {
    id: "batch", title: "Batch gradient descent",
    text: "The gradient as one matrix product over the full training set: here 16,756 jets a step, top quarks against QCD.",
    look: "A smooth path, but each step is a pass over all jets.",
    state: { data: "top-jets", scaling: "standard", rate: 2, epochs: 300, speed: 3 },
  },
  {
    id: "rates", title: "Too small, just right, too large",
    text: "η = 0.02, 0.1 and 0.5 on the same points, from the same start: the lecture's three panels.",
    look: "Three lines: one is late, one is there, one has left the picture.",
    state: { data: "noisy-line", rate: 0.1, epochs: 200, speed: 1, race: [{ rate: 0.02 }, { rate: 0.5 }] },
  },
  {
    id: "stochastic", title: "One event at a time",
    text: "Stochastic gradient descent takes a step on every single event: much faster in passes over the data, but it cannot settle, unless a schedule lowers η.",
    look: "Three settings: single events, single events with a schedule, and all events a step.",
    state: { data: "noisy-line", batch: 1, rate: 0.1, epochs: 30, speed: 4, race: [{ schedule: "inverse-time" }, { batch: "all" }] },
  },
  {
    id: "share", title: "Data and models to share",
    text: "Real events, a recipe that gives the same bits in the library, and from there to the Hugging Face Hub: what you see here can leave the browser.",
    look: "Open Export: a link, the recipe, the Python lines, the picture.",
    state: { data: "top-jets", features: ["mass", "tau32", "n_constituents", "c2"], scaling: "standard", optimizer: "adam", rate: 0.01, batch: 128, schedule: "one-cycle", epochs: 10, speed: 5 },
  },
];
