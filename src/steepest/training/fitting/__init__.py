"""The parts of `steepest.training.fit`, from what the recipe leaves open to the trained model."""
