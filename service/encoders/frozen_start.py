"""Imported by the fork server last: it loads the parser, once for all children.

What the server has by then is never searched for garbage, which would copy its pages.
"""

import atexit
import gc
import os
from contextlib import suppress

import tokenizers  # noqa: F401

from model.language.spacy_parser import imported_spacy, prepare_parser
from model.openvino_networks import openvino_without_telemetry
from quartet.errors import ModelError

imported_spacy()
with suppress(ModelError):  # who needs the parser says what is wrong with it
    prepare_parser()
with suppress(ImportError):
    openvino_without_telemetry()
gc.collect()
gc.freeze()
# The server has nothing to save. An ordinary end prints what compiled libraries still hold.
atexit.register(os._exit, 0)
