"""What each option does, told once for pytest and the command line."""

HELP = {
    "model": "the model under study: a hub id, a directory, a .gguf file, or bundled (SmolLM2-135M-Instruct, 4 bits)",
    "revision": "branch, tag or commit of a hub model",
    "device": "auto takes CUDA where there is one, else the CPU",
    "dtype": "precision of weights and arithmetic: float32 or bfloat16",
    "profile": "paper: the full protocol; quick: fewer repetitions. Default: paper on CUDA, quick on the CPU",
    "corpus": "score this text instead of the ten sentences; UTF-8, one text a line",
    "seed": "seed of every random generator",
    "report": "write ledger.json, report.md and report.html, the one to look at, into this folder",
    "benchmarks": "figures that make bench has written, to be shown in the report",
    "atlas": "write atlas.md and atlas.html, the one to look at, into this folder",
    "expected": "verdicts on record, instead of claims/expected/<model>.toml",
    "record_expected": "write this run's verdicts down as the expected ones",
    "fresh": "measure again what the store of finished units already holds",
    "trust_remote_code": "run Python code that comes with the model",
    "allow_pickled_weights": "load .bin weights, which can run code",
    "allow_untrained": "measure a model that predicts no better than token frequencies",
    "dry_run": "say what would be measured, how long about and in how much memory; measure nothing",
    "strict": "exit with 1 if a claim failed: not supported and not on record, or not as on record",
    "json": "write the measurement to this file; - is standard output",
}
