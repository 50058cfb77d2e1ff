"""Pyro: calls of libpyro."""
from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Callable
from typing import Any

from ._found import lib
from ._library import ON_OUTPUT, ON_PHASE, ON_PROGRESS, Error, Observer
from ._methods import Methods
from ._server import create_server, make_error
from .errors import PyroError

OnPhase = Callable[[str, str], object]
OnProgress = Callable[[str, int, int, str], object]
OnOutput = Callable[[int, bytes], object]


def error_from(error: Error) -> PyroError:
    """The exception that a struct pyro_error stands for."""
    code = lib.pyro_code_name(error.code).decode()
    return make_error(code, error.message.decode(), error.hint.decode(),
                      lib.pyro_code_retryable(error.code))


Watchers = tuple[OnPhase | None, OnProgress | None, OnOutput | None]


def observe(pointer: int, watchers: Watchers, raised: list[BaseException]) -> Observer:
    """Tells the watchers about one handle. Their first exception is put into `raised`, and cancels
    the call: ctypes would only print it."""
    def guarded(function: Callable[..., object]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            try:
                if not raised:
                    function(*arguments)
            except BaseException as error:  # pylint: disable=broad-exception-caught
                raised.append(error)
                lib.pyro_cancel(pointer)
        return call

    on_phase, on_progress, on_output = watchers
    observer = Observer()
    if on_phase:
        tell_phase = guarded(on_phase)
        observer.on_phase = ON_PHASE(
            lambda _, name, detail: tell_phase(name.decode(), detail.decode()))
    if on_progress:
        tell_progress = guarded(on_progress)
        observer.on_progress = ON_PROGRESS(
            lambda _, what, done, total, unit: tell_progress(what.decode(), done, total,
                                                             unit.decode()))
    if on_output:
        tell_output = guarded(on_output)
        observer.on_output = ON_OUTPUT(
            lambda _, stream, data, size: tell_output(stream, ctypes.string_at(data, size)))
    lib.pyro_observe(pointer, observer)
    return observer


class Handle:
    """One struct pyro, for one call at a time."""

    def __init__(self, watchers: Watchers):
        self.pointer = lib.pyro_new()
        if not self.pointer:
            raise OSError("a setuid program cannot use pyro, nor one without free descriptors")
        self.is_cancelled = False
        self.raised: list[BaseException] = []
        self.observer = observe(self.pointer, watchers, self.raised)

    def call(self, name: str, arguments: bytes) -> Any:
        """Returns the result or the exception."""
        result, error = ctypes.c_void_p(), Error()
        code = lib.pyro_call_json(self.pointer, name.encode(), arguments, result, error)
        text = ctypes.string_at(result) if code >= 0 else b""
        lib.free(result)
        if self.raised:
            self.is_cancelled = True
            return self.raised[0]
        return json.loads(text) if code >= 0 else error_from(error)

    def __del__(self) -> None:
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
    runs, on_output(stream, data) with stream 1 or 2 and data in bytes. An exception in one of these
    ends the call as cancel() does, and the call raises it.
    """

    def __init__(self, *, on_phase: OnPhase | None = None, on_progress: OnProgress | None = None,
                 on_output: OnOutput | None = None):
        self._lock = threading.Lock()
        self._idle: list[Handle] = []
        self._busy: set[Handle] = set()
        self._watchers = (on_phase, on_progress, on_output)
        self._process = os.getpid()

    create_server = staticmethod(create_server)

    def cancel(self) -> None:
        """Cancels the calls under way."""
        with self._lock:
            for handle in self._busy:
                handle.is_cancelled = True
                lib.pyro_cancel(handle.pointer)

    def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        text = json.dumps(arguments, default=os.fspath).encode()
        if self._process != os.getpid():
            raise make_error("bad_state", f"this Pyro belongs to process {self._process}",
                             "make another Pyro after a fork")
        with self._lock:
            handle = self._idle.pop() if self._idle else Handle(self._watchers)
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
        if isinstance(result, BaseException):
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
