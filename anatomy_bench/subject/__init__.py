"""The model under study: found, loaded, checked, scored and restored."""

from anatomy_bench.subject.loading import load_subject
from anatomy_bench.subject.source import resolve_source
from anatomy_bench.subject.subject import Subject

__all__ = ["Subject", "load_subject", "resolve_source"]
