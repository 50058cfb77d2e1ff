"""Workspaces: their life, their seeds, commands in them, snapshots and resets, their disks."""
import hashlib
import io
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import tarfile
import threading
import time

from host import ordinary_user
from lab import PATIENCE_S, Workspace, eventually, kill, shape

FIELDS = {"workspace_id", "name", "labels", "environment", "state", "vcpu_count", "mem_mib",
          "created_at", "expires_at", "last_activity_at", "network_policy", "allow_host_compat",
          "execution_mode", "accel", "workspace_path", "workspace_seed", "secrets", "command_count",
          "service_count", "running_service_count", "reset_count", "last_reset_at"}


def names(lab):
    return [row["name"] for row in lab.json("workspace", "list")["workspaces"]]


# Life


def test_create(lab):
    """create returns a started workspace with all of its record, and so does status"""
    begun = time.time()
    ws = lab.workspace("--name", "first", "--label", "a=1", "--label", "b=x=y",
                       "--ttl-seconds", "300", "--mem-mib", "512")
    record = ws.record
    assert FIELDS <= record.keys(), FIELDS - record.keys()
    assert record["workspace_id"].startswith("ws-") and record["name"] == "first", record
    assert record["labels"] == {"a": "1", "b": "x=y"} and record["state"] == "started", record
    assert begun <= record["created_at"] <= time.time(), record
    assert abs(record["expires_at"] - record["created_at"] - 300) < 1, record
    assert record["workspace_path"] == "/workspace" and record["network_policy"] == "off", record
    assert (record["vcpu_count"], record["mem_mib"], record["reset_count"]) == (1, 512, 0), record
    assert record["workspace_seed"] == {
        "mode": "empty", "seed_path": None, "origin_kind": "empty", "origin_ref": None,
        "entry_count": 0, "bytes_written": 0, "skipped_count": 0, "skipped": []}, record
    assert record["execution_mode"] == "guest_serial" and record["accel"] in ("tcg", "kvm")
    assert record["secrets"] == [] and record["last_reset_at"] is None, record
    assert ws("status") == lab.json("workspace", "status", "first") == record
    assert ws.sh("pwd; ls -A") == "/workspace\n"
    lab.json("workspace", "delete", "first")
    assert "first" in lab.error("workspace", "status", "first")["message"]


def test_discovery(lab):
    """names and labels are unique, checked and changeable; list goes by activity, not by reading"""
    a, b = lab.workspace("--name", "a"), lab.workspace("--name", "b")
    assert names(lab) == ["b", "a"]
    for read in ("status", "summary", "logs", "diff", "file list", "snapshot list"):
        a(read)
    assert names(lab) == ["b", "a"], "reading is no activity"
    for act in (("exec", "--", "true"), ("file write", "f", "--text", "x"),
                ("snapshot create", "s"), ("update", "--label", "k=1")):
        a(*act)
        assert names(lab) == ["a", "b"], act
        b("update", "--label", "k=2")
        assert names(lab) == ["b", "a"]
    assert a("update", "--label", "l=3", "--clear-label", "k")["labels"] == {"l": "3"}
    assert lab.json("workspace", "update", "a", "--name", "c")["name"] == "c"
    assert lab.json("workspace", "status", "c")["workspace_id"] == a.id
    assert a("update", "--clear-name")["name"] is None
    for words in (["--name", "b"], ["--name", ""], ["--name", "x" * 65], ["--name", b.id],
                  ["--name", "a b"], ["--name", "../x"], ["--name", "-x"], ["--label", "=x"],
                  ["--name", "n", "--clear-name"], []):
        code = lab.call(*a.words("update"), *words).code
        assert code in (2, 125), (words, code)
    assert a("status")["name"] is None
    assert "'b'" in lab.error("workspace", "create", "--name", "b")["message"]
    assert "fast" in lab.error("workspace", "create", "--network-policy", "fast")["message"]
    calls = [lab.start("workspace", "create", "--name", "same") for _ in range(2)]
    assert sorted(call.end().code for call in calls) in ([0, 2], [0, 125])
    lab.json("workspace", "delete", "same")
    assert len(lab.vm_dirs()) == 2, "a refused create leaves nothing"
    a.delete()
    b.delete()
    assert lab.json("workspace", "list") == {"count": 0, "workspaces": []}


