"""The hot path: how interventions are carried out and scored."""
