"""create, start, exec, stop, delete, and what ends a VM unasked."""
import os
import signal
import time

from lab import BUILD, ENVIRONMENT, Call, kill, read


def state(lab, vm):
    return lab.json("vm", "status", vm)["state"]


def in_guest(lab, vm, command, code=0):
    """Runs a command in a started VM, which goes on."""
    done = Call([f"{BUILD}/tests/vm/guest_exec", vm, command], lab.env).end()
    assert code is None or done.code == code, done
    return done


def test_life(lab):
    """a VM is created stopped, starts, runs one command, and is gone afterwards"""
    vm = lab.create(start=False)
    assert state(lab, vm) == "stopped"
    started = lab.json("vm", "start", vm)
    assert started["state"] == "started" and started["execution_mode"] == "guest_serial", started
    assert [row["vm_id"] for row in lab.json("vm", "list")["vms"]] == [vm]
    run = lab.json("vm", "exec", vm, "--", "echo ok; exit 4", code=4)
    assert run["stdout"] == "ok\n" and run["cleanup"]["deleted"] and run["vm_id"] == vm, run
    lab.check_clean()
    assert lab.json("vm", "list")["count"] == 0
    assert lab.error("vm", "status", vm)["code"] == "not_found"


def test_disk(lab):
    """what was written before a stop is there after each start"""
    vm = lab.create()
    in_guest(lab, vm, "cd /root; head -c 8M /dev/urandom >data; sha256sum data >sum")
    for i in range(2):
        assert lab.json("vm", "stop", vm)["state"] == "stopped"
        lab.check_no_processes()
        lab.json("vm", "start", vm)
        in_guest(lab, vm, f"cd /root; sha256sum -c sum && test ! -e {i} && touch {i}")
    lab.json("vm", "delete", vm)


def test_fresh_disks(lab):
    """VMs of one environment see nothing of each other's disks"""
    one, two = lab.create(), lab.create()
    in_guest(lab, one, "echo secret >/root/mine; sync")
    in_guest(lab, two, "test ! -e /root/mine")
    for vm in (one, two):
        lab.json("vm", "delete", vm)
    assert lab.run("ls /root").out == ""


def test_idempotent(lab):
    """starting what runs and stopping what is stopped change nothing; another delete says so"""
    vm = lab.create()
    qemu = lab.qemu()
    assert lab.json("vm", "start", vm)["state"] == "started" and lab.qemu() == qemu
    for _ in range(2):
        assert lab.json("vm", "stop", vm)["state"] == "stopped"
    lab.json("vm", "delete", vm)
    assert lab.error("vm", "delete", vm)["code"] == "not_found"


def test_wrong_state(lab):
    """exec in a stopped VM says how to start it; an id that is none is not found"""
    vm = lab.create(start=False)
    error = lab.error("vm", "exec", vm, "--", "true")
    assert error["code"] == "bad_state" and error["hint"] == f"pyro vm start {vm}", error
    lab.json("vm", "delete", vm)
    for name in ("vm-0123456789abcdef", "../../etc", "", "vm-", "x" * 5000):
        for verb in ("start", "stop", "status", "delete", "network-info"):
            assert lab.error("vm", verb, name)["code"] == "not_found", (verb, name[:20])


def test_network_info(lab):
    """network-info says that there is no network"""
    vm = lab.create(start=False)
    info = lab.json("vm", "network-info", vm)
    assert info["network_enabled"] is False and info["policy"] == "off", info
    lab.json("vm", "delete", vm)


def test_clients_go(lab):
    """a VM lives on when the client that started it is gone, and takes the next one's command"""
    call = lab.start("vm", "create", ENVIRONMENT, "--json", start_new_session=True)
    vm = lab.json("vm", "list")["vms"][0]["vm_id"] if call.end().code == 0 else None
    start = lab.start("vm", "start", vm, start_new_session=True)
    assert start.end().code == 0
    try:
        os.killpg(start.pid, signal.SIGHUP)
    except ProcessLookupError:
        pass
    assert in_guest(lab, vm, "echo alive").out == "alive\n"
    lab.json("vm", "delete", vm)


