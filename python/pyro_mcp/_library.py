"""libpyro.so: its functions as ctypes sees them."""
from __future__ import annotations

import ctypes
from typing import Any


class Error(ctypes.Structure):
    """struct pyro_error"""
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 480),
                ("hint", ctypes.c_char * 240)]


ON_PHASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
ON_PROGRESS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64,
                               ctypes.c_int64, ctypes.c_char_p)
ON_OUTPUT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)


class Observer(ctypes.Structure):
    """struct pyro_observer"""
    _fields_ = [("on_phase", ON_PHASE), ("on_progress", ON_PROGRESS), ("on_output", ON_OUTPUT),
                ("ctx", ctypes.c_void_p)]


FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "pyro_version": (ctypes.c_char_p, []),
    "pyro_new": (ctypes.c_void_p, []),
    "pyro_free": (None, [ctypes.c_void_p]),
    "pyro_observe": (None, [ctypes.c_void_p, ctypes.POINTER(Observer)]),
    "pyro_cancel": (None, [ctypes.c_void_p]),
    "pyro_call_json": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p,
                                      ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(Error)]),
    "pyro_code_name": (ctypes.c_char_p, [ctypes.c_int]),
    "pyro_code_retryable": (ctypes.c_bool, [ctypes.c_int]),
    "free": (None, [ctypes.c_void_p]),
}


def open_library(place: str) -> ctypes.CDLL:
    """Raises OSError, and AttributeError for one that lacks a function."""
    library = ctypes.CDLL(place)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
