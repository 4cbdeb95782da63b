// The twin of the library's arithmetic in JavaScript; each module names its counterpart.

export { Dataset, load } from "./data.js";
export { Descent } from "./descent.js";
export { LOSSES, sigmoid } from "./losses.js";
export { Objective, initializationOf } from "./network.js";
export { RULES } from "./rules.js";
export { SCHEDULES, factor } from "./schedules.js";
export { Order, Random } from "./random.js";
export * from "./curvature.js";
export { dot, eigen, finished } from "./linear_algebra.js";

export const LOSS_OF_TASK = {
  regression: "mean-squared-error",
  binary: "binary-cross-entropy",
  multiclass: "cross-entropy",
};
