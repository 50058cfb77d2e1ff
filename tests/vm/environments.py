"""The cache of environments through the command line. Pulls themselves: tests/image."""
import os
import shutil
import subprocess

from lab import ENVIRONMENT, IS_ROOT, Skip


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
    """env list tells the catalog's version and what is installed; env pull of it is quick"""
    out = lab.call("env", "list", code=0).out.splitlines()
    assert out[0].startswith("Catalog version: "), out
    assert any(line.startswith(f"{ENVIRONMENT} [installed]") for line in out), out
    done = lab.call("env", "pull", ENVIRONMENT, code=0)
    assert done.seconds < 5 and f"Pulled: {ENVIRONMENT}" in done.out, done


def test_no_space(lab):
    """a pull onto a disk that is too small says how much it needs, before it fetches anything"""
    if not IS_ROOT:
        raise Skip("only root can mount a small file system")
    small = f"{lab.dir}/small"
    script = f'mkdir {small}; mount -t tmpfs -o size=100m tmpfs {small}; exec "$@"'
    env = {**lab.env, "PYRO_ENVIRONMENT_CACHE_DIR": f"{small}/cache"}
    done = subprocess.run(["unshare", "-m", "sh", "-ec", script, "sh", *lab.pyro, "env", "pull",
                           "debian:12-base"], env=env, capture_output=True, text=True, timeout=60,
                          check=False)
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


def test_daily_loop(lab):
    """doctor says COLD, prepare proves, doctor says WARM, and a second prepare reuses the proof"""
    def status():
        return lab.json("doctor", "--environment", ENVIRONMENT)["daily_loop"]["status"]
    assert status() == "COLD"
    first = lab.json("prepare", seconds=90)
    assert first["executed"] and status() == "WARM", first
    second = lab.json("prepare")
    assert not second["executed"] and second["prepared_at"] == first["prepared_at"], second
