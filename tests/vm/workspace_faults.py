"""Workspaces when something is killed, full, from the future, or hostile."""
import os
import signal
import sqlite3
import struct
import subprocess
import time

from faults import path_without
from lab import IS_ROOT, Skip, eventually, kill, killed_at
from templates import own_template
from workspace_files import write


def check_failed(lab, ws, *words):
    """It says that and why it failed and what to do, and a start repairs it."""
    lab.check_no_processes()
    status = ws("status")
    assert status["state"] == "failed" and all(word in status["reason"] for word in words), status
    assert f"workspace start {ws.id}" in status["next_step"], status
    error = ws.error("exec", "--", "true", about=ws.id)
    assert error["code"] == "bad_state" and "workspace start" in error["hint"], error
    row = lab.json("workspace", "list")["workspaces"][0]
    assert (row["state"], row["reason"]) == ("failed", status["reason"]), row
    started = ws("start")
    assert started["state"] == "started" and started["reason"] is None, started


def agent_of(ws):
    """Ends the guest's agent from inside, as only the guest can."""
    return lambda: ws.lab.call(*ws.words("exec", "--", "kill -9 1; echo b >/proc/sysrq-trigger; "
                                         "sleep 100"))


def test_workspace_killed(lab):
    """a workspace whose QEMU, supervisor or guest dies says so; what was flushed is there again"""
    ws = lab.workspace()
    ws("snapshot create", "s")
    for i, (victim, word) in enumerate(((lambda: kill(lab.qemu()), "unexpectedly"),
                                        (lambda: kill(lab.supervisor()), "supervisor"),
                                        (agent_of(ws), "guest"))):
        ws.sh(f"echo {i} >>f; sync")
        ws("file write", f"written{i}", "--text", "acknowledged")
        call = ws.start("echo begun; sleep 100") if i < 2 else None
        if call:
            call.await_text("begun")
        victim()
        if call:
            done = call.end()
            assert done.code == 125 and "pyro: " in done.err, done
        check_failed(lab, ws, *((word,) if i < 2 else ()))
        assert ws.sh("cat f") == "".join(f"{j}\n" for j in range(i + 1))
        assert ws("file read", f"written{i}")["content"] == "acknowledged"
        entries = [e for e in ws("logs")["entries"] if "begun" in e["command"]]
        assert all(e["state"] == "interrupted" and e["stdout"] == "begun\n" for e in entries)
    assert ws("snapshot list")["count"] == 2
    kill(lab.qemu())
    lab.check_no_processes()
    assert ws("reset")["state"] == "started", "a reset repairs, too"
    assert ws("file list")["count"] == 0 and ws("logs")["count"] == 0
    kill(lab.supervisor())
    lab.check_no_processes()
    ws.delete()


def claim_clusters(path):
    """What QEMU has written when it is killed in a revert: who may share tables claims to own them."""
    with open(path, "r+b") as disk:
        header = disk.read(48)
        n_entries, offset = struct.unpack(">I", header[36:40])[0], int.from_bytes(header[40:], "big")
        disk.seek(offset)
        table = struct.unpack(f">{n_entries}Q", disk.read(8 * n_entries))
        disk.seek(offset)
        disk.write(struct.pack(f">{n_entries}Q", *(entry and entry | 1 << 63 for entry in table)))


def test_reset_killed(lab):
    """a reset that was killed while it changed the disk costs no snapshot"""
    ws = lab.workspace()
    ws.sh("echo one >f")
    ws("snapshot create", "s")
    ws("stop")
    claim_clusters(f"{ws.dir()}/disk.qcow2")
    check = ["qemu-img", "check", "-q", f"{ws.dir()}/disk.qcow2"]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 2, "it is damaged"
    with open(f"{ws.dir()}/reverting", "w", encoding="utf-8"):
        ws("start")
    ws.sh("echo two >f")
    ws("stop")
    subprocess.run(check, check=True)
    ws("reset", "--snapshot", "s")
    assert ws.sh("cat f") == "one\n"
    assert not os.path.exists(f"{ws.dir()}/reverting")
    ws.delete()


def test_delete_killed(lab):
    """a delete that is killed half-way leaves no workspace that lost half of what it was"""
    ws = lab.workspace("--name", "n")
    ws.sh("echo data >f")
    ws("stop")
    assert lab.call(*ws.words("delete"), env=killed_at("pyro", "unlinkat", 4)).code == -signal.SIGKILL
    assert os.path.isdir(ws.dir()), "it was half-way"
    assert lab.json("workspace", "list")["count"] == 0
    lab.check_clean()
    ws = lab.workspace("--name", "n", env=killed_at("pyro-supervisor", "unlinkat", 4))
    ws.delete()


