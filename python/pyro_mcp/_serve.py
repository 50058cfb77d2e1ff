"""Becomes the MCP server with the options in its argument, as JSON. A program of its own, without
the rest of the package: python _serve.py OPTIONS"""
import ctypes
import json
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from _library import Error, open_library

    error, lib = Error(), open_library(os.environ["PYRO_LIBRARY"])
    lib.pyro_call_json(lib.pyro_new(), b"serve_mcp", sys.argv[1].encode(), ctypes.c_void_p(), error)
    print(json.dumps({"error": [lib.pyro_code_name(error.code).decode(), error.message.decode(),
                                error.hint.decode(), lib.pyro_code_retryable(error.code)]}))
    sys.exit(2)
