"""Programs that a person types, scored."""
