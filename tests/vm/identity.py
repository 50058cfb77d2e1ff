"""Two VMs of one template share nothing that must be unique."""
import subprocess
import time

from lab import ENVIRONMENT, PATIENCE_S

FACTS = ("head -c 32 /dev/urandom | sha256sum", "cat /proc/sys/kernel/random/uuid",
         "cat /proc/sys/kernel/random/boot_id", "cat /etc/machine-id", "hostname",
         "perl -e 'print rand, \"\\n\"'", "mktemp -u")


def facts(lab, *options):
    done = lab.run("; ".join(FACTS), options=options)
    lines = done.out.splitlines()
    assert len(lines) == len(FACTS), done
    return lines


def test_unique(lab):
    """VMs of one template have random numbers, boot, machine and host name of their own"""
    rows = [facts(lab) for _ in range(4)]
    for fact, values in zip(FACTS, zip(*rows)):
        assert len(set(values)) == len(rows), (fact, values)


def test_unique_after_restart(lab):
    """the same VM has new random numbers after each start"""
    from lifecycle import in_guest
    vm, seen = lab.create(), set()
    for _ in range(3):
        seen.add(in_guest(lab, vm, "head -c 32 /dev/urandom | sha256sum; "
                                   "cat /proc/sys/kernel/random/boot_id").out)
        lab.json("vm", "stop", vm)
        lab.json("vm", "start", vm)
    assert len(seen) == 3, seen
    lab.json("vm", "delete", vm)


def test_machine_id(lab):
    """machine-id is 32 hex digits, and the host name is the VM's id"""
    run = lab.json("run", ENVIRONMENT, "--", "hostname; cat /etc/machine-id")
    name, machine = run["stdout"].split()
    assert name == run["vm_id"] and len(machine) == 32 and int(machine, 16), run


def test_clock(lab):
    """a guest's clock is right within half a second on a busy machine, too, and runs as fast as the host's"""
    call = lab.start("run", ENVIRONMENT, "--timeout-seconds", "300", "--",
                     "while read line; do date +%s.%N; done",
                     stdin=subprocess.PIPE)
    call.await_text("phase=execute")
    first = best_clock(call)
    time.sleep(4)
    last = best_clock(call)
    call.process.stdin.close()
    assert call.end().code == 0
    for trip, error in (first, last):
        assert abs(error) < 0.5 + trip / 2, (first, last)
    assert abs(last[1] - first[1]) < 0.05 + (first[0] + last[0]) / 2, (first, last)


def test_clock_source(lab):
    """a guest's clock does not depend on counting interrupts, which a busy host loses"""
    folder = "/sys/devices/system/clocksource/clocksource0"
    assert "jiffies" not in lab.run(f"cat {folder}/current_clocksource").out


def best_clock(call):
    """Of several questions the one that was answered soonest."""
    return min(ask_clock(call) for _ in range(8))


def ask_clock(call):
    """Seconds of the round trip, and by which the guest's clock is off, to within the half of it."""
    before, lines = time.time(), call.out.count(b"\n")
    call.send(b"\n")
    while call.out.count(b"\n") == lines:
        assert time.time() < before + PATIENCE_S, "the guest does not answer"
        time.sleep(0.001)
    after = time.time()
    guest = float(call.out.decode().splitlines()[-1])
    return after - before, guest - (before + after) / 2


def test_nothing_remains(lab):
    """a VM sees no file that another VM of the template made"""
    for _ in range(2):
        done = lab.run("ls -A /tmp /root; touch /tmp/mine /root/mine")
        assert "mine" not in done.out, done
