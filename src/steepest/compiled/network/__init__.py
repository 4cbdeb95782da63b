"""Dense networks: layout, layers by BLAS, steps, logits. The NumPy twin is `models.layers`."""
