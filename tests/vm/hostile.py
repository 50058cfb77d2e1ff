"""Guests that misbehave with all they have hurt nobody but themselves."""
import os
import subprocess

from commands import watch_memory
from lab import ENVIRONMENT, IS_ROOT, PATIENCE_S, Skip
from lifecycle import in_guest


def bounded(lab, command, codes, *options, timeout_s=60):
    """A command that must end, one way or the other, and leave a host that works."""
    done = lab.call("run", ENVIRONMENT, "--timeout-seconds", str(timeout_s), *options, "--", "bash", "-c",
                    command, seconds=300)
    assert done.code in codes, done
    lab.check_clean()
    return done


def test_fork_bomb(lab):
    """a fork bomb ends at its timeout with all it forked"""
    bounded(lab, "f() { f | f & f; }; f", (124, 254, 1, 2, 137), timeout_s=5)


def test_fork_bomb_in_kept_vm(lab):
    """the agent outlives a fork bomb: the next command runs"""
    vm = lab.create()
    in_guest(lab, vm, "timeout -s KILL 3 bash -c 'f() { f | f & f; }; f'", code=None)
    assert in_guest(lab, vm, "echo alive").out == "alive\n"
    lab.json("vm", "delete", vm)


def test_memory_eater(lab):
    """a command that eats all memory is killed with 137; the machine lives on"""
    run = lab.json("run", ENVIRONMENT, "--mem-mib", "256", "--", "tail /dev/zero", code=137)
    assert run["exit_code"] == 137 and not run["timed_out"], run


def test_memory_eaters(lab):
    """many memory eaters at once take the agent not along"""
    done = bounded(lab, "for i in $(seq 20); do tail /dev/zero & done; wait; echo survived",
                   (0, 124, 137), "--mem-mib", "256", timeout_s=5)
    assert done.code != 125


def test_disk_eater(lab):
    """a guest cannot make its disk larger than it is"""
    vm = lab.create()
    in_guest(lab, vm, "head -c 300M /dev/urandom >/root/data; sync; fallocate -l 20G /root/big",
             code=1)
    assert os.stat(f"{lab.state}/pyro/vms/{vm}/disk.qcow2").st_blocks * 512 < 1 << 30
    lab.json("vm", "delete", vm)


def test_host_disk_full(lab):
    """a command that fills the host's disk is told of an error at once, and does not hang"""
    if not IS_ROOT:
        raise Skip("only root can mount a small file system")
    small = f"{lab.dir}/small"
    script = f'mkdir {small}; mount -t tmpfs -o size=24m tmpfs {small}; exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", script, "sh", *lab.pyro, "run", "--timeout-seconds", "100",
         ENVIRONMENT, "--", "head -c 60M /dev/urandom >/root/data; sync /root/data"],
        env={**lab.env, "XDG_STATE_HOME": small}, capture_output=True, text=True, timeout=PATIENCE_S,
        check=False)
    assert done.returncode == 1 and "error" in done.stderr.lower(), done
    os.rmdir(small)


def test_panic(lab):
    """a guest that panics, or resets itself, ends the run with an error"""
    for way in ("c", "b"):
        done = bounded(lab, "echo 1 >/proc/sys/kernel/sysrq; "
                            f"echo {way} >/proc/sysrq-trigger; sleep 100", (125,))
        assert "unexpectedly" in done.err.split("pyro: ")[-1], done


def test_agent_is_safe(lab):
    """a command that kills whatever it can does not end its guest"""
    done = bounded(lab, "kill -9 -1; sleep 1; echo alive", (0, 137))
    assert done.code == 137 or "alive" in done.out, done
    vm = lab.create()
    in_guest(lab, vm, "kill -9 1; kill -STOP 1; kill -SEGV 1; kill -TERM 1")
    assert in_guest(lab, vm, "echo alive").out == "alive\n"
    lab.json("vm", "delete", vm)


def test_channel(lab):
    """commands cannot use the agent's port, and garbage on the console is nobody's business"""
    bounded(lab, "for port in /dev/vport*; do ! head -c 1M /dev/urandom >$port && "
                 "! head -c 1 $port || exit 9; done 2>/dev/null; "
                 "head -c 1M /dev/urandom >/dev/console; exit 0", (0,))


def test_port_unbound(lab):
    """a guest that takes its own port away ends its run in time"""
    bounded(lab, "cd /sys/bus/virtio/drivers/virtio_console; for i in virtio*; do "
                 "echo $i >unbind; done; sleep 1000", (124, 125), timeout_s=5)


test_port_unbound.is_patient = True


def test_many_lines(lab):
    """millions of tiny writes on both streams arrive complete"""
    run = lab.json("run", ENVIRONMENT, "--", "yes | head -n 300000; yes e | head -n 300000 >&2")
    assert run["stdout_bytes"] == run["stderr_bytes"] == 600000, run["stdout_bytes"]


def test_console_flood(lab):
    """a guest that floods its console does not grow the supervisor"""
    call = lab.start("run", ENVIRONMENT, "--timeout-seconds", "8", "--",
                     "echo begun; cat /dev/zero >/dev/console")
    call.await_text("begun")
    peak = watch_memory(lab, call)
    assert call.end().code == 124 and peak < 32, f"{peak} MiB"