def test_renewal_killed(lab):
    """a reset that is killed before the files are new ones keeps their history, too"""
    own_template(lab)  # to make one is a rename more
    ws = lab.workspace(env=killed_at("pyro-supervisor", "rename", 2))
    ws.sh("echo data >f; sync")
    assert ws.error("reset")["code"] == "vm_died"
    lab.check_no_processes()
    assert ws("status")["reset_count"] == 0
    ws("start")
    assert ws.sh("cat f") == "data\n" and ws("logs")["entries"][0]["sequence"] == 1
    ws("reset")
    assert ws("file list")["count"] == 0 and ws("logs")["count"] == 0
    ws.delete()


def test_host_reset_killed(lab):
    """a reset on the host that is killed leaves all files of before or all of the snapshot"""
    for i in range(6):
        write(f"{lab.dir}/tree/{i}", b"seed\n")
    lab.env |= path_without(lab, "qemu-system-x86_64")
    ws = lab.workspace("--allow-host-compat", seed=f"{lab.dir}/tree",
                       env=killed_at("pyro-supervisor", "unlinkat", 8))
    ws.sh("for f in *; do echo changed >$f; done")
    assert ws.error("reset")["code"] == "vm_died"
    ws("start")
    assert ws.sh("cat *") in (6 * "changed\n", 6 * "seed\n")
    ws.delete()


def tags(ws):
    """The snapshots that are in its disk."""
    done = subprocess.run(["qemu-img", "snapshot", "-U", "-l", f"{ws.dir()}/disk.qcow2"], check=True,
                          capture_output=True, text=True)
    return {line.split()[1] for line in done.stdout.splitlines()[2:]}


def test_snapshot_killed(lab):
    """a snapshot whose making or deleting was killed goes from the disk with the next one"""
    ws = lab.workspace()
    ws.sh("echo data >f")
    for number, (command, place) in enumerate((("create", ("pwrite64", 1)), ("delete", ("connect", 1)))):
        if command == "delete":
            ws("snapshot create", "killed")
        call = lab.call(*ws.words(f"snapshot {command}", "killed"), env=killed_at("pyro", *place))
        assert call.code == -signal.SIGKILL, call
        names = {snapshot["snapshot_name"] for snapshot in ws("snapshot list")["snapshots"]}
        assert "killed" not in names and "pyro.killed" in tags(ws), f"half-way: {names}"
        ws("snapshot create", f"s{number}")
        assert tags(ws) == {f"pyro.{name}" for name in (*names, f"s{number}")}
    ws.delete()


def test_export_remnant(lab):
    """what an export has left whose processes were killed together goes with the next one there"""
    ws = lab.workspace()
    ws.sh("echo data >f")
    out = f"{lab.dir}/out"
    os.mkdir(out)
    os.kill(lab.qemu(), signal.SIGSTOP)
    call = lab.start(*ws.words("export", "f", "--output", f"{out}/f"))
    [remnant] = eventually(lambda: os.listdir(out), 10, "it has begun")
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in lab.pids("pyro-tar"):
            kill(pid, number)
        call.signal(signal.SIGKILL)
    call.end()
    os.kill(lab.qemu(), signal.SIGCONT)
    ws("export", "f", "--output", f"{out}/f")
    assert sorted(os.listdir(out)) == [remnant, "f"], "it could be somebody's who just begins"
    os.utime(f"{out}/{remnant}", (0, 0))
    ws("export", "f", "--output", f"{out}/g")
    assert sorted(os.listdir(out)) == ["f", "g"]
    ws.delete()


def test_start_killed(lab):
    """a failed workspace whose start is killed is failed still, and says why"""
    ws = lab.workspace()
    kill(lab.supervisor())
    lab.check_no_processes()
    failed = ws("status")
    assert lab.call(*ws.words("start"), env=killed_at("pyro", "send", 1)).code == -signal.SIGKILL
    lab.check_no_processes()
    assert ws("status") == failed and failed["state"] == "failed"
    ws.delete()


def test_workspace_terminated(lab):
    """a supervisor that is asked to end stops its workspace in order, with all of its files"""
    ws = lab.workspace()
    ws.sh("echo data >f")
    os.kill(lab.supervisor(), signal.SIGTERM)
    eventually(lambda: ws.state() == "stopped", 120, "stopped")
    lab.check_no_processes()
    ws("start")
    assert ws.sh("cat f") == "data\n"
    ws.delete()


