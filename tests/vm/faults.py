"""What belongs to a VM is killed, hangs, or is not there."""
import json
import os
import shutil
import signal
import subprocess
import time

from lab import ENVIRONMENT, eventually, fake_program, installed, kill, status_of
from lifecycle import in_guest
from templates import own_template


def running(lab, *options):
    call = lab.start("run", ENVIRONMENT, *options, "--", "echo begun; sleep 100")
    call.await_text("begun")
    return call


def test_qemu_killed(lab):
    """a run whose QEMU is killed ends at once with an error that says so"""
    call = running(lab)
    kill(lab.qemu())
    done = call.end()
    assert done.code == 125 and done.out == "begun\n", done
    assert "pyro: the machine ended unexpectedly" in done.err and "hint: " in done.err, done


def test_supervisor_killed(lab):
    """a run whose supervisor is killed ends at once with an error, and QEMU with it"""
    call = running(lab)
    kill(lab.supervisor())
    done = call.end()
    assert done.code == 125 and "supervisor" in done.err.split("pyro: ")[-1], done
    lab.check_no_processes()
    lab.json("vm", "list")


def test_supervisor_terminated(lab):
    """SIGTERM to a supervisor ends its VM in order"""
    call = running(lab)
    os.kill(lab.supervisor(), signal.SIGTERM)
    assert call.end().code == 125
    lab.check_clean()
    vm = lab.create()
    in_guest(lab, vm, "echo data >/root/file")
    os.kill(lab.supervisor(), signal.SIGTERM)
    eventually(lambda: lab.json("vm", "status", vm)["state"] == "stopped", 120, "stopped")
    lab.json("vm", "start", vm)
    in_guest(lab, vm, "grep data /root/file")
    lab.json("vm", "delete", vm)


def test_kept_vm_dies(lab):
    """a VM whose QEMU, or supervisor, is killed has failed with a reason, and starts again"""
    vm = lab.create()
    for victim, word in ((lab.qemu, "unexpectedly"), (lab.supervisor, "supervisor")):
        in_guest(lab, vm, "echo data >>/root/file; sync")
        kill(victim())
        lab.check_no_processes()
        status = lab.json("vm", "status", vm)
        assert status["state"] == "failed" and word in status["reason"], status
        assert lab.error("vm", "exec", vm, "--", "true")["code"] == "bad_state"
        started = lab.json("vm", "start", vm)
        assert started["state"] == "started" and started["reason"] is None, started
        in_guest(lab, vm, "grep data /root/file")
    lab.json("vm", "delete", vm)


def test_everything_killed(lab):
    """when all of pyro's processes are killed at once, the next call removes what they left"""
    call = running(lab)
    kept = lab.create()
    for pid in lab.processes():
        kill(pid)
    call.end()
    lab.check_no_processes()
    rows = lab.json("vm", "list")["vms"]
    assert [(row["vm_id"], row["state"]) for row in rows] == [(kept, "failed")], rows
    assert lab.vm_dirs() == [kept]
    lab.json("vm", "delete", kept)


def test_jail_killed(lab):
    """killing the jail's own processes ends QEMU and the run"""
    call = running(lab)
    kill(lab.pids("bwrap")[0])
    assert call.end().code == 125
    lab.check_clean()


def test_qemu_stopped_briefly(lab):
    """a run survives a QEMU that stands still for a while"""
    call = lab.start("run", ENVIRONMENT, "--", "echo begun; read line; echo end",
                     stdin=subprocess.PIPE)
    call.await_text("begun")
    qemu = lab.qemu()
    os.kill(qemu, signal.SIGSTOP)
    time.sleep(2)
    os.kill(qemu, signal.SIGCONT)
    call.send(b"go on\n")
    assert call.end().out == "begun\nend\n"


def test_qemu_stopped(lab):
    """a guest that stands still does not keep a run beyond its timeout"""
    call = lab.start("run", ENVIRONMENT, "--timeout-seconds", "15", "--", "echo begun; sleep 1000")
    call.await_text("begun")
    os.kill(lab.qemu(), signal.SIGSTOP)
    done = call.end(300)
    assert done.code == 124 and done.out == "begun\n", done


test_qemu_stopped.is_patient = True


def test_interrupted_while_hanging(lab):
    """INT ends a run at once though its QEMU, or its guest, hangs while it starts"""
    call = lab.start("run", ENVIRONMENT, "--timeout-seconds", "300", "--", "sleep 1000")
    os.kill(lab.qemu(), signal.SIGSTOP)
    time.sleep(1)
    call.signal(signal.SIGINT)
    assert call.end(25).code == 130  # and not only when the start is given up


def fate(call, qemu):
    """What became of a run whose QEMU was stopped; nothing as long as that is open."""
    if b"phase=execute" in call.err:
        return "had started"
    return "given up" if status_of(qemu).get("State", "X")[0] in "ZX" else None


