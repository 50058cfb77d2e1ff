"""One lane of the torture: a few workspaces, and round after round a call that something is killed
under, repair, and a look whether what was promised is so.
"""
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import time
from collections import deque

import content
import victims
import sessions
from lab import ENVIRONMENT, eventually, kill

PLACES = 2        # workspaces at a time
SETTLED_S = 30    # after a kill, how long until nothing is left; how fast it is, benchmarks tell
REPAIRED_S = 120  # and until the workspace runs again; a template may have to be made anew
MAX_SNAPSHOTS = 3
USUAL_S = {"create": 0.5, "exec": 0.1, "push": 0.1, "write": 0.1, "patch": 0.1, "snapshot": 0.1,
           "unsnapshot": 0.1, "reset": 0.5, "stop": 0.1, "start": 0.3, "delete": 0.05,
           "shell open": 0.1, "shell read": 0.1, "shell write": 0.05, "shell signal": 0.05,
           "shell close": 0.05, "shell attach": 0.1, "service start": 0.5, "service stop": 0.1,
           "service logs": 0.05, "service list": 0.05}
OPERATIONS = {"exec": 4, "push": 5, "write": 4, "patch": 4, "snapshot": 3, "unsnapshot": 1,
              "reset": 4, "stop": 2, "start": 2, "delete": 1, "shell open": 6, "service start": 8,
              "service list": 1}
# Rarely does one live long enough.
ON_SESSIONS = {"shell read": 5, "shell write": 7, "shell signal": 4, "shell close": 4,
               "shell attach": 7, "service stop": 7, "service logs": 3}
WRITES = ("exec", "push", "write", "patch")
FROM_STOPPED = ("snapshot", "unsnapshot", "reset", "delete")  # now and then
TARGETS = {"cli": 4, "supervisor": 4, "qemu": 4, "guest": 2, "helper": 2, "net": 1,
           "cli+qemu": 1, "cli+supervisor": 1, "nothing": 2}
COPIED, CLUSTER = 1 << 63, 1 << 16  # of qcow2
CRASH = "echo c >/proc/sysrq-trigger"
# The mark is in memory: a machine that has it is the one of the last round.
LOOK = "ls -A /.pyro 2>/dev/null | sed s/^/area:/; [ -e /dev/torture ] && echo same; " \
       ": >/dev/torture; find . -type f -exec md5sum {} +; dmesg | grep 'EXT4-fs error'; " \
       "[ -e /sys/class/net/eth0 ] && echo network; " \
       "[ -e /run/pyro-secrets ] && cat /run/pyro-secrets/* | md5sum; true"


class Workspace:
    """What is known of one, between rounds."""

    def __init__(self, name, world):
        self.name, self.id = name, None
        self.live = world                       # its files
        self.durable = content.only(world)      # what may be on its disk, if its machine is killed
        self.snapshots = {"baseline": world}
        self.history = {}                       # acknowledged commands: {sequence: (line, output)}
        self.secret, self.has_network = "", False
        self.shells, self.services = {}, {}     # that run, by identity and name
        self.ended = {}                         # services that do not run any more


class Operation:
    """A call; for one that writes, the slot and token; for one that has a snapshot, its name; for
    one on a shell or service, that."""

    def __init__(self, name, words, slot=None, token=None, snapshot=None, about=None):
        self.name, self.words, self.about = name, words, about
        self.slot, self.token, self.snapshot = slot, token, snapshot
        self.is_done = self.is_refused = False  # acknowledged; or an error said: nothing changed
        self.hits = []                          # what was killed
        self.may_replace = name in ("create", "start", "stop", "reset")  # the machine

    def __str__(self):
        about = self.about and self.about.name
        return f"{self.name} {self.slot or self.snapshot or about or ''} {self.token or ''}"


