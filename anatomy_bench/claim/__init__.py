"""Claims, printed numbers, and the conclusion from a finding's verdicts."""
