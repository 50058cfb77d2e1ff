"""Templates: made once, shared by all, thrown away when they do not do."""
import atexit
import functools
import os
import signal
import subprocess
import time

from lab import ENVIRONMENT, Lab, eventually, installed, kill, killed_at


@functools.cache
def made():
    """A cache with a template for run()."""
    lab = Lab()
    atexit.register(lab.remove)
    lab.own_templates()
    lab.run("true")
    return lab.cache


def own_template(lab):
    """From here on: a copy of that template, which is good."""
    lab.own_templates()
    for name in ("initrds", "templates"):
        subprocess.run(["cp", "-a", "--sparse=always", f"{made()}/{name}", lab.cache], check=True)
    assert "phase=template" not in lab.run("true").err


def paths(lab, file):
    return [f"{lab.cache}/templates/{name}/{file}" for name in lab.templates()]


def test_made_once(lab):
    """of several first runs at once one makes the template, and all succeed"""
    lab.own_templates()
    calls = [lab.start("run", ENVIRONMENT, "--", "echo ok") for _ in range(3)]
    for call in calls:
        assert call.end().out == "ok\n"
    assert len(lab.templates()) == 1


def test_wait_interrupted(lab):
    """a run that waits for a template that another makes can be interrupted at once"""
    lab.own_templates()
    first = lab.start("run", ENVIRONMENT, "--", "echo ok")
    first.await_text("phase=template")
    os.kill(lab.qemu(), signal.SIGSTOP)
    second = lab.start("run", ENVIRONMENT, "--", "echo ok")
    second.await_text("phase=template")
    time.sleep(0.5)
    second.signal(signal.SIGINT)
    assert second.end().code == 130
    os.kill(lab.qemu(), signal.SIGCONT)
    assert first.end().out == "ok\n"


def test_warm(lab):
    """with a template a run tells no phase template and takes less than a boot"""
    lab.run("true")
    done = lab.run("true")
    assert "template" not in done.err and "boot" not in done.err, done


def truncate(path, size):
    os.chmod(path, 0o644)
    os.truncate(path, size)


def damage(lab, change):
    own_template(lab)
    for path in change(lab):
        assert os.path.exists(path), path
    done = lab.run("echo ok")
    assert done.out == "ok\n", done
    lab.check_clean()
    done = lab.run("echo ok")
    assert done.out == "ok\n", done
    done = lab.run("echo ok")
    assert "phase=boot" not in done.err and "phase=template" not in done.err, done


def cut(file, size):
    def change(lab):
        for path in paths(lab, file):
            truncate(path, size)
        return paths(lab, file)
    return change


def test_state_cut(lab):
    """a template whose state is cut is thrown away, and the run succeeds"""
    damage(lab, cut("state", 5000))


def test_discard_killed(lab):
    """a template that was being thrown away when all was killed is not taken for one"""
    own_template(lab)
    cut("state", 0)(lab)
    done = lab.run("true", code=125, env=killed_at("pyro-supervisor", "unlinkat", 3))
    assert "killed" not in done.err and "pyro: " in done.err, done
    assert lab.run("echo ok").out == "ok\n"
    assert "phase=boot" not in lab.run("true").err


def test_ram_cut(lab):
    """a template whose memory is cut is thrown away, and the run succeeds"""
    damage(lab, cut("ram", 1 << 20))


def test_disk_cut(lab):
    """a template whose disk is cut is thrown away, and the run succeeds"""
    damage(lab, cut("disk", 1000))


def test_file_missing(lab):
    """a template that lacks a file is thrown away, and the run succeeds"""
    def change(lab):
        for path in paths(lab, "ram"):
            os.unlink(path)
        return []
    damage(lab, change)


def test_garbage(lab):
    """a template whose state is garbage is thrown away, and the run succeeds"""
    def change(lab):
        for path in paths(lab, "state"):
            os.chmod(path, 0o644)
            with open(path, "r+b") as file:
                file.write(os.urandom(os.stat(path).st_size))
        return []
    damage(lab, change)


def test_new_qemu(lab):
    """after an upgrade of QEMU a new template is made"""
    own_template(lab)
    folder = f"{lab.dir}/bin"
    os.mkdir(folder)
    # A copy is what an upgrade is: another file of the same name.
    real = os.path.realpath("/usr/bin/qemu-system-x86_64")
    with open(real, "rb") as source, open(f"{folder}/qemu-system-x86_64", "wb") as copy:
        copy.write(source.read())
    os.chmod(f"{folder}/qemu-system-x86_64", 0o755)
    env = {"PATH": f"{folder}:{lab.env['PATH']}"}
    assert "phase=template" in lab.run("true", env=env).err
    assert "phase=template" not in lab.run("true", env=env).err
    assert len(lab.templates()) == 2
    os.utime(f"{folder}/qemu-system-x86_64", (1, 1))
    assert "phase=template" in lab.run("true", env=env).err
    assert "phase=template" not in lab.run("true").err, "the old one is still good for the old QEMU"


def test_new_agent(lab):
    """another agent makes another initial RAM disk and another template"""
    own_template(lab)
    lab.pyro = [installed(lab)]
    with open(f"{lab.dir}/usr/libexec/pyro/pyro-agent", "ab") as agent:
        agent.write(b"\0")
    assert "phase=template" in lab.run("true").err


def test_bounded(lab):
    """templates of sizes that are not used any more go: their number is bounded"""
    lab.own_templates()
    os.mkdir(f"{lab.cache}/templates")
    for i in range(12):
        os.mkdir(f"{lab.cache}/templates/{i:032x}")
        os.utime(f"{lab.cache}/templates/{i:032x}", (i, i))
    lab.run("true")
    assert len(lab.templates()) <= 12, lab.templates()


def kill_all(lab):
    """Also what was being started when one looked; returns whom it found."""
    found = lab.processes()
    for number in (signal.SIGSTOP, signal.SIGKILL):  # none sees another die and cleans up
        for pid in found:
            kill(pid, number)
    return found


def test_build_of_dead(lab):
    """a half-made template of somebody who was killed is replaced"""
    lab.own_templates()
    call = lab.start("run", ENVIRONMENT, "--", "true")
    eventually(lab.half_made, 120, "it is half made")
    eventually(lambda: not kill_all(lab), 120, "they are gone, and their locks")
    call.end()
    assert lab.half_made(), "nobody has removed it yet"
    lab.run("true")


def test_directory_unwritable(lab):
    """where no template can be kept, runs boot and succeed"""
    lab.own_templates()
    lab.remove_templates()
    done = lab.run("echo ok")
    assert done.out == "ok\n" and "phase=boot" in done.err, done