def test_stop_and_start(lab):
    """stop keeps files, snapshots and history, start goes on with them, delete removes all"""
    ws = lab.workspace()
    ws.sh("echo data >f; echo more >/root/f; echo temporary >/tmp/f; sleep 1000 </dev/null "
          ">/dev/null 2>&1 &")
    ws("snapshot create", "s")
    assert ws("stop")["state"] == "stopped"
    lab.check_no_processes()
    assert "start" in ws("status")["next_step"]
    assert ws("stop")["state"] == "stopped", "a second stop is none"
    for call in (("exec", "--", "true"), ("file list",), ("file read", "f"), ("diff",),
                 ("file write", "f", "--text", "x"), ("export", "f", "--output", f"{lab.dir}/x"),
                 ("sync push", lab.env["HOME"]), ("cancel", "1")):
        error = ws.error(*call, about="stopped")
        assert error["code"] == "bad_state" and "workspace start" in error["hint"], error
    assert [entry["command"] for entry in ws("logs")["entries"]][0].startswith("echo data")
    started = ws("start")
    assert started["state"] == "started" and started["next_step"] is None, started
    assert ws("start")["state"] == "started"
    assert ws.sh("cat f /root/f; pgrep -c sleep; true") == "data\nmore\n0\n"
    assert [entry["sequence"] for entry in ws("logs")["entries"]] == [1, 2]
    assert ws("snapshot list")["count"] == 2
    assert ws.delete() == {"workspace_id": ws.id, "deleted": True}
    assert ws.error("status")["code"] == "not_found"


def test_time_to_live(lab):
    """a workspace is removed at its time and not before, also while clients look at it"""
    ws = lab.workspace("--ttl-seconds", "45")
    call = ws.start("echo begun; sleep 1000")
    call.await_text("begun")
    while time.time() < ws.record["expires_at"] - 20:
        assert ws.state() == "started"
        time.sleep(0.2)
    eventually(lambda: lab.call(*ws.words("status")).code, 120, "it is gone")
    done = call.end()
    assert done.code == 125 and time.time() >= ws.record["expires_at"], done
    assert "the workspace was removed: its time to live" in done.err, done
    assert "hint: pyro workspace create --ttl-seconds 3600" in done.err, done
    lab.check_clean()


test_time_to_live.is_patient = True


def test_time_to_live_warning(lab):
    """results say that the workspace is removed soon, or before the timeout of what still runs"""
    ws = lab.workspace("--ttl-seconds", "600", "--name", "short")
    told = re.compile(r"the workspace is removed in \d+ s; pyro workspace update short "
                      r"--ttl-seconds 3600 keeps it")
    assert ws.exec("true")["warning"] is None
    for timeout, is_told in (("300", False), ("3600", True)):
        record = ws("exec", "--wait-seconds", "1", "--timeout-seconds", timeout, "--", "sleep 200",
                    code=124)
        assert bool(told.fullmatch(record["warning"] or "")) == is_told, record
    ws.delete()
    ws = lab.workspace("--ttl-seconds", "100", "--name", "short")
    assert told.fullmatch(ws.exec("true")["warning"]) and told.fullmatch(ws("wait", "1")["warning"])
    ws.delete()


def test_time_to_live_unattended(lab):
    """a stopped workspace, and one without supervisor, are removed after their time by any call"""
    ttl = ("--ttl-seconds", "45")
    stopped, dead = lab.workspace(*ttl), lab.workspace(*ttl)
    stopped("stop")
    kill(lab.supervisor())
    lab.check_no_processes()
    assert dead.state() == "failed"
    time.sleep(max(0, dead.record["expires_at"] - time.time() + 0.1))
    reaped = lab.json("vm", "reap-expired")
    assert set(reaped["deleted_vm_ids"]) == {stopped.id, dead.id}, reaped
    lab.check_clean()


test_time_to_live_unattended.is_patient = True


