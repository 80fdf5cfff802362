"""Every layer with the norms of the layer before it, and with its matrices."""
