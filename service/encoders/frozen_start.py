"""Imported by the fork server last: what it has imported is never searched for garbage, which would copy its pages."""

import atexit
import gc
import os
from contextlib import suppress

import tokenizers  # noqa: F401

from model.cpu_backend import openvino_without_telemetry
from model.language.spacy_parser import imported_spacy

imported_spacy()
with suppress(ImportError):
    openvino_without_telemetry()
gc.collect()
gc.freeze()
# The server has nothing to save. An ordinary end prints what compiled libraries still hold.
atexit.register(os._exit, 0)