def test_hanging_start(lab):
    """a QEMU that hangs while it starts is given up in time, and another one started"""
    own_template(lab)
    for _ in range(50):  # until one is caught before it has started
        call = lab.start("run", ENVIRONMENT, "--", "read line; echo alive", stdin=subprocess.PIPE)
        qemu = lab.qemu()
        os.kill(qemu, signal.SIGSTOP)
        what = eventually(lambda: fate(call, qemu), 300, "given up, or it had started")
        kill(qemu, signal.SIGCONT)
        call.send(b"go on\n")
        done = call.end(300)
        assert done.code == 0 and done.out == "alive\n", done
        if what == "given up":
            return
    raise AssertionError("all had started")


test_hanging_start.is_patient = True


def other_agent(lab, code):
    """pyro with a guest agent that runs `code` and nothing else."""
    lab.pyro = [installed(lab)]
    lab.own_templates()
    os.replace(fake_program(lab, "pyro-agent", code), f"{lab.dir}/usr/libexec/pyro/pyro-agent")


def test_hanging_guest(lab):
    """a guest whose agent never answers is given up by the watchdog with a clear error"""
    other_agent(lab, "for (;;) pause();")
    done = lab.call("run", ENVIRONMENT, "--", "true", seconds=400)
    assert done.code == 125 and "the guest did not start" in done.err, done
    assert not lab.templates()


test_hanging_guest.is_patient = True


def test_dying_guest(lab):
    """a guest that dies while it starts is an error with the last words of its console"""
    other_agent(lab, "return 7;")
    done = lab.call("run", ENVIRONMENT, "--", "true")
    assert done.code == 125 and "the guest did not start" in done.err, done
    assert "console says" in done.err and "hint: " in done.err, done


def path_without(lab, *programs):
    """A PATH with everything of this machine but the programs."""
    os.mkdir(f"{lab.dir}/path")
    for folder in ("/bin", "/usr/bin", "/usr/sbin"):
        for name in os.listdir(folder):
            if name not in programs and not os.path.lexists(f"{lab.dir}/path/{name}"):
                os.symlink(f"{folder}/{name}", f"{lab.dir}/path/{name}")
    return {"PATH": f"{lab.dir}/path"}


def check_missing(lab, program, package):
    env = path_without(lab, program)
    error = lab.error("run", ENVIRONMENT, "--", "true", env=env)
    assert error["code"] == "missing_dependency" and program in error["message"], error
    assert error["hint"] == f"apt install {package}", error
    doctor = lab.json("doctor", env=env)
    assert not doctor["runtime_ok"] and not doctor["capabilities"]["vm_boot"], doctor
    assert any(program in issue["message"] and issue["fix"] == f"apt install {package}"
               for issue in doctor["issues"]), doctor["issues"]
    assert "FAIL" in lab.call("doctor", env=env).out
    return env


def test_no_qemu(lab):
    """without QEMU a run fails with the package to install, and doctor says the same"""
    check_missing(lab, "qemu-system-x86_64", "qemu-system-x86")


def test_no_bubblewrap(lab):
    """without bubblewrap nothing runs unjailed: the error names the package"""
    check_missing(lab, "bwrap", "bubblewrap")


def test_doctor_programs(lab):
    """doctor names every program that is not there, what is lost without it, and the package"""
    for program, package, is_needed in (
            ("qemu-img", "qemu-utils", True), ("mmdebstrap", "mmdebstrap", False),
            ("git", "git", False), ("passt", "passt", False)):
        doctor = lab.json("doctor", env=path_without(lab, program))
        shutil.rmtree(f"{lab.dir}/path")
        [issue] = [issue for issue in doctor["issues"] if f"'{program}'" in issue["message"]]
        assert issue["fix"] == f"apt install {package}", issue
        assert doctor["runtime_ok"] is not is_needed, doctor


def test_doctor_own_programs(lab):
    """an installation that lacks one of pyro's programs is no runtime, and doctor names it"""
    pyro = installed(lab)
    folder = f"{lab.dir}/usr/libexec/pyro"
    env = {"PYRO_LIBEXEC_DIR": folder}
    lab.pyro = [pyro]
    assert lab.json("doctor", env=env)["runtime_ok"]
    for name in os.listdir(folder):
        os.rename(f"{folder}/{name}", f"{lab.dir}/{name}")
        doctor = lab.json("doctor", env=env)
        [issue] = [issue for issue in doctor["issues"] if issue["check"] == name]
        assert f"'{name}' is not installed" in issue["message"] and issue["fix"], issue
        assert not doctor["runtime_ok"], name
        os.rename(f"{lab.dir}/{name}", f"{folder}/{name}")


