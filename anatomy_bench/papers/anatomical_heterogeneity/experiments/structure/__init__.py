"""How weights change from layer to layer (3.4, 4.3)."""