class Lane(sessions.Sessions):
    def __init__(self, seed, number, lab):
        self.seed, self.number, self.lab = seed, number, lab
        self.reader = content.Reader()
        self.spaces = [None] * PLACES
        self.usual = {name: deque([seconds], 9) for name, seconds in USUAL_S.items()}
        self.trace = deque(maxlen=40)
        self.acknowledged = self.kills = self.count = 0
        self.secrets, self.port = set(), 8000
        self.has_network = self.may_publish()

    def say(self, words):
        self.trace.append(words)
        if "PYRO_TORTURE_TRACE" in os.environ:
            print(f"# {self.number}: {words}", flush=True)

    # Choosing what to do

    def new_name(self, letter):
        self.count += 1
        return f"{letter}{self.count}"

    def new_token(self, slot):
        token = self.new_name("t")
        self.reader.learn(slot, token)
        return token

    def new_tree(self, slots):
        path = f"{self.lab.dir}/{self.new_name('tree')}"
        content.make_tree(path, slots)
        return path

    def creation(self, dice):
        world, words = dict(content.NOTHING), []
        if dice.random() < 0.6:
            seed = {slot: self.new_token(slot) for slot in ("push0", "patch", "write0")}
            world, words = {**world, **seed}, ["--seed-path", self.new_tree(seed)]
        space = Workspace(self.new_name("w"), world)
        words += self.creation_options(dice, space)
        return space, Operation("create", ["create", ENVIRONMENT, "--name", space.name,
                                           "--ttl-seconds", "86400", *words])

    def writing(self, dice, name, space):
        slot = dice.choice([slot for slot in content.SLOTS if slot.startswith(name)])
        token, path = self.new_token(slot), content.SLOTS[slot][0]
        if name == "push":
            words = ["sync", "push", space.id, self.new_tree({slot: token}), "--dest", slot]
        elif name == "write":
            words = ["file", "write", space.id, path, "--text", content.text(path, token)]
        elif name == "patch":
            token = None if space.live[slot] and dice.random() < 0.2 else token
            words = ["patch", "apply", space.id, "--patch",
                     content.patch_of(space.live[slot], token)]
        else:
            # Another file's fsync commits the journal, with what is not whole on the disk yet.
            line = f"printf '{token} in {path}\\n' >{path}.new && mv {path}.new {path}"
            words = ["exec", space.id, "--", line + dice.choice(("", " && sync /etc/hostname"))]
        return Operation(name, words, slot, token)

    def operation(self, dice, space):
        named = sorted(set(space.snapshots) - {"baseline"})
        weights = {name: weight for name, weight in (OPERATIONS | ON_SESSIONS).items()
                   if name not in self.impossible(space)}
        if not named:
            del weights["unsnapshot"]
        if len(named) == MAX_SNAPSHOTS:
            del weights["snapshot"]
        name = dice.choices(list(weights), weights.values())[0]
        if name in WRITES:
            return self.writing(dice, name, space)
        if " " in name:
            about, words = self.session_words(dice, name, space)
            return Operation(name, words, about=about)
        snapshot, words = None, [name, space.id]
        if name == "snapshot":
            snapshot = self.new_name("s")
            words = ["snapshot", "create", space.id, snapshot]
        elif name == "unsnapshot":
            snapshot = dice.choice(named)
            words = ["snapshot", "delete", space.id, snapshot]
        elif name == "reset":
            snapshot = dice.choice(["baseline", *named])
            words = ["reset", space.id, "--snapshot", snapshot]
        return Operation(name, words, snapshot=snapshot)

    # Calls

    def start_call(self, *words):
        at = words.index("--") if "--" in words else len(words)
        return self.lab.start("workspace", *words[:at], "--json", *words[at:])

    def outcome(self, done):
        """(result, None) or (None, error) of a call that was not killed."""
        assert not any(value in done.out + done.err for value in self.secrets), f"a secret: {done}"
        assert done.code >= 0 and done.out.startswith("{"), f"no answer: {done}"
        answer = json.loads(done.out)
        error = answer.get("error")
        if error:
            assert done.code == 125 and error["message"] and "\n" not in error["message"], done
            return None, error
        return answer, None

    def attempt(self, *words):
        return self.outcome(self.start_call(*words).end(REPAIRED_S))

    def call(self, *words):
        result, error = self.attempt(*words)
        assert result, f"{words}: {error}"
        return result

    # The kill

    def strike(self, target, space, operation, call):
        """Kills; returns what of it there was."""
        if target == "guest":
            _, error = self.attempt("exec", space.id, "--", CRASH)
            return ["guest"] if error and error["code"] == "vm_died" else []
        known, hits = {one.id for one in self.spaces if one}, []
        for part in target.split("+") if target != "nothing" else []:
            if part == "cli" and call.is_over():
                continue
            pid = victims.find(part, f"{self.lab.state}/pyro", space.id, known, call.pid)
            if pid:
                kill(pid)
                hits.append(part)
        return hits

    def carry_out(self, dice, space, operation):
        """Calls, kills meanwhile or a moment later, and notes in the operation what came of it."""
        target = dice.choices(list(TARGETS), TARGETS.values())[0]
        if target == "guest" and (operation.may_replace or operation.name == "delete"):
            target = "qemu"
        self.say(f"{operation} {space.name} {space.id}")
        delay = dice.random() * 1.2 * statistics.median(self.usual[operation.name])
        terminal = self.attach(operation) if operation.name == "shell attach" else None
        call = terminal.call if terminal else self.start_call(*operation.words)
        beside = self.start_call("list") if dice.random() < 0.3 else None
        time.sleep(delay)
        hits = operation.hits = self.strike(target, space, operation, call)
        if terminal:
            terminal.type(sessions.DETACH)
        done = call.end(REPAIRED_S)
        self.say(f"  killed {'+'.join(hits) or 'nothing'} ({target}) after {delay:.3f} s, "
                 f"exit {done.code} after {done.seconds:.3f} s")
        if beside:
            assert self.outcome(beside.end(REPAIRED_S))[0], "a list beside it"
        if hits:
            self.kills += 1
        else:
            self.usual[operation.name].append(done.seconds)
        if done.code < 0:
            assert "cli" in hits, f"it died by itself: {done}"
            return
        self.take_answer(space, operation,
                         *(self.detached(done) if terminal else self.outcome(done)))

    def take_answer(self, space, operation, result, error):
        operation.is_done = bool(result)
        if error:
            self.say(f"  {error}")
            assert operation.hits, f"nothing was killed: {error}"
            operation.is_refused = operation.hits == ["helper"]
            if error["code"] == "vm_died" and space.id:
                assert self.status(space)["state"] != "started", "it died, and is started?"
            return
        self.acknowledged += 1
        if operation.name == "create":
            space.id = result["workspace_id"]
        elif operation.name == "exec":
            space.history[result["sequence"]] = operation.words[-1], result["stdout"]
        elif operation.name == "reset":
            space.history = {}
            self.end_sessions(space, True)
        elif operation.name == "stop":
            self.end_sessions(space, False)
        else:
            self.note_session(space, operation, result)

    # Explanation and repair

    def status(self, space):
        return self.call("status", space.id)

    def idle_history(self, space):
        """Its recorded commands, once none runs: one goes on whose caller was killed."""
        def entries():
            found = self.call("logs", space.id)["entries"]
            return None if any(entry["state"] == "running" for entry in found) else (found,)
        return eventually(entries, SETTLED_S, "no command runs")[0]

    def look(self, space):
        """(world, whether the machine is the one of the last round), or (None, why not)."""
        result, error = self.attempt("exec", space.id, "--", LOOK)
        if error:
            return None, error
        space.history[result["sequence"]] = LOOK, result["stdout"]
        assert "EXT4-fs error" not in result["stdout"], result["stdout"]
        lines = result["stdout"].splitlines()
        secrets = {content.md5(space.secret) + "  -"} if space.secret else set()
        assert {line for line in lines if line.endswith("  -")} == secrets, f"secrets: {lines}"
        assert ("network" in lines) == space.has_network, lines
        if "area:put" in lines:
            return None, "a put goes on, or is being undone"
        sums = dict(line.split("  ./")[::-1] for line in lines if "  ./" in line)
        # A command that was killed half-way leaves its own file.
        sums = {path: md5 for path, md5 in sums.items() if not path.endswith(".new")}
        return self.reader.world(sums), "same" in lines

    def check_disk(self, space):
        """Whatever was killed but a revert, qcow2 is in order, but for clusters that have more references by
        their count than there are. Those may be marked as having but one, which is true."""
        done = subprocess.run(["qemu-img", "check", "-q", "-U", "-f", "qcow2",
                               f"{self.lab.state}/pyro/vms/{space.id}/disk.qcow2"],
                              capture_output=True, text=True, check=False)
        leaked = {int(number) for number in
                  re.findall(r"Leaked cluster (\d+) refcount=\d+ reference=1", done.stderr)}
        for error in re.findall("ERROR.*", done.stderr):
            entry = re.match(r"ERROR OFLAG_COPIED .*_entry=([0-9a-f]+) refcount=\d+$", error)
            entry = int(entry[1], 16) if entry else COPIED
            assert not entry & COPIED or (entry & ~COPIED) // CLUSTER in leaked, \
                f"the disk is damaged: {error}"

    def begin_again(self, dice, space, operation, status):
        """As next_step says. Returns the snapshot that it was reset to, or None."""
        self.say(f"  {status['state']}: {status['reason']}")
        step = status["next_step"] or ""
        assert f"pyro workspace start {space.id}" in step, f"what now? {status}"
        assert status["state"] == "stopped" or status["reason"], f"why? {status}"
        if not os.path.exists(f"{self.lab.state}/pyro/vms/{space.id}/reverting"):
            self.check_disk(space)
        if "workspace reset" in step and dice.random() < 0.3:
            gone = {operation.snapshot} if operation.name == "unsnapshot" else set()
            snapshot = dice.choice(sorted(set(space.snapshots) - gone))
            self.say(f"  reset to {snapshot}")
            self.call("reset", space.id, "--snapshot", snapshot)
            space.history = {}
            self.end_sessions(space, True)
            return snapshot
        self.call("start", space.id)
        return None

    def repair(self, dice, space, operation):
        """Until it runs. Returns (world, is_same, the snapshot that it was reset to or None)."""
        deadline, snapshot = time.monotonic() + REPAIRED_S, None
        while True:
            self.idle_history(space)
            status = self.status(space)
            if status["state"] == "started":
                world, more = self.look(space)
                if world:
                    return world, more, snapshot
                self.say(f"  started, but: {more}")
            else:
                snapshot = self.begin_again(dice, space, operation, status) or snapshot
            assert time.monotonic() < deadline, "not repaired in time"

    # What must be so

    @staticmethod
    def possible(space, operation, is_same):
        """What the files may be: worlds, of which one must hold."""
        live, slot, token = content.only(space.live), operation.slot, operation.token
        if operation.name == "reset":
            target = content.only(space.snapshots[operation.snapshot])
            return [target] if operation.is_done else [live] if is_same else \
                [target, space.durable]
        if operation.is_done and operation.name in ("stop", "snapshot"):
            return [live]
        if not slot:
            return [live if is_same else space.durable]
        if is_same:
            return [{**live, slot: {token}} if operation.is_done else
                    live if operation.is_refused else content.also(live, slot, token)]
        return [content.also(space.durable, slot, token, *content.losses(slot))]

    @staticmethod
    def settle(space, operation, world, is_same):
        """What is so now is what is known from now on."""
        if not is_same or (operation.is_done and operation.name == "snapshot"):
            space.durable = content.only(world)
        elif operation.slot:
            space.durable = content.also(space.durable, operation.slot, operation.token,
                                         *content.losses(operation.slot))
        space.live = world

    def check_snapshots(self, space, operation, before):
        listed = {one["snapshot_name"] for one in
                  self.call("snapshot", "list", space.id)["snapshots"]}
        if operation.name == "snapshot" and (operation.is_done or operation.snapshot in listed):
            space.snapshots[operation.snapshot] = before
        if operation.name == "unsnapshot" and (operation.is_done or
                                               operation.snapshot not in listed):
            del space.snapshots[operation.snapshot]
        assert listed == set(space.snapshots), f"snapshots {listed}, not {set(space.snapshots)}"

    def check_history(self, space, may_be_reset):
        """Every command that was acknowledged since the last reset is there as it was."""
        found = {entry["sequence"]: entry for entry in self.idle_history(space)}
        missing = set(space.history) - set(found)
        if may_be_reset and missing:
            space.history = {sequence: line for sequence, line in space.history.items()
                             if sequence > max(missing)}
            assert len(space.history) == len(found), f"a part of the history is lost: {missing}"
            missing = set()
        assert not missing, f"commands {missing} are not in the history {sorted(found)}"
        for sequence, (line, output) in space.history.items():
            entry = found[sequence]
            assert (entry["state"], entry["command"], entry["stdout"]) == \
                ("finished", line, output), entry

    def check_workspace(self, dice, space, operation):
        before = space.live
        world, is_same, snapshot = self.repair(dice, space, operation)
        assert is_same or operation.may_replace or \
            set(operation.hits) & {"supervisor", "qemu", "guest"}, "the machine is another one"
        worlds = [content.only(space.snapshots[snapshot])] if snapshot else \
            self.possible(space, operation, is_same)
        assert any(content.allows(one, world) for one in worlds), f"{world}\nmay be: {worlds}"
        self.settle(space, operation, world, is_same)
        self.check_snapshots(space, operation, before)
        self.check_history(space, operation.name == "reset" and not operation.is_done)
        self.check_sessions(space, operation, is_same, operation.name == "reset" or snapshot)
        self.check_secrets(space)

    def surplus(self):
        """What there is besides the workspaces that are known, which all run."""
        mine, left = {one.id for one in self.spaces if one}, self.lab.leftovers()
        names = list(left["processes"].values())
        machines = {start: sum(name.startswith(start) for name in names)
                    for start in ("pyro-supervisor", "qemu-system")}
        return {key: value for key, value in {
            "directories": set(left["directories"]) ^ mine,
            "records": set(left["records"]) ^ mine,
            "mounts": left["mounts"],
            "processes": victims.lost(left["processes"]),
            "machines": machines if set(machines.values()) != {len(mine)} else None,
        }.items() if value}

    def check_nothing_left(self):
        """A directory of which nobody is left to remove it is removed by the next call."""
        deadline = time.monotonic() + SETTLED_S
        while left := self.surplus():
            assert time.monotonic() < deadline, f"left behind: {left}"
            self.call("list")

    # Rounds

    def find_created(self, space):
        """A creation that was not acknowledged: its id if all of it is there, None if nothing."""
        def is_clear():
            listed = {one["name"]: one for one in self.call("list")["workspaces"]}
            one = listed.get(space.name)
            if one and not one["execution_mode"]:  # half made: its supervisor will see the end
                return None
            return (one and one["workspace_id"],)
        return eventually(is_clear, SETTLED_S, "it is created, or gone")[0]

    def round_create(self, dice, place):
        space, operation = self.creation(dice)
        self.carry_out(dice, space, operation)
        if not operation.is_done:
            space.id = self.find_created(space)
        if space.id:
            self.spaces[place] = space
            self.check_workspace(dice, space, operation)

    def round_delete(self, dice, place, operation):
        space = self.spaces[place]
        self.carry_out(dice, space, operation)
        if not operation.is_done:  # trying again is how it is repaired
            _, error = self.attempt("delete", space.id)
            assert not error or error["code"] == "not_found", error
        _, error = self.attempt("status", space.id)
        assert error and error["code"] == "not_found", f"deleted, and: {error}"
        self.spaces[place] = None

    def round(self, number):
        dice = random.Random(f"{self.seed}.{self.number}.{number}")
        place = dice.randrange(PLACES)
        space = self.spaces[place]
        self.say(f"round {number}")
        if not space:
            self.round_create(dice, place)
        else:
            operation = self.operation(dice, space)
            if operation.name == "start" or \
                    (operation.name in FROM_STOPPED and dice.random() < 0.25):
                self.call("stop", space.id)
                self.say("stopped")
                self.end_sessions(space, False)
                space.durable, operation.may_replace = content.only(space.live), True
            if operation.name == "delete":
                self.round_delete(dice, place, operation)
            else:
                connection = self.connection(dice, space)
                self.carry_out(dice, space, operation)
                self.check_workspace(dice, space, operation)
                self.check_connection(space, connection)
        self.check_nothing_left()
        for name in os.listdir(self.lab.dir):
            if name.startswith("tree"):
                shutil.rmtree(f"{self.lab.dir}/{name}")

    def close(self):
        for space in filter(None, self.spaces):
            self.call("delete", space.id)
