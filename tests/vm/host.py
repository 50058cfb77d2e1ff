"""Hosts that lack something: KVM, a home, a directory that can be written, rights."""
import json
import os
import shutil
import subprocess

from lab import ENVIRONMENT, IS_ROOT, PATIENCE_S, Skip, installed, open_files, status_of

USER = 1234567


def in_namespace(lab, script, *words):
    """Runs pyro in a mount namespace of its own after the script."""
    if not IS_ROOT:
        raise Skip("only root can hide /dev/kvm")
    env = {**lab.env, "PYRO_ENVIRONMENT_CACHE_DIR": lab.cache, "PYRO_ACCEL": "auto"}
    inside = ["sh", "-ec", f'{script}; exec "$@"', "sh", *lab.pyro, *words]
    return subprocess.run(["unshare", "-m", *inside], env=env, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)


def kvm_is(lab, script):
    lab.own_templates()
    done = in_namespace(lab, script, "doctor", "--json")
    doctor = json.loads(done.stdout)
    assert done.returncode == 0 and doctor["accel"] == "tcg" and doctor["runtime_ok"], done
    done = in_namespace(lab, script, "run", ENVIRONMENT, "--json", "--", "echo ok")
    run = json.loads(done.stdout)
    assert run["stdout"] == "ok\n" and run["accel"] == "tcg", done
    return doctor["kvm"]


def test_kvm_absent(lab):
    """without /dev/kvm guests run under TCG, and doctor says that it does not exist"""
    kvm = kvm_is(lab, "mkdir -p $HOME/dev; for d in null zero urandom random tty full; do "
                      "touch $HOME/dev/$d; mount --bind /dev/$d $HOME/dev/$d; done; "
                      "ln -sfn /proc/self/fd $HOME/dev/fd; mount --rbind $HOME/dev /dev")
    assert not kvm["exists"] and not kvm["usable"], kvm


def test_kvm_no_device(lab):
    """a /dev/kvm that is no KVM is not used, and doctor says why"""
    if not os.path.exists("/dev/kvm"):
        raise Skip("there is no /dev/kvm to cover")
    kvm = kvm_is(lab, "mount --bind /dev/null /dev/kvm")
    assert kvm["exists"] and not kvm["usable"] and kvm["reason"], kvm


def test_kvm_as_found(lab):
    """doctor's answer about KVM is the accelerator that runs use; another can be demanded"""
    doctor = lab.json("doctor")
    run = lab.json("run", ENVIRONMENT, "--", "true")
    assert run["accel"] == doctor["accel"] == ("kvm" if doctor["kvm"]["usable"] else "tcg")
    assert lab.json("run", ENVIRONMENT, "--", "true", env={"PYRO_ACCEL": "tcg"})["accel"] == "tcg"
    if not doctor["kvm"]["usable"]:
        error = lab.error("run", ENVIRONMENT, "--", "true", env={"PYRO_ACCEL": "kvm"})
        assert error["code"] == "guest_unavailable" and "PYRO_ACCEL" in error["hint"], error
    lab.call("run", ENVIRONMENT, "--", "true", env={"PYRO_ACCEL": "fast"}, code=2)


def test_kvm_demanded(lab):
    """where KVM is demanded and does not work, nothing runs and the error says why"""
    if not os.path.exists("/dev/kvm"):
        raise Skip("there is no /dev/kvm to cover")
    done = in_namespace(lab, "mount --bind /dev/null /dev/kvm; "
                        "export PYRO_ACCEL=kvm", "run", ENVIRONMENT, "--json", "--", "true")
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "guest_unavailable" and "ioctl" in error["message"], error


def test_no_home(lab):
    """with HOME unset, what says where state and environments are is enough"""
    lab.run("true", env={"HOME": None})


def test_home_read_only(lab):
    """with a HOME that cannot be written, runs work when state has another place, else say which"""
    home = {"HOME": "/proc/1", "XDG_STATE_HOME": lab.state}
    lab.run("true", env=home)
    error = lab.error("run", ENVIRONMENT, "--", "true", env={**home, "XDG_STATE_HOME": None})
    assert "XDG_STATE_HOME" in error["hint"] and "/proc/1" in error["message"], error


def test_state_unwritable(lab):
    """a state directory that cannot be written, or is a file, is a clear error"""
    open(f"{lab.dir}/file", "w").close()
    for place in ("/proc/nowhere", f"{lab.dir}/file"):
        error = lab.error("run", ENVIRONMENT, "--", "true", env={"XDG_STATE_HOME": place})
        assert "XDG_STATE_HOME" in error["hint"] and place in error["message"], error


def test_state_of_others(lab):
    """a state directory of another user is refused"""
    if not IS_ROOT:
        raise Skip("only root can make files of others")
    os.makedirs(f"{lab.state}/pyro")
    os.chown(f"{lab.state}/pyro", USER, USER)
    error = lab.error("run", ENVIRONMENT, "--", "true")
    assert error["code"] == "refused", error
    shutil.rmtree(lab.state)


def test_state_full(lab):
    """a full state directory is a clear error and leaves nothing"""
    if not IS_ROOT:
        raise Skip("only root can mount a small file system")
    script = f"mkdir {lab.state}; mount -t tmpfs -o size=300k tmpfs {lab.state}; " \
             f"head -c 1M /dev/zero >{lab.state}/full 2>/dev/null || :"
    done = in_namespace(lab, script, "run", ENVIRONMENT, "--", "true")
    assert done.returncode == 125 and "pyro: " in done.stderr, done
    assert "space" in done.stderr.lower() or "full" in done.stderr, done


