"""Real shells complete a line that is typed, and what they then run is looked at."""
import contextlib
import fcntl
import os
import pty
import re
import select
import sqlite3
import struct
import subprocess
import tempfile
import termios
import time

from hosts import PYRO

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(pyro completion bash)"),
    "zsh": (["zsh", "-f", "-i"],
            "autoload -U compinit; compinit -u -D; source <(pyro completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "pyro completion fish | source"),
}
WORKSPACE, VM, SHELL = "ws-00112233445566ff", "vm-8899aabbccddeeff", "sh-0123456789abcdef"
NOW = time.time()
MACHINE = ("INSERT INTO vm VALUES (?, 'debian:12', 'stopped', NULL, 1, 1024, ?, ?, 0, 0, "
           "'guest_serial', 'tcg', 0)")


class Shell:
    """One on a terminal. Its `pyro` is `program` to complete, else it says what it was given."""

    def __init__(self, name, env, program):
        self.kept = tempfile.TemporaryDirectory(dir=env["HOME"])
        with open(f"{self.kept.name}/pyro", "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\ncase $1 in __complete|completion) exec {program} \"$@\" ;; esac\n"
                       "printf got; printf '<%s>' \"$@\"; echo '#'\n")
        os.chmod(f"{self.kept.name}/pyro", 0o700)
        command, setup = SHELLS[name]
        self.main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=side, stdout=side, stderr=side, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), cwd=self.kept.name,
            env={**env, "TERM": "xterm-256color", "HOME": self.kept.name,
                 "PATH": f"{self.kept.name}:/usr/bin:/bin"})
        os.close(side)
        assert self.runs(f"{setup}; pyro ready") == ["ready"]

    def runs(self, line):
        """The words that pyro is run with after this is typed, and Enter."""
        os.write(self.main, line.encode() + b"\r")
        text, deadline = b"", time.monotonic() + 120
        while time.monotonic() < deadline:
            if select.select([self.main], [], [], 1)[0]:
                text += os.read(self.main, 65536)
            said = re.search(rb"got((?:<[^>]*>)+)#", text)
            if said:
                return re.findall("<([^>]*)>", said[1].decode())
        raise AssertionError(f"{line!r}: {text.decode(errors='replace')}")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.main)
        self.kept.cleanup()


@contextlib.contextmanager
def state(env):
    """A state directory with a VM, whose time is over, and a workspace on record."""
    with tempfile.TemporaryDirectory(dir=env["HOME"]) as where:
        env = {**env, "XDG_STATE_HOME": where, "PYRO_ENVIRONMENT_CACHE_DIR": f"{where}/cache"}
        subprocess.run([PYRO, "vm", "list"], env=env, check=True, capture_output=True, timeout=120)
        records = sqlite3.connect(f"{where}/pyro/pyro.db", isolation_level=None)
        records.execute(MACHINE, (VM, 1, 2))
        records.execute(MACHINE, (WORKSPACE, NOW, NOW + 600))
        records.execute("INSERT INTO workspace (workspace_id, name, last_activity_at, network_policy,"
                        " seed_mode, seed_origin_kind, seed_entry_count, seed_bytes, baseline_at)"
                        " VALUES (?, 'fix-42', 3, 'off', 'empty', 'empty', 0, 0, 3)", (WORKSPACE,))
        records.execute("INSERT INTO snapshot VALUES (?, 'before-merge', 4)", (WORKSPACE,))
        records.execute("INSERT INTO shell VALUES (?, ?, '/', 80, 24, 'running', 5, NULL, NULL)",
                        (WORKSPACE, SHELL))
        records.execute("INSERT INTO service (workspace_id, service_name, state, command, cwd,"
                        " started_at) VALUES (?, 'web', 'running', '[]', '/', 6)", (WORKSPACE,))
        yield env, records
        records.close()


