"""The jail for real: what a running QEMU is, has and can see; guests change nothing shared."""
import hashlib
import os
import re
import stat

from lab import ENVIRONMENT, IS_ROOT, read, status_of

NAMESPACES = ("mnt", "net", "pid", "ipc", "uts")
# What a guest that breaks out finds.
ROOT = {"dev", "etc", "lib", "lib64", "usr", "vm"}
DISK_BYTES = 16 << 30


def check_powers(pid):
    status = status_of(pid)
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, (kind, status[kind])
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
    uids = set(status["Uid"].split())
    assert len(uids) == 1 and uids != {"0"}, uids
    if IS_ROOT:
        assert int(uids.pop()) >= 0x70000000 and not status.get("Groups", "").strip(), status


def check_namespaces(pid):
    kinds = NAMESPACES if IS_ROOT else (*NAMESPACES, "user")
    for kind in kinds:
        theirs, ours = (os.readlink(f"/proc/{who}/ns/{kind}") for who in (pid, "self"))
        assert theirs != ours, kind


def check_files(lab, pid):
    """Every descriptor is a socket, an event or one of four files, or KVM; only the disk is writable."""
    writable = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        assert re.match(r"socket:|anon_inode:|/dev/null|/dev/kvm|/vm/(disk|root|ram|kernel|initrd)",
                        target), target
        if target.startswith("/vm/"):
            flags = int(re.search(r"flags:\s+(\d+)", read(f"/proc/{pid}/fdinfo/{fd}")).group(1), 8)
            if flags & os.O_ACCMODE != os.O_RDONLY:
                writable.append(target)
    assert writable == ["/vm/disk"], writable


def check_mounts(lab, pid):
    """Nothing is mounted writable but this VM's disk and two devices."""
    for line in read(f"/proc/{pid}/mountinfo").splitlines():
        fields = line.split()
        if "rw" in fields[5].split(","):
            assert fields[4] in ("/vm/disk", "/dev/null", "/dev/urandom", "/dev/kvm"), line
            assert "nosuid" in fields[5], line
    assert set(os.listdir(f"/proc/{pid}/root")) <= ROOT, os.listdir(f"/proc/{pid}/root")


def check_limits(pid):
    limits = {line[:26].strip(): line[26:].split()[1] for line in
              read(f"/proc/{pid}/limits").splitlines()[1:]}
    assert limits["Max core file size"] == "0" and limits["Max open files"] == "128", limits
    # Snapshots keep what was overwritten, so the file may be larger than the disk in it.
    assert int(limits["Max file size"]) == 4 * DISK_BYTES, limits
    assert 0 < int(limits["Max address space"]) < 16 << 30, limits
    if IS_ROOT:
        assert int(limits["Max processes"]) <= 256, limits


def test_jail(lab):
    """QEMU has no rights, namespaces of its own, few files, and nothing writable but its disk"""
    vm = lab.create()
    pid = lab.qemu()
    check_powers(pid)
    check_namespaces(pid)
    check_files(lab, pid)
    check_mounts(lab, pid)
    check_limits(pid)
    assert not read(f"/proc/{pid}/net/dev").replace("lo:", "").count(":"), "it has a network"
    lab.json("vm", "delete", vm)


def test_jail_of_booted(lab):
    """the same holds for the QEMU that makes a template, but for the files it makes"""
    lab.own_templates()
    call = lab.start("run", ENVIRONMENT, "--", "true")
    call.await_text("phase=template")
    pid = lab.qemu()
    check_namespaces(pid)
    while status_of(pid).get("Seccomp") == "0":
        pass  # it is still on its way to its sandbox
    check_powers(pid)
    check_limits(pid)
    assert call.end().code == 0


def test_environment(lab):
    """nothing of the caller's environment reaches QEMU"""
    vm = lab.create()
    text = read(f"/proc/{lab.qemu()}/environ")
    assert not re.search(r"HOME=|PATH=/.*bin.*XDG|PYRO_|XDG_", text), text
    lab.json("vm", "delete", vm)


def test_own_user(lab):
    """as root, each VM has a user of its own, who owns its disk and nothing else"""
    if not IS_ROOT:
        return
    one, two = lab.create(), lab.create()
    uids = {status_of(pid)["Uid"].split()[0] for pid in lab.pids("qemu-system")}
    assert len(uids) == 2, uids
    owners = {str(os.stat(f"{lab.state}/pyro/vms/{vm}/disk.qcow2").st_uid) for vm in (one, two)}
    assert owners == uids, (owners, uids)
    for vm in (one, two):
        lab.json("vm", "delete", vm)


def digests(lab):
    found = {}
    for name in lab.templates():
        for file in os.listdir(f"{lab.cache}/templates/{name}"):
            path = f"{lab.cache}/templates/{name}/{file}"
            with open(path, "rb") as data:
                found[path] = hashlib.file_digest(data, "sha256").hexdigest()
            assert not stat.S_IMODE(os.stat(path).st_mode) & 0o222, path
    return found


def test_templates_unchanged(lab):
    """guests that write all of their memory and disk change nothing that others start from"""
    lab.own_templates()
    size = ("--mem-mib", "256")
    lab.run("true", options=size)
    before = digests(lab)
    root = hash_of_root(lab)
    assert len(before) >= 3, before
    lab.run("mount -o remount,size=230m /dev/shm 2>/dev/null || mount -t tmpfs tmpfs /mnt; "
            "tail /dev/zero; head -c 100M /dev/urandom >/root/data; rm -rf /usr/share; sync; "
            "echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/urandom of=/dev/vda bs=1M count=64; sync",
            options=(*size, "--timeout-seconds", "60"), code=None)
    assert digests(lab) == before and hash_of_root(lab) == root
    assert "git version" in lab.run("git --version", options=size).out


def hash_of_root(lab):
    """The first part of the environment's root, which is where file systems keep what matters."""
    folder = f"{lab.cache}/images/{ENVIRONMENT.replace(':', '%3a')}/current"
    with open(f"{folder}/root.ext4", "rb") as data:
        return hashlib.sha256(data.read(64 << 20)).hexdigest()


def test_process_list(lab):
    """the command and its input do not show in the host's process list, but for pyro's own"""
    call = lab.start("run", ENVIRONMENT, "--", "echo begun; : sesame-in-command; sleep 100")
    call.await_text("begun")
    for pid in lab.processes():
        if pid != call.pid:
            assert "sesame" not in read(f"/proc/{pid}/cmdline") + read(f"/proc/{pid}/environ"), pid
    call.signal(2)
    call.end()
