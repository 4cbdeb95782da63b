"""Jets from particles: detector, clustering, substructure, and the columns of the file."""
