"""Results of `benchmarks/`, read from the JSON that pytest-benchmark writes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anatomy_bench.base.errors import UsageError
from anatomy_bench.values.quantities import quantity

SCALING = "scaling"
HEADERS = ("way", "seconds", "times as fast", "10⁹ operations", "10⁹ operations/s", "of plain products", "peak MB")
_GIGA, _MEGA = 10**9, 10**6


@dataclass(frozen=True)
class Benchmark:
    """One of the ways that a group of benchmarks compares.

    Attributes:
        group: what is done.
        way: how it is done.
        seconds: of the best round.
        details: peak memory, operations and their rate, sizes, as far as they were measured.
    """

    group: str
    way: str
    seconds: float
    details: Mapping[str, Any]

    def number(self, name: str, unit: float = 1.0) -> str:
        """A measured number in that unit, or empty if it was not measured."""
        value = self.details.get(name)
        return "" if value is None else quantity(float(value) / unit)


@dataclass(frozen=True)
class Benchmarks:
    """A run of the benchmarks.

    Attributes:
        machine: one line about the machine.
        measured: in the order of the run.
    """

    machine: str
    measured: Sequence[Benchmark]

    def tables(self) -> dict[str, list[Sequence[str]]]:
        """By group, a row for each way, compared with the first; without those that are drawn as figures."""
        groups = dict.fromkeys(benchmark.group for benchmark in self.measured if benchmark.group != SCALING)
        return {
            group: _rows([benchmark for benchmark in self.measured if benchmark.group == group]) for group in groups
        }

    def sizes(self) -> list[Benchmark]:
        """Those that show how seconds grow with layers and with sentences."""
        return [benchmark for benchmark in self.measured if benchmark.group == SCALING]


def read_benchmarks(path: Path) -> Benchmarks:
    """The benchmarks in a file that `--benchmark-json` wrote.

    Raises:
        UsageError: there is no such file, or it has other content.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        measured = [
            Benchmark(entry["group"], entry["extra_info"]["way"], float(entry["stats"]["min"]), entry["extra_info"])
            for entry in read["benchmarks"]
        ]
        return Benchmarks(_machine(read["machine_info"]), measured)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not what `make bench` writes") from error


def _machine(info: Mapping[str, Any]) -> str:
    facts = [info["gpu"], info["processor_name"], f"{info['threads']} threads", f"torch {info['torch']}"]
    return ", ".join(fact for fact in facts if fact)


def _rows(group: Sequence[Benchmark]) -> list[Sequence[str]]:
    return [
        (
            benchmark.way,
            quantity(benchmark.seconds),
            quantity(group[0].seconds / benchmark.seconds),
            benchmark.number("flops", _GIGA),
            benchmark.number("flops_per_second", _GIGA),
            benchmark.number("share_of_product_rate"),
            benchmark.number("peak_bytes", _MEGA),
        )
        for benchmark in group
    ]
