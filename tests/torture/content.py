"""What the torture writes into a workspace, and what may be found there afterwards.

A *slot* is a place in /workspace with one or more files that are always written together. What is
written is made from a *token*, so that the sums of the files tell which write they are of; None
stands for a slot that is not there. A *world* is a slot's tokens: {slot: token}. *Worlds* are what
is possible: {slot: set of tokens}.
"""
import hashlib
import os

SLOTS = {
    "push0": ["push0/a", "push0/b", "push0/below/c", "push0/below/d"],
    "push1": ["push1/a", "push1/b"],
    "patch": ["patch/a", "patch/b", "patch/below/c"],
    "write0": ["write0"],
    "write1": ["deep/er/write1"],
    "exec0": ["exec0"],
    "exec1": ["exec1"],
}
TORN = "torn"  # some files of a write and not the others, or half of one
NOTHING = {slot: None for slot in SLOTS}


def text(path, token):
    """Long enough for a write of it to take a moment."""
    lines = {"a": 1500, "exec0": 0, "exec1": 0}.get(path.rsplit("/", 1)[-1], 20)
    return f"{token} in {path}\n" * (lines + 1)


def md5(data):
    return hashlib.md5(data.encode()).hexdigest()


def make_tree(directory, slots):
    """Writes the slots' files, without the name of the slot if there is only one."""
    for slot, token in slots.items():
        for path in SLOTS[slot]:
            place = f"{directory}/{path.split('/', 1)[1] if len(slots) == 1 else path}"
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8") as file:
                file.write(text(path, token))


def patch_of(old, new):
    """The unified diff from one token of the slot "patch" to another."""
    out = []
    for path in SLOTS["patch"]:
        before = [] if old is None else text(path, old).splitlines(True)
        after = [] if new is None else text(path, new).splitlines(True)
        out += [f"diff --git a/{path} b/{path}\n"]
        out += ["new file mode 100644\n"] if old is None else []
        out += ["deleted file mode 100644\n"] if new is None else []
        out += [f"--- {'/dev/null' if old is None else 'a/' + path}\n",
                f"+++ {'/dev/null' if new is None else 'b/' + path}\n",
                f"@@ -{min(1, len(before))},{len(before)} +{min(1, len(after))},{len(after)} @@\n"]
        out += ["-" + line for line in before] + ["+" + line for line in after]
    return "".join(out)


class Reader:
    """Tells by the sums of a workspace's files which tokens are in it."""

    def __init__(self):
        self.tokens = {}  # {(path, md5): token}

    def learn(self, slot, token):
        for path in SLOTS[slot]:
            self.tokens[path, md5(text(path, token))] = token

    def world(self, sums):
        """sums: {path: md5}. A file that no slot has is a fault of its own."""
        strays = set(sums) - {path for paths in SLOTS.values() for path in paths}
        assert not strays, f"files that nobody wrote: {strays}"
        world = {}
        for slot, paths in SLOTS.items():
            found = {self.tokens.get((path, sums[path]), TORN) if path in sums else None
                     for path in paths}
            world[slot] = found.pop() if len(found) == 1 else TORN
        return world


def only(world):
    return {slot: {token} for slot, token in world.items()}


def allows(worlds, world):
    return all(world[slot] in worlds[slot] for slot in SLOTS)


def losses(slot):
    """What may become of a write to the slot when the machine is killed: files that commands wrote
    and nobody flushed may be lost in part."""
    return [TORN] if slot.startswith("exec") else []


def also(worlds, slot, *tokens):
    return {**worlds, slot: worlds[slot] | set(tokens)}
