"""Training of single layers in an otherwise frozen model."""
