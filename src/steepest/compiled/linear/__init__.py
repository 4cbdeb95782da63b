"""Linear models with one output: products, gradient, steps on batches and on single events."""
