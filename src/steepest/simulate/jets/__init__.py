"""From particles to jets: detector, clustering, substructure, and the columns of the file."""
