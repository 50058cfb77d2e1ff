"""Pyro: calls of libpyro."""
from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Callable
from typing import Any

from ._library import ON_OUTPUT, ON_PHASE, ON_PROGRESS, Error, Observer, lib
from ._methods import Methods
from ._server import create_server
from .errors import BY_CODE, PyroError


def error_from(error: Error) -> PyroError:
    """The exception that a struct pyro_error stands for."""
    code = lib.pyro_code_name(error.code).decode()
    return BY_CODE.get(code, PyroError)(code, error.message.decode(), error.hint.decode(),
                                        lib.pyro_code_retryable(error.code))


class Handle:
    """One struct pyro, for one call at a time."""

    def __init__(self, observer: Observer):
        self.pointer = lib.pyro_new()
        if not self.pointer:
            raise OSError("the system refuses descriptors")
        self.is_cancelled = False
        lib.pyro_observe(self.pointer, observer)

    def call(self, name: str, arguments: bytes) -> Any:
        """Returns the result or the exception."""
        result, error = ctypes.c_void_p(), Error()
        if lib.pyro_call_json(self.pointer, name.encode(), arguments, result, error) < 0:
            return error_from(error)
        text = ctypes.string_at(result.value)
        lib.free(result)
        return json.loads(text)

    def __del__(self):
        if pointer := getattr(self, "pointer", None):
            lib.pyro_free(pointer)


class Pyro(Methods):
    """All operations of pyro. Which machines and workspaces there are is kept on disk: every Pyro,
    and the command line, sees the same.

    Threads: any number may call at once. cancel(), from any thread, makes all calls under way raise
    Cancelled after undoing what they began; so does Ctrl-C in the main thread, which then raises
    KeyboardInterrupt.

    While a call works, its thread tells what happens, if the caller wants to know:
    on_phase(operation, detail), on_progress(what, done, total or 0, unit), and, of a command that
    runs, on_output(stream, data) with stream 1 or 2 and data in bytes.
    """

    def __init__(self, *, on_phase: Callable[[str, str], None] | None = None,
                 on_progress: Callable[[str, int, int, str], None] | None = None,
                 on_output: Callable[[int, bytes], None] | None = None):
        self._lock = threading.Lock()
        self._idle: list[Handle] = []
        self._busy: set[Handle] = set()
        self._observer = Observer()
        if on_phase:
            self._observer.on_phase = ON_PHASE(
                lambda _, name, detail: on_phase(name.decode(), detail.decode()))
        if on_progress:
            self._observer.on_progress = ON_PROGRESS(
                lambda _, what, done, total, unit: on_progress(what.decode(), done, total,
                                                               unit.decode()))
        if on_output:
            self._observer.on_output = ON_OUTPUT(
                lambda _, stream, data, size: on_output(stream, ctypes.string_at(data, size)))

    create_server = staticmethod(create_server)

    def cancel(self) -> None:
        """Cancels the calls under way."""
        with self._lock:
            for handle in self._busy:
                handle.is_cancelled = True
                lib.pyro_cancel(handle.pointer)

    def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        text = json.dumps(arguments, default=os.fspath).encode()
        with self._lock:
            handle = self._idle.pop() if self._idle else Handle(self._observer)
            self._busy.add(handle)
        try:
            if threading.current_thread() is threading.main_thread():
                result = self._call_interruptibly(handle, name, text)
            else:
                result = handle.call(name, text)
        finally:
            with self._lock:
                self._busy.remove(handle)
                if not handle.is_cancelled:  # else it may still be about to cancel the next call
                    self._idle.append(handle)
        if isinstance(result, PyroError):
            raise result
        return result

    def _call_interruptibly(self, handle: Handle, name: str, text: bytes) -> Any:
        """Signals reach Python in the main thread only, and not while it is in a C function."""
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(handle.call(name, text)))
        thread.start()
        try:
            thread.join()
        except BaseException:
            handle.is_cancelled = True
            lib.pyro_cancel(handle.pointer)
            thread.join()
            raise
        return results[0]