def test_changes_at_once(lab):
    """start, stop and delete of one VM at once each end well or say why, and nothing is left"""
    vm = lab.create(start=False)
    calls = [lab.start("vm", verb, vm) for verb in ("start", "stop", "start", "delete", "stop")]
    for call in calls:
        done = call.end()
        assert done.code == 0 or "hint" in done.err or "there is no VM" in done.err, done
    assert vm not in [row["vm_id"] for row in lab.json("vm", "list")["vms"]]


def expires(lab, vm):
    return lab.json("vm", "status", vm)["expires_at"]


def test_ttl(lab):
    """a VM is removed when its time is up, though nobody calls"""
    vm = lab.create("--ttl-seconds", "60")
    at = expires(lab, vm)
    time.sleep(max(0, at - time.time() - 1))
    assert lab.pids("qemu-system") or time.time() >= at, "it ended before its time"
    lab.check_clean()


test_ttl.is_patient = True


def test_ttl_put_off(lab):
    """update puts the end off while a workspace works, and a start later does not forget it"""
    ws = lab.workspace("--ttl-seconds", "60")
    first = ws("status")["expires_at"]
    call = ws.start("echo begun; until [ -e go ]; do sleep 0.1; done; echo done")
    call.await_text("begun")
    kept = ws("update", "--ttl-seconds", "120")["expires_at"]
    assert first < kept <= time.time() + 120 and ws("update", "--ttl-seconds", "1")["expires_at"] == kept
    time.sleep(max(0, first - time.time() + 1))
    ws("file write", "go", "--text", "")
    done = call.end()
    assert done.code == 0 and done.out == "begun\ndone\n", done
    ws("stop")
    assert ws("start")["expires_at"] == kept
    lab.check_clean()
    assert time.time() >= kept, "it ended before its time"


test_ttl_put_off.is_patient = True


def test_ttl_of_run(lab):
    """a run past its time to live ends with an error that says so"""
    done = lab.call("run", ENVIRONMENT, "--ttl-seconds", "60", "--timeout-seconds", "1000", "--",
                    "echo begun; sleep 1000")
    assert done.code == 125 and "begun" in done.out, done
    assert "time" in done.err.split("pyro: ")[1], done


test_ttl_of_run.is_patient = True


def test_ttl_of_dead(lab):
    """the next call removes a VM past its time that has no supervisor any more"""
    dead, stopped = lab.create("--ttl-seconds", "60"), lab.create("--ttl-seconds", "1", start=False)
    kill(lab.supervisor())
    lab.check_no_processes()
    assert state(lab, dead) == "failed"
    time.sleep(max(0, expires(lab, dead) - time.time() + 0.1))
    reaped = lab.json("vm", "reap-expired")
    assert dead in reaped["deleted_vm_ids"], reaped
    assert lab.json("vm", "list")["count"] == 0 and stopped not in lab.vm_dirs()


test_ttl_of_dead.is_patient = True


def test_reap_keeps_living(lab):
    """reap-expired leaves alone what lives, and VMs that are stopped in their time"""
    living, stopped = lab.create(), lab.create(start=False)
    assert lab.json("vm", "reap-expired")["count"] == 0
    assert state(lab, living) == "started" and state(lab, stopped) == "stopped"
    for vm in (living, stopped):
        lab.json("vm", "delete", vm)


def test_private_state(lab):
    """state is private to its user, and a VM's socket is within it"""
    vm = lab.create()
    for path in ("", "/vms", f"/vms/{vm}"):
        mode = os.stat(f"{lab.state}/pyro{path}").st_mode & 0o777
        assert mode == 0o700, (path, oct(mode))
    assert os.path.exists(f"{lab.state}/pyro/vms/{vm}/sock")
    lab.json("vm", "delete", vm)


def test_supervisor_is_small(lab):
    """a supervisor has at most 6 MiB of its own, is init's child, and leads its own session"""
    vm = lab.create()
    pid = lab.supervisor()
    rollup = read(f"/proc/{pid}/smaps_rollup")
    private = sum(int(line.split()[1]) for line in rollup.splitlines()
                  if line.startswith("Private_"))
    assert 0 < private < 6 * 1024, f"{private} KiB"
    assert os.getsid(pid) != os.getsid(0)
    lab.json("vm", "delete", vm)
