"""Say what to do if the claims are run before the package, which brings their plugin, is installed."""

import pytest


def pytest_configure(config):
    """Refuse to run without the plugin."""
    if not config.pluginmanager.hasplugin("anatomy_bench"):
        raise pytest.UsageError("anatomy_bench is not installed here; run `make verify`, or `pip install -e .[gguf]`")
