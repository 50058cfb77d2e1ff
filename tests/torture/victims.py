"""The processes that a call of pyro is made of, found in /proc quickly enough to hit them."""
import os
import random
import re

from lab import read

HELPERS = {"pyro-tar", "pyro-patch", "pyro-disk", "pyro-term", "qemu-img"}
PREFIXES = {"qemu": ("qemu-system",), "net": ("pyro-net", "passt")}


def table():
    """{pid: (parent, name)} of everything that lives."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        match = re.match(r"\d+ \((.*)\) (\w) (\d+)", read(f"/proc/{pid}/stat"))
        if match and match[2] not in "ZX":
            found[int(pid)] = int(match[3]), match[1]
    return found


def below(processes, root):
    """The descendants of a process."""
    children = [pid for pid, (parent, _) in processes.items() if parent == root]
    return children + [pid for child in children for pid in below(processes, child)]


def supervisors(processes, state_dir):
    """{workspace_id: pid} of a state directory."""
    found = {}
    for pid, (_, name) in processes.items():
        if name == "pyro-supervisor":
            words = read(f"/proc/{pid}/cmdline").split("\0")
            if len(words) > 2 and words[1] == state_dir:
                found[words[2]] = pid
    return found


def find(target, state_dir, workspace_id, known, cli):
    """The pid of what is to be killed, or None if it does not live now. workspace_id is None while
    it is being created: then its supervisor is the one that is not among the known."""
    if target == "cli":
        return cli
    processes = table()
    mine = supervisors(processes, state_dir)
    supervisor = mine.get(workspace_id) if workspace_id else \
        next((pid for one, pid in mine.items() if one not in known), None)
    if target == "supervisor":
        return supervisor
    lower = (below(processes, supervisor) if supervisor else []) + below(processes, cli)
    if target in PREFIXES:
        found = [pid for pid in lower if processes[pid][1].startswith(PREFIXES[target])]
        return random.choice(found) if found else None
    return next((pid for pid in lower if processes[pid][1] in HELPERS), None)


def lost(mine):
    """Those of {pid: name} that no supervisor has below it: their words, and what they wait in."""
    processes = table()
    for pid, (_, name) in processes.items():
        if name == "pyro-supervisor":
            mine = {one: what for one, what in mine.items()
                    if one != pid and one not in below(processes, pid)}
    return {pid: (name, processes[pid][0], read(f"/proc/{pid}/cmdline").replace("\0", " ")[-200:],
                  read(f"/proc/{pid}/wchan"), read(f"/proc/{pid}/stack"))
            for pid, name in mine.items() if pid in processes}