def completes(env, *words):
    """The candidates, without what they are."""
    done = subprocess.run([PYRO, "__complete", *words], env=env, capture_output=True, text=True,
                          timeout=120, check=True)
    assert not done.stderr, done.stderr
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def check_shell(name, env):
    typed = {
        "workspace status fi": "fix-42",
        "workspace status ws-0": WORKSPACE,
        "workspace reset fix-42 --snapshot bef": "before-merge",
        "workspace snapshot delete fix-42 b": "before-merge",
        f"workspace service logs {WORKSPACE} w": "web",
        "workspace shell attach fix-42 sh-": SHELL,
        "vm status v": VM,
        "env pull debian:12-ba": "debian:12-base",
        "host connect cl": "claude-code",
        "workspace create --see": "--seed-path",
        "workspace sync push fix-42 for": "for-you",
        "run debian:12 -- ls for": "for-you",
    }
    with state(env) as (more, _):
        shell = Shell(name, more, PYRO)
        with open(f"{shell.kept.name}/for-you", "w", encoding="utf-8"):
            pass
        try:
            for line, last in typed.items():
                got = shell.runs(f"pyro {line}\t")
                assert got == [*line.split()[:-1], last], (line, got)
        finally:
            shell.close()
    shell = Shell(name, env, f"{env['PATH'].split(':', maxsplit=1)[0]}/pyro")
    try:
        assert shell.runs("pyro vm status od\t") == ["vm", "status", "odd 'n'$(x);`y`"]
    finally:
        shell.close()


def test_bash(env):
    """bash completes commands, options, files and names of what exists, and quotes odd ones"""
    check_shell("bash", env)


def test_zsh(env):
    """zsh completes commands, options, files and names of what exists, and quotes odd ones"""
    check_shell("zsh", env)


def test_fish(env):
    """fish completes commands, options, files and names of what exists, and quotes odd ones"""
    check_shell("fish", env)


def test_names(env):
    """names belong to what was chosen before; a new name is not guessed"""
    with state(env) as (env, _):
        assert completes(env, "workspace", "status", "") == ["fix-42", WORKSPACE]
        assert completes(env, "vm", "status", "") == [VM]
        assert completes(env, "workspace", "reset", "fix-42", "--snapshot", "") == [
            "baseline", "before-merge"]
        assert completes(env, "workspace", "service", "stop", "other", "") == []
        assert completes(env, "workspace", "snapshot", "create", "fix-42", "") == []
        assert completes(env, "host", "print-config", "") == ["opencode"]
        assert completes(env, "host", "repair", "") == ["claude-code", "codex", "opencode"]


def test_reads_only(env):
    """a completion makes nothing, removes nothing that is past its time, and has no errors"""
    nowhere = {**env, "XDG_STATE_HOME": f"{env['HOME']}/no-state",
               "PYRO_ENVIRONMENT_CACHE_DIR": f"{env['HOME']}/no-cache"}
    assert completes(nowhere, "vm", "status", "") == []
    assert "debian:12" in completes(nowhere, "run", "")
    assert not os.path.exists(nowhere["XDG_STATE_HOME"])
    assert not os.path.exists(nowhere["PYRO_ENVIRONMENT_CACHE_DIR"])
    with state(env) as (env, records):
        before = list(records.iterdump())
        completes(env, "vm", "delete", "")
        assert list(records.iterdump()) == before
        records.execute("PRAGMA user_version = 1000")
        assert completes(env, "vm", "delete", "") == []


def test_waits_for_nobody(env):
    """a completion works while somebody writes, and offers nothing while all is locked"""
    with state(env) as (env, records):
        records.execute("BEGIN IMMEDIATE")
        records.execute("DELETE FROM vm")
        assert completes(env, "vm", "status", "") == [VM]
        records.execute("ROLLBACK")
        records.execute("PRAGMA journal_mode = DELETE")
        records.execute("BEGIN EXCLUSIVE")
        assert completes(env, "vm", "status", "") == []