def test_reboot(lab):
    """after the host restarted every workspace is failed or stopped, and starts with its files"""
    running, stopped = lab.workspace("--name", "running"), lab.workspace("--name", "stopped")
    for ws in (running, stopped):
        ws.sh("echo data >f; sync")
        ws("snapshot create", "s")
    stopped("stop")
    for pid in lab.processes():
        kill(pid)
    lab.check_no_processes()
    for ws in (running, stopped):
        for name in ("sock", "alive", "change"):
            if os.path.lexists(f"{ws.dir()}/{name}"):
                os.unlink(f"{ws.dir()}/{name}")
    rows = lab.json("workspace", "list")["workspaces"]
    assert {row["name"]: row["state"] for row in rows} == {"running": "failed",
                                                           "stopped": "stopped"}, rows
    for ws in (running, stopped):
        assert ws("start")["state"] == "started"
        assert ws.sh("cat f") == "data\n"
        ws("reset", "--snapshot", "s")
        assert ws.sh("cat f") == "data\n"
        assert ws("logs")["count"] == 1
        ws.delete()


def test_create_interrupted(lab):
    """a create that is interrupted or killed at any moment leaves nothing"""
    write(f"{lab.dir}/tree/large", os.urandom(32 << 20))
    for number in (signal.SIGINT, signal.SIGKILL):
        for delay in (0.05, 0.25, 0.6):
            call = lab.start("workspace", "create", "--seed-path", f"{lab.dir}/tree")
            call.await_text("phase=create")
            time.sleep(delay)
            call.signal(number)
            if call.end().code == 0:  # it was quicker
                lab.json("workspace", "delete",
                         lab.json("workspace", "list")["workspaces"][0]["workspace_id"])
            lab.check_no_processes()
            assert lab.json("workspace", "list")["count"] == 0, (number, delay)
            lab.check_clean()


def test_future(lab):
    """records and baselines of a newer version are refused clearly and left as they are"""
    ws = lab.workspace()
    manifest = f"{ws.dir()}/manifest"
    with open(manifest, "rb") as file:
        content = file.read()
    write(manifest, b"\xff" * 16 + content, 0o600)
    error = ws.error("diff")
    assert error["code"] in ("state_from_newer_version", "protocol_error") and error["hint"], error
    write(manifest, content, 0o600)
    assert ws("diff")["changed"] is False
    ws("stop")
    path = f"{lab.state}/pyro/pyro.db"
    db = sqlite3.connect(path, timeout=10)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute("PRAGMA user_version = 99")
    db.commit()
    for words in (("workspace", "list"), ("workspace", "create"), ws.words("start"),
                  ws.words("delete"), ("vm", "reap-expired")):
        error = lab.error(*words)
        assert error["code"] == "state_from_newer_version" and error["hint"], error
    assert os.path.exists(f"{ws.dir()}/disk.qcow2")
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
    ws.delete()