def test_doctor_places(lab):
    """doctor tells of places that cannot be written, and of everything else all the same"""
    open(f"{lab.dir}/file", "w", encoding="utf-8").close()
    doctor = lab.json("doctor", "--environment", ENVIRONMENT,
                      env={"XDG_STATE_HOME": f"{lab.dir}/file"})
    assert not doctor["runtime_ok"] and doctor["daily_loop"]["status"] == "COLD", doctor
    [issue] = [issue for issue in doctor["issues"] if issue["check"] == "state"]
    assert "XDG_STATE_HOME" in issue["fix"], issue
    doctor = lab.json("doctor", env={"HOME": "/proc/1", "PYRO_ENVIRONMENT_CACHE_DIR": None,
                                     "XDG_STATE_HOME": "/proc/nowhere"})
    assert {"state"} <= {issue["check"] for issue in doctor["issues"]}, doctor
    assert doctor["kvm"] and doctor["jail"] and doctor["catalog"]["version"], doctor
    done = lab.call("doctor", env={"XDG_STATE_HOME": f"{lab.dir}/file"}, code=0)
    assert "FAIL" in done.out and "fix: " in done.out and "Platform: " in done.out, done


def test_host_compat(lab):
    """without QEMU, --allow-host-compat runs on the host and says so loudly"""
    env = path_without(lab, "qemu-system-x86_64")
    words = ("run", ENVIRONMENT, "--allow-host-compat")
    done = lab.call(*words, "--", "hostname; exit 3", env=env, code=3)
    assert done.out.strip() == os.uname().nodename, done
    assert "WARNING" in done.err and "THIS HOST" in done.err, done
    assert "execution_mode=host_compat" in done.err, done
    done = lab.call(*words, "--json", "--", "echo hi", env=env, code=0)
    run = json.loads(done.out)
    assert run["execution_mode"] == "host_compat" and run["accel"] is None, run
    assert "WARNING" in done.err, "JSON callers are warned too"
    lab.call(*words, "--timeout-seconds", "1", "--", "sleep 100 & sleep 100", env=env, code=124)
    call = lab.start(*words, "--", "echo begun; sleep 100", env=env)
    call.await_text("begun")
    call.signal(signal.SIGINT)
    assert call.end().code == 130


def test_host_compat_needs_asking(lab):
    """--allow-host-compat changes nothing where guests run"""
    done = lab.run("hostname", options=("--allow-host-compat",))
    assert done.out.startswith("vm-") and "WARNING" not in done.err, done


def with_qemu(lab, code):
    """A PATH whose QEMU runs `code` and nothing else."""
    path = fake_program(lab, "qemu-system-x86_64", code)
    return {"PATH": f"{os.path.dirname(path)}:{lab.env['PATH']}"}


def test_host_compat_guest_fails(lab):
    """a guest that does not start is an error, and no command of its runs on the host instead"""
    env = with_qemu(lab, "return 1;")
    done = lab.call("run", ENVIRONMENT, "--allow-host-compat", "--", "hostname", env=env)
    assert done.code == 125 and not done.out and "did not start" in done.err, done


def test_qemu_is_no_qemu(lab):
    """a QEMU that ends at once, or speaks nonsense, is an error with its last words"""
    for code in ('return write(2, "last words\\n", 11) != 11;',
                 'return write(3, "nonsense\\n", 9) + write(2, "last words\\n", 11) != 20;'):
        done = lab.call("run", ENVIRONMENT, "--", "true", env=with_qemu(lab, code))
        assert done.code == 125 and "last words" in done.err and "hint: " in done.err, done
        lab.check_clean()


def test_no_programs(lab):
    """an installation that lacks a program of its own names it"""
    lab.pyro = [installed(lab)]
    os.unlink(f"{lab.dir}/usr/libexec/pyro/pyro-supervisor")
    # A build that this is installed from, or another installation, must not stand in.
    done = lab.call("run", ENVIRONMENT, "--", "true",
                    env={"PYRO_LIBEXEC_DIR": f"{lab.dir}/usr/libexec/pyro"})
    assert done.code == 125 and "'pyro-supervisor' is not installed" in done.err, done


def test_timeout_without_client(lab):
    """a workspace's command keeps its timeout without its client, in a guest that stands still"""
    ws = lab.json("workspace", "create", ENVIRONMENT)["workspace_id"]
    call = lab.start("workspace", "exec", ws, "--timeout-seconds", "30", "--",
                     "echo begun; sleep 1000")

    def states():
        return [(row["state"], row["timed_out"])
                for row in lab.json("workspace", "logs", ws)["entries"] if row["stdout"]]

    eventually(lambda: states() == [("running", False)], 120, "it runs")
    os.kill(lab.qemu(), signal.SIGSTOP)
    kill(call.process.pid)
    call.end()
    eventually(lambda: states() == [("finished", True)], 120, "it has timed out")
    lab.json("workspace", "delete", ws)


test_timeout_without_client.is_patient = True


def test_killed_delete(lab):
    """a workspace whose directory is gone, but not its record, is gone with the next call"""
    ws = lab.json("workspace", "create", ENVIRONMENT)["workspace_id"]
    lab.json("workspace", "stop", ws)
    shutil.rmtree(f"{lab.state}/pyro/vms/{ws}")
    assert lab.json("workspace", "list")["count"] == 0
