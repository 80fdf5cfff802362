"""Short names of the options in this repository, and what to do if the package is not installed."""

import pytest

from anatomy_bench.pytest_options import add_short_options


def pytest_addoption(parser):
    """`--model` and so on, beside `--anatomy-model`, which is there wherever the package is installed."""
    add_short_options(parser)


def pytest_configure(config):
    """Refuse to run without the plugin."""
    if not config.pluginmanager.hasplugin("anatomy_bench"):
        raise pytest.UsageError("anatomy_bench is not installed here; run `make verify`, or `pip install -e .[gguf]`")
