"""Whole turns of the chat hosts: the scripted model asks, the host calls pyro, and what the model is
shown, what is in the project and what is left behind must be right."""
import functools
import json

from drivers import HOSTS
from lab import ENVIRONMENT
from model import FINAL, Model

TURN_S = 90


class Turn:
    """A host at work on a plan."""

    def __init__(self, lab, host, plan, words=(), **entry):
        self.host, self.plan = host, plan
        self.model = Model([(tool, self.reading(arguments)) for tool, arguments in plan])
        host.configure(lab, self.model.url, words, **entry)
        self.call = lab.program(*host.argv)

    def reading(self, arguments):
        """Arguments that depend on results get them as objects."""
        if not callable(arguments):
            return arguments
        return lambda texts: arguments([json.loads(self.host.shown(text)) for text in texts])

    def end(self):
        """Waits until the host is done with the whole plan; returns the results as it showed
        them."""
        done = self.call.end(TURN_S)
        self.model.close()
        assert self.model.problem is None, self.model.problem
        assert done.code == 0 and FINAL in done.out, f"{done}\n{self.model.results}"
        assert len(self.model.results) == len(self.plan), self.model.results
        return [self.host.shown(text) for text in self.model.results]


def core(test):
    test.part = "core"
    return test


@core
def test_one_command(lab, host):
    """runs one command in a VM and shows the model the whole result"""
    turn = Turn(lab, host, [
        ("vm_run", {"environment": ENVIRONMENT, "command": "echo hello; echo more >&2; exit 3"}),
    ], ["--profile", "vm-run"])
    [text] = turn.end()
    result = json.loads(text)
    assert result["stdout"] == "hello\n" and result["stderr"] == "more\n", result
    assert result["exit_code"] == 3 and result["execution_mode"] == "guest_serial", result
    assert list(turn.model.tools) == ["vm_run"]


def tests():
    """Every test with every host: (name, function of a lab)."""
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            for host in HOSTS:
                bound = functools.partial(test, host=host)
                bound.part = getattr(test, "part", "slow")
                yield f"{host.name} {test.__doc__}", bound
