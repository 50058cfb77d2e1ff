"""The libpyro.so that this process uses."""
from __future__ import annotations

import ctypes
import os
import shutil

from ._library import open_library
from ._methods import VERSION

SONAME = "libpyro.so.0"


def places_below(prefix: str) -> list[str]:
    return [f"{prefix}/lib/{os.uname().machine}-linux-gnu/{SONAME}", f"{prefix}/lib/{SONAME}"]


def places() -> list[str]:
    """Where the library may be; a name without a directory is for the system's loader."""
    if given := os.environ.get("PYRO_LIBRARY"):
        return [given]
    here = os.path.dirname(os.path.abspath(__file__))  # PREFIX/lib/python3/dist-packages/pyro_mcp
    found = [*places_below(os.path.abspath(f"{here}/../../../..")), SONAME]
    if program := shutil.which("pyro"):
        prefix = os.path.dirname(os.path.dirname(os.path.realpath(program)))
        found += [*places_below(prefix), f"{prefix}/api/{SONAME}"]  # the last in a build tree
    return found


def load() -> tuple[ctypes.CDLL, str]:
    """The library, and where it was found."""
    reasons = []
    for place in places():
        if "/" in place and not os.path.exists(place):
            reasons.append(f"{place} does not exist")
            continue
        try:
            library = open_library(place)
        except (OSError, AttributeError) as error:
            reasons.append(str(error))
            continue
        version = library.pyro_version().decode()
        if version == VERSION:
            return library, place
        reasons.append(f"{place} is of version {version}, and pyro_mcp of {VERSION}")
    raise ImportError(f"{SONAME} cannot be used: {'; '.join(reasons)}\n"
                      "hint: install pyro of the same version, or set PYRO_LIBRARY to the path of the library")


lib, path = load()
