"""pyro interrupted at every phase: the exit code says so, and nothing is left."""
import os
import random
import signal
import time

from lab import ENVIRONMENT, eventually, kill

COMMAND = ("run", ENVIRONMENT, "--", "echo begun; sleep 100")
PHASES = {"create": "phase=create", "start": "phase=start", "execute": "phase=execute",
          "command": "begun"}


def interrupt(lab, number, text):
    """Sends the signal when the text appears; pyro must end as interrupted and leave nothing."""
    call = lab.start(*COMMAND)
    call.await_text(text)
    call.signal(number)
    done = call.end()
    assert done.code == 128 + number, (text, number, str(done))
    lab.check_clean()


def test_signals(lab):
    """INT, TERM and HUP in any phase of a run end it with 128+n and leave nothing"""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for text in PHASES.values():
            interrupt(lab, number, text)


def test_signals_while_template(lab):
    """INT, TERM and HUP while a template is made leave no half-made one"""
    lab.own_templates()
    for number, after_s in ((signal.SIGINT, 0), (signal.SIGTERM, 0.3), (signal.SIGHUP, 0.6)):
        call = lab.start(*COMMAND)
        call.await_text("phase=template")
        time.sleep(after_s)
        call.signal(number)
        assert call.end().code == 128 + number
        lab.check_clean()
        assert not lab.templates()
    lab.run("true")
    assert len(lab.templates()) == 1


def test_end(lab):
    """INT while the VM is deleted gives the result or says that it was interrupted"""
    for delay in (0, 0.01, 0.03):
        call = lab.start("run", ENVIRONMENT, "--", "echo done")
        call.await_text("done")
        time.sleep(delay)
        call.signal(signal.SIGINT)
        done = call.end()
        assert done.code in (0, 130) and done.out == "done\n", done
        lab.check_clean()


def test_signals_at_random(lab):
    """INT at any moment leaves nothing"""
    for _ in range(20):
        call = lab.start("run", ENVIRONMENT, "--", "echo begun")
        time.sleep(random.uniform(0, 0.4))
        call.signal(signal.SIGINT)
        done = call.end()
        # The earliest ones meet a pyro that does not catch them yet.
        assert done.code in (0, 130, -signal.SIGINT), done
        lab.check_clean()


def test_no_reader(lab):
    """INT ends a run whose output nobody reads"""
    out, into = os.pipe()
    call = lab.start("run", ENVIRONMENT, "--", "echo begun; yes", stdout=into)
    os.close(into)
    call.await_text("phase=execute")
    time.sleep(1)
    call.signal(signal.SIGINT)
    assert call.end().code == 130
    os.close(out)


def test_killed(lab):
    """a killed pyro leaves no process, and its files go with the next call at the latest"""
    for text in PHASES.values():
        call = lab.start(*COMMAND)
        call.await_text(text)
        call.signal(signal.SIGKILL)
        call.end()
        lab.check_no_processes()
        lab.json("vm", "list")
        lab.check_clean(0)


def test_killed_while_template(lab):
    """a pyro killed while it makes a template leaves no process, and the next run makes it"""
    lab.own_templates()
    call = lab.start(*COMMAND)
    call.await_text("phase=template")
    time.sleep(1)
    call.signal(signal.SIGKILL)
    call.end()
    lab.check_no_processes()
    lab.run("true")
    assert len(lab.templates()) == 1


def test_killed_at_random(lab):
    """a pyro killed at any moment leaves nothing that the next call does not remove"""
    for _ in range(20):
        call = lab.start("run", ENVIRONMENT, "--", "echo begun")
        time.sleep(random.uniform(0, 0.4))
        call.signal(signal.SIGKILL)
        call.end()
        lab.check_no_processes()
    assert lab.json("vm", "list")["count"] == 0
    lab.check_clean(0)


def test_terminal_closed(lab):
    """INT and HUP to the whole terminal reach the run, and do not hurt its supervisor's clean-up"""
    for number in (signal.SIGINT, signal.SIGHUP):
        call = lab.start(*COMMAND, start_new_session=True)
        call.await_text("begun")
        os.killpg(call.pid, number)
        assert call.end().code == 128 + number
        lab.check_clean()


def test_kept_vm(lab):
    """a start that is interrupted leaves a VM that is stopped and can be started"""
    lab.own_templates()
    vm = lab.create(start=False)
    call = lab.start("vm", "start", vm)
    call.await_text("phase=template")
    call.signal(signal.SIGINT)
    assert call.end().code == 130
    lab.check_no_processes()
    assert lab.json("vm", "status", vm)["state"] in ("stopped", "failed")
    assert lab.json("vm", "start", vm)["state"] == "started"
    lab.json("vm", "delete", vm)


def test_killed_start(lab):
    """a start whose pyro is killed leaves a VM that can be started, stopped and deleted"""
    for text, delay in (("phase=start", 0), ("phase=start", 0.05)):
        vm = lab.create(start=False)
        call = lab.start("vm", "start", vm)
        call.await_text(text)
        time.sleep(delay)
        call.signal(signal.SIGKILL)
        call.end()
        assert lab.json("vm", "start", vm)["state"] == "started"
        assert lab.json("vm", "stop", vm)["state"] == "stopped"
        lab.json("vm", "delete", vm)
        lab.check_clean()


def test_ignored_signal(lab):
    """a HUP that nohup ignores stays ignored"""
    call = lab.start("run", ENVIRONMENT, "--", "echo begun; sleep 1; echo end",
                     preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    call.await_text("begun")
    call.signal(signal.SIGHUP)
    assert call.end().out == "begun\nend\n"


def test_pull(lab):
    """INT during a pull ends it with 130 and leaves no process and no half-made install"""
    lab.empty_cache()
    call = lab.start("env", "pull", "debian:12-base")
    eventually(lambda: os.path.exists(f"{lab.cache}/tmp") and os.listdir(f"{lab.cache}/tmp"), 120,
               "the pull has begun to build")
    time.sleep(1)
    call.signal(signal.SIGINT)
    assert call.end().code == 130
    lab.check_clean()
    assert not lab.json("env", "inspect", "debian:12-base")["installed"]


def test_pull_killed(lab):
    """when a pull is killed, one that waited goes on alone, and the environment works"""
    lab.empty_cache()
    calls = [lab.start("env", "pull", "debian:12-base") for _ in range(2)]
    waits = eventually(lambda: any(found := [b"phase=wait" in call.err for call in calls]) and found,
                       120, "one waits for the other")
    kill(calls[waits.index(False)].pid)
    done = calls[waits.index(True)].end(600)
    assert done.code == 0 and "Pulled: debian:12-base" in done.out, done
    assert calls[waits.index(False)].end().code == -signal.SIGKILL
    lab.check_clean()
    lab.call("run", "debian:12-base", "--",
             "test -e /etc/debian_version && ! command -v git", code=0)


test_pull_killed.is_patient = test_pull_killed.fetches = True
