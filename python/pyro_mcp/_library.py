"""libpyro.so: where it is, and its functions as ctypes see them."""
import ctypes
import os
import shutil

SONAME = "libpyro.so.0"


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


FUNCTIONS = {
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


def places():
    """Where the library may be; a name without a directory is for the system's loader."""
    here = os.path.dirname(os.path.abspath(__file__))
    if given := os.environ.get("PYRO_LIBRARY"):
        return [given]
    found = [f"{here}/{SONAME}", SONAME]
    if program := shutil.which("pyro"):
        prefix = os.path.dirname(os.path.dirname(os.path.realpath(program)))
        found += [f"{prefix}/lib/{os.uname().machine}-linux-gnu/{SONAME}", f"{prefix}/lib/{SONAME}"]
    return found


def load():
    """The library, and where it was found."""
    why = ""
    for place in places():
        if "/" in place and not os.path.exists(place):
            continue
        try:
            library = ctypes.CDLL(place)
        except OSError as error:
            why = f": {error}"
            continue
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        return library, place
    raise ImportError(f"{SONAME} is not in {', '.join(places())}{why}\n"
                      "hint: install pyro, or set PYRO_LIBRARY to the path of the library")


lib, path = load()