def test_twenty(lab):
    """twenty workspaces are created, used and deleted side by side, and all succeed"""
    failures, turns = [], threading.Semaphore(6)

    def use(i):
        with turns:
            ws = lab.workspace("--name", f"w{i}")
            assert ws.sh(f"echo {i} >f; cat f") == f"{i}\n"
            ws("file write", "g", "--text", "g")
            ws("reset")
            assert ws("file list")["count"] == 0
            ws("delete")

    def attempt(i):
        try:
            use(i)
        except Exception as failure:  # reported below, with all others
            failures.append(f"{i}: {failure}")

    threads = [threading.Thread(target=attempt, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


# Seeds


def make_tree(path):
    """A directory with one of everything that a seed may hold."""
    root = os.fsencode(path)
    for name in (b"", b"empty", b"a dir", b"deep/er/est", b"no write"):
        os.makedirs(root + b"/" + name, exist_ok=True)
    contents = {b"zero": b"", b"text": b"one\ntwo\n", b"no end": b"no newline", b"-dash": b"-",
                b"line\nfeed": b"odd", b"latin-\xe9\xff": b"odd", "ünï".encode(): b"utf-8",
                b"binary": bytes(range(256)) * 300, b"a dir/\"quoted\" 'name' \\": b"x",
                b"deep/er/est/f": b"deep", b"x" * 255: b"long name", b"no write/f": b"x",
                b"run.sh": b"#!/bin/sh\necho ran\n", b".hidden": b"h", b"*": b"star"}
    for name, content in contents.items():
        with open(root + b"/" + name, "wb") as file:
            file.write(content)
    os.symlink(b"text", root + b"/link")
    os.symlink(b"/etc/passwd", root + b"/absolute")
    os.symlink(b"../../outside", root + b"/dangling")
    os.symlink(b"a dir", root + b"/dir link")
    os.link(root + b"/text", root + b"/hard link")
    for name, mode in ((b"run.sh", 0o755), (b"text", 0o640), (b"zero", 0o400), (b"empty", 0o700),
                       (b"no write", 0o555)):
        os.chmod(root + b"/" + name, mode)
    os.utime(root + b"/text", ns=(10**18, 1234567890123456789))
    os.utime(root + b"/zero", (0, 0))
    os.utime(root + b"/empty", (10**9, 10**9))
    os.utime(root + b"/link", (10**9, 10**9), follow_symlinks=False)
    return path


def test_seed(lab):
    """a directory or archive comes in with names, modes, times, links and empty directories"""
    tree = make_tree(f"{lab.dir}/tree")
    want = shape(tree)
    files = sum(os.path.getsize(os.path.join(root, name)) for root, _, found in
                os.walk(os.fsencode(tree)) for name in found
                if not os.path.islink(os.path.join(root, name)))
    for name, option in ((None, None), ("t.tar", "-c"), ("t.tar.gz", "-cz"), ("t.tgz", "-cz")):
        source = f"{lab.dir}/{name}" if name else tree
        if name:
            subprocess.run(["tar", option, "--format=pax", "-f", source, "-C", tree, "."],
                           check=True)
        ws = lab.workspace(seed=source)
        found = ws.shape()
        assert found == want, (name, {k: (v, found.get(k)) for k, v in want.items()
                                      if v != found.get(k)}, found.keys() - want.keys())
        seed = ws.record["workspace_seed"]
        assert seed["mode"] == ("tar_archive" if name else "directory"), seed
        assert seed["seed_path"] == seed["origin_ref"] == source, seed
        assert seed["origin_kind"] == "manual_seed_path" and seed["entry_count"] >= len(want), seed
        assert files - 8 <= seed["bytes_written"] <= files, seed
        assert ws.sh("./run.sh; stat -c '%U %a' .") == "ran\nroot 755\n"
        assert ws("diff")["changed"] is False, name
        ws.delete()


def tar_of(path, *members):
    """An archive with these members: (name, {attribute: value}, content)."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, attributes, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            tar.addfile(info, io.BytesIO(content))
    return path


SYMLINK, HARD_LINK = tarfile.SYMTYPE, tarfile.LNKTYPE
REFUSED = (
    ("/etc/evil", [("/etc/evil", {}, b"x")]),
    ("../evil", [("../evil", {}, b"x")]),
    ("a/../../evil", [("a/../../evil", {}, b"x")]),
    ("out/evil", [("out", {"type": SYMLINK, "linkname": "/tmp"}, b""), ("out/evil", {}, b"x")]),
    ("up/evil", [("d/", {"type": tarfile.DIRTYPE, "mode": 0o755}, b""),
                 ("up", {"type": SYMLINK, "linkname": "d"}, b""), ("up/evil", {}, b"x")]),
    ("hard", [("hard", {"type": HARD_LINK, "linkname": "/etc/passwd"}, b"")]),
    ("hard2", [("hard2", {"type": HARD_LINK, "linkname": "../../etc/passwd"}, b"")]),
    ("device", [("device", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b"")]),
    ("whiteout", [("whiteout", {"type": tarfile.CHRTYPE}, b"")]),
    ("block", [("block", {"type": tarfile.BLKTYPE, "devmajor": 8}, b"")]),
    ("pipe", [("pipe", {"type": tarfile.FIFOTYPE}, b"")]),
)


def test_seed_refused(lab):
    """a seed with a device, or an entry that leaves it, is refused by name; no workspace is left"""
    for name, members in REFUSED[::3]:  # pushes try all of them
        error = lab.error("workspace", "create", "--seed-path",
                          tar_of(f"{lab.dir}/bad.tar", ("good", {}, b"x"), *members))
        assert name in error["message"] and error["code"] in ("refused", "invalid_argument"), error
        assert not lab.vm_dirs(), (name, error)
    for name, data in (("cut.tar", tar_bytes(b"x" * 40000)[:20000]), ("none.tar", b""),
                       ("nonsense.tar", b"nonsense" * 1000), ("nonsense.tgz", b"nonsense" * 1000),
                       ("cut.tar.gz", gzipped(os.urandom(50000))[:20000])):
        with open(f"{lab.dir}/{name}", "wb") as file:
            file.write(data)
        lab.error("workspace", "create", "--seed-path", f"{lab.dir}/{name}")
    os.mkdir(f"{lab.dir}/tree")
    os.mkfifo(f"{lab.dir}/tree/pipe")
    assert "pipe" in lab.error("workspace", "create", "--seed-path", f"{lab.dir}/tree")["message"]
    os.unlink(f"{lab.dir}/tree/pipe")
    for path in (f"{lab.dir}/missing", "/dev/null", "/proc/version", ""):
        lab.error("workspace", "create", "--seed-path", path)
    assert not lab.vm_dirs() and not lab.processes()


def tar_bytes(content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("f")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def gzipped(content):
    return subprocess.run(["gzip"], input=tar_bytes(content), stdout=subprocess.PIPE,
                          check=True).stdout


def test_ordinary_workspace(lab):
    """workspaces of ordinary users work, and files of a seed that cannot be read are named"""
    ordinary_user(lab)
    tree = f"{lab.dir}/home/tree"
    os.makedirs(f"{tree}/closed")
    for i in range(25):
        with open(f"{tree}/secret{i:02}", "w", encoding="utf-8") as file:
            file.write("x")
        os.chmod(file.name, 0o600)
    os.chmod(f"{tree}/closed", 0o700)
    error = lab.error("workspace", "create", "--seed-path", tree, cwd="/")
    named = [i for i in range(25) if f"secret{i:02}" in error["message"]]
    assert 15 <= len(named) <= 20 and error["hint"], error
    assert not lab.vm_dirs()
    subprocess.run(["chmod", "-R", "a+rX", tree], check=True)
    ws = lab.workspace(seed=tree, cwd="/")
    ws.sh("rm secret0*; echo y >secret10; id -u", cwd="/")
    assert ws("diff", cwd="/")["summary"]["total"] == 11
    ws("export", ".", "--output", f"{lab.env['HOME']}/out", cwd="/")
    assert os.stat(f"{lab.env['HOME']}/out/secret10").st_uid == os.stat(lab.state).st_uid
    ws("stop", cwd="/")
    assert ws("disk read", "secret10", cwd="/")["content"] == "y\n"
    ws("delete", cwd="/")


def test_seed_large(lab):
    """a seed of 20,000 files comes in whole, with a progress bar on a terminal, and back out"""
    tree = f"{lab.dir}/tree"
    for i in range(200):
        os.makedirs(f"{tree}/d{i}")
        for j in range(100):
            with open(f"{tree}/d{i}/f{j}", "w", encoding="utf-8") as file:
                file.write(f"{i} {j}\n" * 5)
    text = on_terminal(lab, "workspace", "create", "--name", "big", "--seed-path", tree)
    assert "phase=seed" in text and text.count("\r") > 2 and "20" in text, text[-2000:]
    ws = Workspace(lab, lab.json("workspace", "status", "big"))
    seed = ws.record["workspace_seed"]
    assert 20200 <= seed["entry_count"] <= 20201, seed
    assert ws.sh("find . -type f | wc -l; cat d199/f99") == "20000\n" + "199 99\n" * 5
    ws.sh("echo changed >d7/f7; rm d8/f8")
    diff = ws("diff")
    assert [entry["path"].removeprefix("/workspace/") for entry in diff["entries"]] == \
        ["d7/f7", "d8/f8"], diff["summary"]
    ws("export", ".", "--output", f"{lab.dir}/out")
    done = subprocess.run(["diff", "-rq", tree, f"{lab.dir}/out"], stdout=subprocess.PIPE,
                          text=True, check=False)
    assert len(done.stdout.splitlines()) == 2, done.stdout
    ws.delete()


def on_terminal(lab, *words):
    """What pyro shows on a terminal; it must succeed."""
    main, side = pty.openpty()
    process = subprocess.Popen([*lab.pyro, *words], env={**lab.env, "TERM": "xterm-256color"},
                               stdin=side, stdout=side, stderr=side)
    os.close(side)
    text, deadline = b"", time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not select.select([main], [], [], 0.2)[0]:
            continue
        try:
            text += os.read(main, 65536)
        except OSError:  # the other side is closed
            break
    os.close(main)
    assert process.wait(PATIENCE_S) == 0, text.decode(errors="replace")
    return text.decode(errors="replace")


# Commands


def test_exec(lab):
    """exec runs in /workspace, tells what happened as run does, and the history keeps it"""
    ws = lab.workspace()
    done = ws.exec("pwd; echo err >&2; exit 3", code=3)
    assert (done["sequence"], done["cwd"], done["exit_code"]) == (1, "/workspace", 3), done
    assert (done["stdout"], done["stderr"]) == ("/workspace\n", "err\n"), done
    assert done["execution_mode"] == "guest_serial" and done["timed_out"] is False, done
    assert ws.exec("printf", "%s|", "a b", "", "c'd")["stdout"] == "a b||c'd|"
    ws.exec("no-such-program", "x", code=127)
    done = ws("exec", "--timeout-seconds", "2", "--", "echo begun; sleep 100 & sleep 100", code=124)
    assert done["timed_out"] and done["stdout"] == "begun\n" and done["sequence"] == 4, done
    done = ws.exec("yes 0123456 | head -c 3M; echo; echo end")
    assert done["stdout_truncated"] and done["stdout_bytes"] == (3 << 20) + 5, done["stdout_bytes"]
    assert done["stdout"].startswith("0123456\n") and done["stdout"].endswith("\nend\n")
    assert len(done["stdout"]) < 1100000 and not done["stderr_truncated"]
    done = ws.exec("kill -9 $$", code=137)
    assert ws.exec("cat", data=b"from outside\xff")["stdout"] == "from outside\ufffd"
    lab.call(*ws.words("exec", "--", "exit 7"), code=7)
    logs = ws("logs")
    assert [entry["sequence"] for entry in logs["entries"]] == list(range(1, logs["count"] + 1))
    assert logs["count"] == 8 == ws("status")["command_count"], logs["count"]
    assert [c["timed_out"] for c in ws("summary")["commands"]["last"]].count(True) == 1
    entries = logs["entries"]
    assert entries[1]["command"] == ["printf", "%s|", "a b", "", "c'd"], entries[1]
    assert [entry["exit_code"] for entry in entries] == [3, 0, 127, 124, 0, 137, 0, 7]
    assert all(entry["state"] == "finished" for entry in entries), entries
    assert (entries[0]["stdout"], entries[0]["stderr"]) == ("/workspace\n", "err\n")
    assert entries[4]["stdout"] == done_text(entries[4]) and entries[4]["stdout_truncated"]
    assert entries[3]["timed_out"] and entries[3]["stdout"] == "begun\n"
    ws("stop")
    ws("start")
    assert ws("logs") == logs, "the history outlives the machine"
    assert ws.exec("true")["sequence"] == 9
    ws("reset")
    assert ws("logs")["entries"] == [] and ws("status")["command_count"] == 0
    ws.delete()


def done_text(entry):
    """The text of a truncated entry, after checking that both of its ends are there."""
    text = entry["stdout"]
    assert text.startswith("0123456\n") and text.endswith("\nend\n"), text[:100]
    return text


def test_exec_together(lab):
    """several commands run at once; any can be cancelled from another call; INT cancels its own"""
    ws = lab.workspace()
    calls = [ws.start(f"echo begun {i}; sleep 77{i}; echo end") for i in range(4)]
    for i, call in enumerate(calls):
        call.await_text(f"begun {i}")
    entries = {entry["stdout"]: entry for entry in ws("logs")["entries"]}
    assert all(entries[f"begun {i}\n"]["state"] == "running" for i in range(4)), entries
    first = entries["begun 0\n"]["sequence"]
    assert ws("cancel", str(first))["cancelled"] is True
    assert calls[0].end().code not in (0, 124)
    assert ws("cancel", str(first))["cancelled"] is False, "it had ended already"
    assert ws.error("cancel", "99")["code"] == "not_found"
    for number, call in ((signal.SIGINT, calls[1]), (signal.SIGTERM, calls[2])):
        call.signal(number)
        assert call.end().code == 128 + number
    eventually(lambda: "774" not in ws.sh("pgrep -af 'sleep 77[0-2]' | grep -v pgrep; true"), 120,
               "cancelled in the guest")
    assert ws.sh("pgrep -af 'sleep 773' | grep -v pgrep | wc -l") != "0\n"
    entries = {}

    def states():
        entries.update({entry["stdout"]: entry for entry in ws("logs")["entries"]})
        return [entries[f"begun {i}\n"]["state"] for i in range(4)]
    eventually(lambda: states() == ["cancelled"] * 3 + ["running"], 120, "the three are on record")
    assert entries["begun 0\n"]["exit_code"] is None or entries["begun 0\n"]["exit_code"] > 128
    ws("cancel", str(entries["begun 3\n"]["sequence"]))
    calls[3].end()
    ws.delete()


def test_exec_orphaned(lab):
    """a client that is killed neither ends its command nor loses the output"""
    ws = lab.workspace()
    call = ws.start("echo begun; until [ -e go ]; do sleep 0.1; done; seq 100000; echo end >&2; "
                    "mv go ended")
    call.await_text("begun")
    kill(call.pid)
    call.end()
    assert ws("logs")["entries"][0]["state"] == "running"
    ws("file write", "go", "--text", "")
    entry = eventually(lambda: [e for e in ws("logs")["entries"] if e["state"] != "running"], 120,
                       "the command ended")[0]
    assert entry["state"] == "finished" and entry["exit_code"] == 0, entry
    assert entry["stdout"] == "begun\n" + "".join(f"{i + 1}\n" for i in range(100000))
    assert entry["stderr"] == "end\n" and ws("file list")["count"] == 1
    ws.delete()


# Snapshots and resets


def test_reset(lab):
    """reset brings back the files of any snapshot, without processes, /tmp and history"""
    with open(f"{lab.dir}/seed.tar", "wb") as file:
        file.write(tar_bytes(b"seeded\n"))
    ws = lab.workspace("--name", "r", "--label", "k=v", seed=f"{lab.dir}/seed.tar")
    look = "cat f /etc/mark 2>&1; ls -A /workspace /tmp | wc -l; pgrep -c sleep; true"
    pristine = ws.sh(look)
    assert pristine.startswith("seeded\n") and pristine.endswith("\n0\n"), pristine

    def dirty(mark):
        ws.sh(f"echo {mark} >f; echo {mark} >/etc/mark; echo {mark} >/tmp/t; rm -rf /etc/apt; "
              f"sleep 1000 </dev/null >/dev/null 2>&1 & mkdir -p {mark}")
    dirty("one")
    created = ws("snapshot create", "one")["snapshot"]
    assert (created["snapshot_name"], created["kind"]) == ("one", "named"), created
    ws("stop")
    ws("snapshot create", "stopped")
    ws("start")
    dirty("two")
    begun = time.time()
    reset = ws("reset")
    assert reset["workspace_reset"]["snapshot_name"] == "baseline" and reset["reset_count"] == 1
    assert begun <= reset["last_reset_at"] <= time.time()
    assert (reset["name"], reset["labels"], reset["workspace_id"]) == ("r", {"k": "v"}, ws.id)
    assert reset["created_at"] == ws.record["created_at"], "its identity stays"
    assert ws("logs")["count"] == 0
    assert ws.sh(look) == pristine and ws.sh("ls -d /etc/apt") == "/etc/apt\n"
    assert ws("diff")["changed"] is False
    for snapshot in ("one", "stopped"):
        reset = ws("reset", "--snapshot", snapshot)
        assert reset["workspace_reset"]["kind"] == "named", reset
        assert ws.sh("cat f /etc/mark /tmp/t; ls; pgrep -c sleep; true") == \
            "one\none\none\nf\none\n0\n", snapshot
        assert [e["path"] for e in ws("diff")["entries"] if e["artifact_type"] == "file"] == ["f"]
        dirty("three")
    listed = ws("snapshot list")
    assert [(s["snapshot_name"], s["kind"]) for s in listed["snapshots"]] == [
        ("baseline", "baseline"), ("one", "named"), ("stopped", "named")], listed
    ws("stop")
    assert ws("reset")["state"] == "started", "a reset starts a stopped workspace"
    assert ws.sh(look) == pristine
    assert ws("snapshot delete", "one") == {"workspace_id": ws.id, "snapshot_name": "one",
                                            "deleted": True}
    assert ws.error("reset", "--snapshot", "one")["code"] == "not_found"
    ws("stop")
    ws("snapshot delete", "stopped")
    tags = subprocess.run(["qemu-img", "snapshot", "-l", f"{ws.dir()}/disk.qcow2"],
                          capture_output=True, text=True, check=True).stdout
    assert "pyro.baseline" in tags and "one" not in tags and "stopped" not in tags, tags
    ws.delete()


def test_snapshot_refused(lab):
    """snapshots have good and unique names, the baseline stays, and there is a limit"""
    ws = lab.workspace()
    ws("snapshot create", "s")
    for name in ("s", "baseline", "", "a b", "../x", "x" * 65, "ü"):
        assert lab.call(*ws.words("snapshot create", name)).code in (2, 125), name
    assert ws.error("snapshot delete", "baseline")["code"] == "refused"
    assert ws.error("snapshot delete", "t")["code"] == "not_found"
    assert ws("snapshot list")["count"] == 2
    db = sqlite3.connect(f"{lab.state}/pyro/pyro.db", timeout=10)
    with db:  # to make so many takes too long here
        db.executemany("INSERT INTO snapshot VALUES (?, ?, ?)",
                       [(ws.id, f"n{i}", time.time()) for i in range(98)])
    db.close()
    ws("snapshot create", "last")
    assert ws.error("snapshot create", "more")["code"] == "limit_exceeded"
    ws("snapshot delete", "s")
    ws("snapshot create", "more")
    ws("reset", "--snapshot", "last")
    ws.delete()


def test_reset_together(lab):
    """two resets at once succeed, or one is told to wait; commands that run end with them"""
    ws = lab.workspace()
    call = ws.start("echo begun; sleep 100")
    call.await_text("begun")
    resets = [lab.start(*ws.words("reset", "--json")) for _ in range(2)]
    codes = [reset.end() for reset in resets]
    assert any(done.code == 0 for done in codes), [str(done) for done in codes]
    assert all(done.code == 0 or "busy" in done.out for done in codes), [str(d) for d in codes]
    done = call.end()
    assert done.code == 125 and "reset" in done.err, done
    assert ws("logs")["count"] == 0 and ws.sh("echo works") == "works\n"
    call = ws.start("echo begun; sleep 100")
    call.await_text("begun")
    lab.call(*ws.words("stop"), code=0)
    done = call.end()
    assert done.code == 125 and "stopped" in done.err, done
    entry = ws("logs")["entries"][-1]
    assert entry["state"] == "interrupted" and entry["stdout"] == "begun\n", entry
    ws("start")
    call = ws.start("echo begun; sleep 100")
    call.await_text("begun")
    ws.delete()
    done = call.end()
    assert done.code == 125 and "pyro: " in done.err, done


def test_summary(lab):
    """a summary tells what was run, changed and exported since the last reset, and nothing else"""
    ws = lab.workspace("--name", "s")
    ws.exec("before the reset", code=127)
    ws("snapshot create", "one")
    begun = ws("reset")["last_reset_at"]
    ws.exec("echo new >f")
    ws.exec("exit 3", code=3)
    ws("file write", "g", "--text", "x")
    ws("export", "f", "--output", f"{lab.dir}/f")
    ws("snapshot create", "two")
    ws("snapshot delete", "one")
    ws("file read", "g")
    summary = ws("summary")
    assert (summary["workspace_id"], summary["name"], summary["state"]) == (ws.id, "s", "started")
    assert summary["session"]["started_at"] == begun and summary["session"]["reset_count"] == 1
    commands = summary["commands"]
    assert (commands["total"], commands["failed"]) == (2, 1), commands
    assert [command["exit_code"] for command in commands["last"]] == [0, 3], commands
    assert [edit["path"] for edit in summary["edits"]] == ["/workspace/g"], summary["edits"]
    changes = summary["changes"]
    assert changes["available"] and changes["changed"] and changes["summary"]["added"] == 2, changes
    assert [entry["path"] for entry in changes["entries"]] == ["f", "g"], changes
    exports = summary["artifacts"]["exports"]
    assert [(e["path"], e["detail"]) for e in exports] == [("/workspace/f", f"{lab.dir}/f")]
    snapshots = summary["snapshots"]
    assert snapshots["named_count"] == 1, snapshots
    assert [event["path"] for event in snapshots["events"]] == ["two", "one"], snapshots
    ws("stop")
    stopped = ws("summary")
    assert stopped["commands"] == commands and not stopped["changes"]["available"], stopped
    assert stopped["changes"]["reason"], stopped
    ws.delete()


# Disks


def debugfs(image, command):
    return subprocess.run(["debugfs", "-R", command, image], capture_output=True, check=True).stdout


def test_disk(lab):
    """a stopped workspace's disk is listed, read and exported as other tools see it"""
    tree = make_tree(f"{lab.dir}/tree")
    ws = lab.workspace(seed=tree)
    ws.sh("mkdir d && echo live >d/f && ln -s f d/l && echo outside >/root/f && "
          "head -c 2M /dev/urandom >random && sha256sum random >/root/sum && mkfifo d/p && "
          "mkdir -p /run/pyro-secrets && echo secret >/run/pyro-secrets/s")
    live = ws("file list", ".", "--recursive")["entries"]
    for call in (("disk list",), ("disk read", "d/f"),
                 ("disk export", "--output", f"{lab.dir}/disk")):
        error = ws.error(*call, about="stopped")
        assert error["code"] == "bad_state" and "workspace stop" in error["hint"], error
    ws("stop")
    dead = ws("disk list", "--recursive")["entries"]
    assert [e for e in dead if e["artifact_type"] != "directory"] == \
        [e for e in live if e["artifact_type"] != "directory"]
    assert [e["path"] for e in dead] == [e["path"] for e in live]
    assert "/etc/passwd" in [e["path"] for e in ws("disk list", "/etc")["entries"]]
    assert ws("disk read", "d/f")["content"] == "live\n"
    assert ws("disk read", "/root/f")["content"] == "outside\n"
    read = ws("disk read", "random", "--max-bytes", "100")
    assert read["truncated"] and read["content_is_binary"] and read["size_bytes"] == 2 << 20, read
    for path in ("nope", "d", "d/l/x", "d/p", "/run/pyro-secrets/s"):
        ws.error("disk read", path)
    assert not any("pyro" in e["path"] for e in ws("disk list", "/run", "--recursive")["entries"])
    image = f"{lab.dir}/disk.ext4"
    exported = ws("disk export", "--output", image)
    assert exported["disk_format"] == "ext4" and exported["output_path"] == image, exported
    assert os.path.getsize(image) == exported["size_bytes"] == 16 << 30
    assert os.stat(image).st_blocks * 512 < 2 << 30, "the image is sparse"
    subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=True)
    assert debugfs(image, "cat /workspace/d/f") == b"live\n"
    digest = hashlib.sha256(debugfs(image, "cat /workspace/random")).hexdigest()
    assert debugfs(image, "cat /root/sum").split()[0].decode() == digest
    assert "exist" in ws.error("disk export", "--output", image)["message"]
    ws("start")
    assert ws.sh("cat d/f") == "live\n", "reading changed nothing"
    ws.delete()


def test_disk_host_compat(lab):
    """a workspace on the host has no disk to read, and says that it is on the host"""
    path = f"{lab.dir}/path"
    os.mkdir(path)
    for folder in ("/bin", "/usr/bin", "/usr/sbin"):
        for name in os.listdir(folder):
            if name != "qemu-system-x86_64" and not os.path.lexists(f"{path}/{name}"):
                os.symlink(f"{folder}/{name}", f"{path}/{name}")
    lab.env["PATH"] = path
    assert lab.error("workspace", "create")["code"] == "missing_dependency"
    ws = lab.workspace("--allow-host-compat")
    assert ws.record["execution_mode"] == "host_compat" and ws.record["accel"] is None, ws.record
    assert ws.sh("hostname").strip() == os.uname().nodename
    ws("stop")
    for call in (("disk list",), ("disk read", "f"),
                 ("disk export", "--output", f"{lab.dir}/disk")):
        error = ws.error(*call, about="host_compat")
        assert error["code"] == "refused", error
    ws.delete()
