"""Imported by the fork server last: what it has imported is never searched for garbage, which would copy its pages."""

import gc
from contextlib import suppress

from model.cpu_backend import openvino_without_telemetry

with suppress(ImportError):
    openvino_without_telemetry()
gc.collect()
gc.freeze()
