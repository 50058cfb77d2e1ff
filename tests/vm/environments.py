"""The cache of environments through the command line. Pulls themselves: tests/image."""
import json
import os
import shutil
import signal
import subprocess

from lab import ENVIRONMENT, IS_ROOT, PATIENCE_S, Skip, eventually


def folder(lab):
    return os.path.realpath(f"{lab.cache}/images/{ENVIRONMENT.replace(':', '%3a')}/current")


def change_byte(path):
    with open(path, "r+b") as file:
        file.seek(4096)
        byte = file.read(1)
        file.seek(4096)
        file.write(bytes([byte[0] ^ 1]))


def test_broken(lab):
    """an install with a changed byte does not run: it counts as not installed, with the reason"""
    lab.own_cache()
    change_byte(f"{folder(lab)}/root.ext4")
    shown = lab.json("env", "inspect", ENVIRONMENT)
    assert not shown["installed"] and "root.ext4" in shown["reason"], shown
    listed = lab.call("env", "list", code=0).out
    assert f"{ENVIRONMENT} [not installed]" in listed, listed
    nowhere = "http://127.0.0.1:1"
    done = lab.call("run", ENVIRONMENT, "--", "true",
                    env={"http_proxy": nowhere, "https_proxy": nowhere})
    assert done.code == 125 and "pull" in done.err and "hint: " in done.err, done
    pruned = lab.json("env", "prune")
    assert pruned["count"] >= 1 and pruned["freed_bytes"] > 0, pruned


def test_manifest_lost(lab):
    """an install without a manifest, or with half of one, does not count"""
    lab.own_cache()
    os.truncate(f"{folder(lab)}/manifest.json", 20)
    assert not lab.json("env", "inspect", ENVIRONMENT)["installed"]
    os.unlink(f"{folder(lab)}/manifest.json")
    assert not lab.json("env", "inspect", ENVIRONMENT)["installed"]


def test_listed(lab):
    """env list tells the catalog's version and what is installed; env pull of it fetches nothing"""
    out = lab.call("env", "list", code=0).out.splitlines()
    assert out[0].startswith("Catalog version: "), out
    assert any(line.startswith(f"{ENVIRONMENT} [installed]") for line in out), out
    done = lab.call("env", "pull", ENVIRONMENT, code=0)
    assert "phase=root" not in done.err and f"Pulled: {ENVIRONMENT}" in done.out, done


def test_no_space(lab):
    """a pull onto a disk that is too small says how much it needs, before it fetches anything"""
    if not IS_ROOT:
        raise Skip("only root can mount a small file system")
    small = f"{lab.dir}/small"
    script = f'mkdir {small}; mount -t tmpfs -o size=100m tmpfs {small}; exec "$@"'
    env = {**lab.env, "PYRO_ENVIRONMENT_CACHE_DIR": f"{small}/cache"}
    done = subprocess.run(["unshare", "-m", "sh", "-ec", script, "sh", *lab.pyro, "env", "pull",
                           "debian:12-base"], env=env, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    assert done.returncode == 125 and "space" in done.stderr and "hint: " in done.stderr, done
    shutil.rmtree(small)


def test_cache_unwritable(lab):
    """a pull into a cache that cannot be written names it and the variable"""
    name, place = "PYRO_ENVIRONMENT_CACHE_DIR", "/proc/nowhere"
    error = lab.error("env", "pull", "debian:12-base", env={name: place})
    assert place in error["message"] and name in error["hint"], error


def test_prune_keeps(lab):
    """prune keeps what is installed, and the disk's environment of a VM that exists"""
    lab.own_cache()
    vm = lab.create()
    assert lab.json("env", "prune")["count"] == 0
    lab.json("vm", "stop", vm)
    lab.json("vm", "start", vm)
    lab.json("vm", "delete", vm)


STEPS = ["create", "exec", "reset", "delete"]


def daily_loop(lab, **more):
    return lab.json("doctor", "--environment", ENVIRONMENT, **more)["daily_loop"]


def test_daily_loop(lab):
    """doctor says COLD, prepare proves, doctor says WARM, and a second prepare reuses the proof"""
    loop = daily_loop(lab)
    assert loop["status"] == "COLD" and loop["reason"] and loop["prepared_at"] is None, loop
    assert f"pyro prepare {ENVIRONMENT}" in lab.call("doctor", "--environment", ENVIRONMENT).out
    first = lab.json("prepare")
    assert first["executed"] and [step["name"] for step in first["steps"]] == STEPS, first
    assert lab.json("workspace", "list")["count"] == 0
    loop = daily_loop(lab)
    assert loop["status"] == "WARM" and loop["reason"] is None, loop
    assert loop["prepared_at"] == first["prepared_at"] and not loop["network_prepared"], loop
    assert loop["manifest_path"] == first["manifest_path"], loop
    second = lab.json("prepare")
    assert second == {**first, "executed": False, "duration_ms": second["duration_ms"]}, second
    done = lab.call("prepare", code=0)
    assert "Still proved" in done.out and "pyro host connect" in done.err, done
    again = lab.json("prepare", "--force")
    assert again["executed"] and again["prepared_at"] > first["prepared_at"], again


def test_daily_loop_stale(lab):
    """a proof is STALE when what it was made with has changed, says what, and is made anew"""
    path = lab.json("prepare")["manifest_path"]
    with open(path, encoding="utf-8") as text:
        proof = json.load(text)
    for key, reason in (("pyro", "pyro was upgraded"), ("root", "installed anew"),
                        ("kernel", "installed anew"), ("accel", "accelerator")):
        changed = {**proof, "circumstances": {**proof["circumstances"], key: "another"}}
        with open(path, "w", encoding="utf-8") as text:
            json.dump(changed, text)
        loop = daily_loop(lab)
        assert loop["status"] == "STALE" and reason in loop["reason"], loop
    assert lab.json("prepare")["executed"] and daily_loop(lab)["status"] == "WARM"
    for broken in ("", "{", "[]", "{}", '{"format": 2, "steps": [1, {"name": 3}]}'):
        with open(path, "w", encoding="utf-8") as text:
            text.write(broken)
        assert daily_loop(lab)["status"] in ("COLD", "STALE"), broken
    assert lab.json("prepare")["executed"]


def test_prepare_leaves_nothing(lab):
    """however prepare is ended, at whatever step, its workspace goes, and nothing is recorded"""
    for step in STEPS:
        for number in (signal.SIGKILL, signal.SIGINT):
            call = lab.start("prepare", "--force")
            call.await_text(f"[prepare] phase={step}")
            call.signal(number)
            done = call.end()
            ends = (-number if number == signal.SIGKILL else 130, 0)  # 0: it was quicker
            assert done.code in ends, (step, done)
            lab.check_no_processes()
            # Killed before there was a supervisor, it goes with the next call that looks.
            assert lab.json("workspace", "list")["count"] == 0
            lab.check_clean()
            loop = daily_loop(lab)
            if "phase=delete" not in done.err:  # after it, what ended it may have come too late
                assert loop["status"] == "COLD", (step, loop)
            elif loop["status"] != "COLD":
                os.unlink(loop["manifest_path"])


def test_prepare_is_marked(lab):
    """while prepare runs, its workspace says what it is and when it would go by itself"""
    call = lab.start("prepare")
    [workspace] = eventually(lambda: lab.json("workspace", "list")["workspaces"], 120, "it is there")
    assert workspace["labels"] == {"made-by": "pyro-prepare"}, workspace
    assert workspace["expires_at"] - workspace["created_at"] <= 300, workspace
    assert call.end().code == 0