def test_disk_full(lab):
    """a guest whose host has no space left for its disk sees errors, and does not hang"""
    if not IS_ROOT:
        raise Skip("only root can mount a small file system")
    script = f"mkdir {lab.state}; mount -t tmpfs -o size=30m tmpfs {lab.state}"
    done = in_namespace(lab, script, "run", ENVIRONMENT, "--timeout-seconds", "60", "--",
                        "head -c 90M /dev/urandom >/root/data && sync /root/data; echo over $?")
    assert done.returncode == 0 and done.stdout.startswith("over ") and \
        done.stdout != "over 0\n", done


def test_long_paths(lab):
    """a state directory with a very long name, spaces and other characters works"""
    lab.state = f"{lab.dir}/{'long ' * 40}/,=é'\"\\:%"
    os.makedirs(lab.state)
    lab.env["XDG_STATE_HOME"] = lab.state
    vm = lab.create()
    done = lab.call("vm", "exec", vm, "--", "echo ok", code=0)
    assert done.out == "ok\n"


def test_descriptors(lab):
    """a caller's open files do not reach QEMU, and closed standard streams do no harm"""
    out = f"{lab.dir}/out"
    script = f'exec 7<>{lab.dir}/secret; "$@" <&- >{out} 2>&-'
    done = subprocess.run(["bash", "-c", script, "bash", *lab.pyro, "run", ENVIRONMENT, "--",
                           "echo ok"], env=lab.env, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0
    with open(out, encoding="utf-8") as text:
        assert text.read() == "ok\n"
    with open(f"{lab.dir}/secret", "w+b") as file:
        call = lab.start("run", ENVIRONMENT, "--", "echo begun; sleep 100",
                         pass_fds=(file.fileno(),))
        call.await_text("begun")
        for pid in lab.processes():
            if pid != call.pid:
                assert not any("secret" in path for path in open_files(pid)), open_files(pid)
        call.signal(2)
        call.end()


def ordinary_user(lab):
    """An installation, a home and environments of a user without any rights."""
    if not IS_ROOT:
        raise Skip("the other tests run as an ordinary user already")
    pyro = installed(lab)
    lab.own_cache()
    for path in (lab.env["HOME"], lab.cache):
        subprocess.run(["chown", "-R", f"{USER}:{USER}", path], check=True)
    os.mkdir(lab.state)
    os.chown(lab.state, USER, USER)
    lab.pyro = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", pyro]


def test_ordinary_user(lab):
    """an ordinary user without any group runs guests, in a jail of a user namespace"""
    ordinary_user(lab)
    doctor = lab.json("doctor")
    assert doctor["runtime_ok"] and "user namespace" in doctor["jail"], doctor
    run = lab.json("run", ENVIRONMENT, "--", "id -u; git --version", cwd="/")
    assert run["stdout"].startswith("0\ngit version"), run
    vm = json.loads(lab.call("vm", "create", ENVIRONMENT, "--json", cwd="/").out)["vm_id"]
    lab.json("vm", "start", vm)
    pid = lab.qemu()
    status = status_of(pid)
    assert set(status["Uid"].split()) == {str(USER)} and status["Seccomp"] == "2", status
    assert int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1", status
    for kind in ("mnt", "net", "pid", "user"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    lab.json("vm", "stop", vm)
    lab.json("vm", "start", vm)
    lab.json("vm", "delete", vm)
    call = lab.start("run", ENVIRONMENT, "--", "echo begun; sleep 100", cwd="/")
    call.await_text("begun")
    os.kill(lab.pids("pyro-supervisor")[0], 9)
    call.end()
    lab.check_no_processes()
    lab.json("vm", "list")


def test_user_namespaces_forbidden(lab):
    """an ordinary user who may not make user namespaces is told the setting that forbids them"""
    ordinary_user(lab)
    keeper = subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; exec cat"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        keeper.stdout.readline()
        for kind in ("uid", "gid"):
            with open(f"/proc/{keeper.pid}/{kind}_map", "w", encoding="ascii") as file:
                file.write(f"0 0 {USER + 1}")
        script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
        lab.pyro = ["nsenter", "--user", "-t", str(keeper.pid), "sh", "-c", script, "sh",
                    *lab.pyro]
        doctor = lab.json("doctor", cwd="/")
    finally:
        keeper.communicate()
    assert not doctor["runtime_ok"], doctor
    assert any(issue["fix"] == "sudo sysctl -w user.max_user_namespaces=15000"
               for issue in doctor["issues"]), doctor["issues"]


def test_doctor_space(lab):
    """doctor says where there is no room left, and which variable names another place"""
    script = f"mkdir {lab.state}; mount -t tmpfs -o size=30m tmpfs {lab.state}"
    doctor = json.loads(in_namespace(lab, script, "doctor", "--json").stdout)
    [issue] = [issue for issue in doctor["issues"] if issue["check"] == "state"]
    assert "MiB free" in issue["message"] and "XDG_STATE_HOME" in issue["fix"], issue


def test_unreadable_kvm(lab):
    """an ordinary user who may not open /dev/kvm is told how to, and runs under TCG"""
    ordinary_user(lab)
    if not os.path.exists("/dev/kvm"):
        raise Skip("there is no /dev/kvm")
    os_mode = os.stat("/dev/kvm").st_mode & 0o7777
    script = "mknod $HOME/kvm c 10 232; chmod 600 $HOME/kvm; mount --bind $HOME/kvm /dev/kvm"
    done = in_namespace(lab, script, "doctor", "--json")
    doctor = json.loads(done.stdout)
    assert doctor["accel"] == "tcg" and not doctor["kvm"]["readable"], doctor
    assert any("kvm" in issue["fix"] for issue in doctor["issues"]), doctor["issues"]
    assert os.stat("/dev/kvm").st_mode & 0o7777 == os_mode
