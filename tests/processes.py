"""The command line in processes of its own that start at once: forked from one in which everything is loaded."""

import multiprocessing
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([
    "pytest", "scipy.stats", "sklearn.linear_model", "accelerate", "gguf", "tokenizers", "safetensors.torch",
    "transformers.models.llama.modeling_llama", "transformers.models.auto.modeling_auto",
    "transformers.modeling_gguf_pytorch_utils", "transformers.tokenization_utils_tokenizers",
    "anatomy_bench.cli", "anatomy_bench.subject", "anatomy_bench.run.run", "anatomy_bench.run.judging",
    "anatomy_bench.report.writing", "anatomy_bench.run.inventory", "anatomy_bench.experiments.ablation.experiment",
    "anatomy_bench.papers.anatomical_heterogeneity.experiments.perturbation.experiment",
    "anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.experiment",
])  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, or the signal that killed it as a negative number."""

    code: int
    out: str
    err: str


class CommandProcess:
    """A run of `anatomy-bench` in an empty folder."""

    def __init__(self, arguments: list[str], folder: Path, cache: Path, *, file_bytes: int | None = None) -> None:
        """Start it; it has begun to read its arguments when this returns.

        Args:
            arguments: of the command line.
            folder: made for this run: its output, and in `here` what it writes into the current folder.
            cache: of the run.
            file_bytes: the longest file that it may write.
        """
        self.folder = folder
        (folder / "here").mkdir(parents=True)
        told, tells = _CONTEXT.Pipe(duplex=False)
        self.process = _CONTEXT.Process(target=_run, args=(arguments, folder, cache, file_bytes, tells))
        self.process.start()
        tells.close()
        told.recv()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait no longer than that; whether it has ended."""
        self.process.join(seconds)
        return not self.process.is_alive()

    def ended(self) -> Ended:
        """Wait for its end."""
        if not self.wait(120):
            self.process.kill()
            raise AssertionError("the command line hangs")
        assert self.process.exitcode is not None
        out, err = ((self.folder / name).read_text(errors="replace") for name in ("out", "err"))
        return Ended(self.process.exitcode, out, err)


def run_command(arguments: list[str], folder: Path, cache: Path, *, file_bytes: int | None = None) -> Ended:
    """Run it to its end."""
    return CommandProcess(arguments, folder, cache, file_bytes=file_bytes).ended()


def timed(arguments: list[str], folder: Path, cache: Path) -> tuple[Ended, float]:
    """Run it to its end; with the seconds that it took."""
    start = time.monotonic()
    ended = run_command(arguments, folder, cache)
    return ended, time.monotonic() - start


def _run(arguments: list[str], folder: Path, cache: Path, file_bytes: int | None, tells: Connection) -> None:
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which `nohup` has every process ignore
    os.chdir(folder / "here")
    os.environ.update(ANATOMY_BENCH_CACHE=str(cache), HF_HUB_OFFLINE="1")
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    sys.argv = ["anatomy-bench", *arguments]
    from anatomy_bench.cli import main

    tells.send("started")
    tells.close()
    main()
