# made by make gen from the rows in ops/; do not edit
"""How calls fail: PyroError, and a class for each code."""
from __future__ import annotations


class PyroError(Exception):
    """A call failed: what failed, on what, and why, in one line.

    code: the stable name of what kind of error it is, "unknown_environment".
    message: what str() shows, without the hint.
    hint: the next command or change, or "".
    retryable: whether the same call can succeed later without any change.
    """

    def __init__(self, code: str, message: str, hint: str = "", retryable: bool = False):
        super().__init__(message)
        self.code, self.message, self.hint, self.retryable = code, message, hint, retryable

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type[PyroError], tuple[str, str, str, bool]]:
        return type(self), (self.code, self.message, self.hint, self.retryable)


class Usage(PyroError):
    """The error 'usage'."""


class InvalidArgument(PyroError):
    """The error 'invalid_argument'."""


class NotFound(PyroError):
    """The error 'not_found'."""


class UnknownEnvironment(PyroError):
    """The error 'unknown_environment'."""


class EnvironmentBroken(PyroError):
    """The error 'environment_broken'."""


class PullFailed(PyroError):
    """The error 'pull_failed', which may go away by itself."""


class Unreachable(PyroError):
    """The error 'unreachable', which may go away by itself."""


class NoSpace(PyroError):
    """The error 'no_space', which may go away by itself."""


class MissingDependency(PyroError):
    """The error 'missing_dependency'."""


class GuestUnavailable(PyroError):
    """The error 'guest_unavailable'."""


class BootFailed(PyroError):
    """The error 'boot_failed', which may go away by itself."""


class VmDied(PyroError):
    """The error 'vm_died', which may go away by itself."""


class BadState(PyroError):
    """The error 'bad_state'."""


class Busy(PyroError):
    """The error 'busy', which may go away by itself."""


class Timeout(PyroError):
    """The error 'timeout', which may go away by itself."""


class Cancelled(PyroError):
    """The error 'cancelled', which may go away by itself."""


class LimitExceeded(PyroError):
    """The error 'limit_exceeded'."""


class Protocol(PyroError):
    """The error 'protocol_error'."""


class Refused(PyroError):
    """The error 'refused'."""


class StateFromNewerVersion(PyroError):
    """The error 'state_from_newer_version'."""


class System(PyroError):
    """The error 'system_error'."""


BY_CODE = {
    "usage": Usage,
    "invalid_argument": InvalidArgument,
    "not_found": NotFound,
    "unknown_environment": UnknownEnvironment,
    "environment_broken": EnvironmentBroken,
    "pull_failed": PullFailed,
    "unreachable": Unreachable,
    "no_space": NoSpace,
    "missing_dependency": MissingDependency,
    "guest_unavailable": GuestUnavailable,
    "boot_failed": BootFailed,
    "vm_died": VmDied,
    "bad_state": BadState,
    "busy": Busy,
    "timeout": Timeout,
    "cancelled": Cancelled,
    "limit_exceeded": LimitExceeded,
    "protocol_error": Protocol,
    "refused": Refused,
    "state_from_newer_version": StateFromNewerVersion,
    "system_error": System,
}
