"""One run: its options, the store of finished jobs, the measurements, and the verdicts."""