class SmallDisk:
    """A state directory on a file system of its own; pyro runs where it is mounted."""

    def __init__(self, lab, size):
        if not IS_ROOT:
            raise Skip("only root can mount a small file system")
        os.mkdir(lab.state)
        script = f"mount -t tmpfs -o size={size} tmpfs {lab.state}; echo ready; exec sleep 1000"
        self.lab = lab
        self.holder = subprocess.Popen(["unshare", "-m", "sh", "-ec", script],
                                       stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"
        self.enter = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt"]
        lab.pyro = [*self.enter, *lab.pyro]

    def sh(self, script):
        return subprocess.run([*self.enter, "sh", "-c", script], cwd="/", check=True,
                              stdout=subprocess.PIPE, text=True).stdout

    def fill(self):
        """Takes all the room there is."""
        self.sh(f"dd if=/dev/zero of={self.lab.state}/fill bs=64k 2>/dev/null || true")

    def free(self):
        self.sh(f"rm {self.lab.state}/fill")

    def end(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


def test_host_disk_full(lab):
    """a full disk of the host is a clear error for seeds, writes and snapshots, and is survived"""
    disk = SmallDisk(lab, "40m")
    write(f"{lab.dir}/tree/large", os.urandom(64 << 20))
    error = lab.error("workspace", "create", "--seed-path", f"{lab.dir}/tree")
    assert error["code"] == "no_space" and "host" in error["message"], error
    assert lab.json("workspace", "list")["count"] == 0
    assert disk.sh(f"ls {lab.state}/pyro/vms") == ""
    ws = lab.workspace()
    ws.sh("echo kept >f; sync")
    ws("snapshot create", "before")
    disk.fill()
    assert ws("status")["state"] == "started"
    for call in (("exec", "--", "seq 100000"), ("snapshot create", "full"),
                 ("file write", "g", "--text-file", "-")):
        error = ws.error(*call, data=b"x" * (1 << 20))
        assert error["code"] == "no_space" and error["hint"], (call, error)
    assert lab.call(*ws.words("stop")).code in (0, 125)
    disk.free()
    ws("start")
    ws("reset", "--snapshot", "before")
    assert ws.sh("cat f; echo works") == "kept\nworks\n"
    ws("snapshot create", "after")
    disk.fill()
    kill(lab.supervisor())
    eventually(lambda: ws.state() == "failed", 120, "failed: what fills a disk can be seen")
    ws.delete()
    assert disk.sh(f"ls {lab.state}/pyro/vms") == "", "and deleted"
    disk.end()


# Hostile guests


def test_hostile_workspace(lab):
    """a guest that replaces /workspace is told about by every call, and a reset repairs it"""
    ws = lab.workspace()
    write(f"{lab.dir}/in/f", b"in")
    for script in ("ln -s /etc /workspace", "echo x >/workspace", "true", "mkfifo /workspace",
                   "ln -s /workspace /workspace"):
        ws.sh(f"cd /; rm -rf /workspace; {script}; cp /etc/passwd /root/passwd")
        for call in (("file list",), ("file read", "passwd"), ("diff",),
                     ("file write", "evil", "--text", "x"), ("sync push", f"{lab.dir}/in"),
                     ("exec", "--", "true"), ("export", ".", "--output", f"{lab.dir}/out"),
                     ("export", "passwd", "--output", f"{lab.dir}/out")):
            done = lab.call(*ws.words(*call))
            assert done.code in (2, 125) and "pyro: " in done.err and "/workspace" in done.err, \
                (script, call, str(done))
        assert not os.path.lexists(f"{lab.dir}/out")
        assert ws("status")["state"] == "started" and ws("summary")["changes"]["reason"], script
        assert ws("reset")["state"] == "started"
        assert ws.sh("pwd; ls -A; cmp /etc/passwd /etc/passwd-; test ! -e /etc/evil; test ! -e "
                     "/etc/f && echo good").startswith("/workspace\n")
    ws.delete()


def test_hostile_tree(lab):
    """endless directories and odd entries of a guest break no call, and a reset removes them"""
    ws = lab.workspace()
    ws.sh("perl -e 'for (1..10000) { mkdir \"d\"; chdir \"d\" }'; touch ok; mkfifo p; "
          "mknod c c 5 1; mknod w c 0 0; mkdir many; cd many; perl -e 'for (1..3000) "
          "{ open F, \">\", \"x\" x 240 . $_ }'")
    for call in (("file list",), ("file list", "many"), ("file read", "ok")):
        assert lab.call(*ws.words(*call)).code == 0, call
    for call in (("file list", "--recursive"), ("diff",),
                 ("export", ".", "--output", f"{lab.dir}/out")):
        done = lab.call(*ws.words(*call))
        assert done.code in (0, 125) and (done.code == 0 or "pyro: " in done.err), (call, str(done))
        subprocess.run(["rm", "-rf", f"{lab.dir}/out"], check=True)
    ws("file write", "d/d/d/f", "--text", "x")
    ws("reset")
    assert ws("file list")["count"] == 0
    ws.delete()


def test_hostile_output(lab):
    """what a command prints without end takes no more than its share of the host's disk"""
    ws = lab.workspace()
    done = ws("exec", "--timeout-seconds", "300", "--",
              "head -c 100M /dev/zero | tr '\\0' x; echo end", seconds=300)
    assert done["stdout_bytes"] == (100 << 20) + 4 and done["stdout"].endswith("xend\n"), \
        done["stdout_bytes"]
    outputs = f"{ws.dir()}/outputs"
    size = sum(os.stat(f"{outputs}/{name}").st_size for name in os.listdir(outputs))
    assert size < 3 << 20, size
    entry = ws("logs")["entries"][0]
    assert entry["stdout_bytes"] == done["stdout_bytes"] and entry["stdout_truncated"]
    ws.delete()
