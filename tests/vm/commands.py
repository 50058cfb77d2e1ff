"""What `pyro run` says of a command: output, exit codes, limits, input."""
import hashlib
import json
import os
import signal
import subprocess
import time

from lab import ENVIRONMENT, status_of

MIB = 1024 * 1024


def test_output(lab):
    """run prints the guest's output, each stream apart, and ends with its exit code"""
    done = lab.run("echo out; echo err >&2; exit 7", code=7)
    assert done.out == "out\n", done
    assert "err\n" in done.err and "exit_code=7" in done.err, done


def test_argument_vector(lab):
    """several words keep their boundaries; one word is a shell's line"""
    assert lab.run("printf", "%s|", "a b", "", "$HOME").out == "a b||$HOME|"
    assert lab.run("a='x  y'; printf '%s|' \"$a\"").out == "x  y|"


def test_json_result(lab):
    """the result as JSON says everything that is promised"""
    run = lab.json("run", ENVIRONMENT, "--", "echo out; echo err >&2; exit 3", code=3)
    assert run["stdout"] == "out\n" and run["stderr"] == "err\n" and run["exit_code"] == 3, run
    assert run["execution_mode"] == "guest_serial" and run["accel"] in ("kvm", "tcg"), run
    assert run["environment"] == ENVIRONMENT and run["timed_out"] is False, run
    assert run["cleanup"] == {"deleted": True, "reason": "post_exec_cleanup",
                              "vm_id": run["vm_id"]}, run
    assert not run["stdout_truncated"] and run["stdout_bytes"] == 4, run


def test_streaming(lab):
    """output arrives while the command still runs"""
    call = lab.start("run", ENVIRONMENT, "--", "echo first; read line; echo $line",
                     stdin=subprocess.PIPE)
    call.await_text("first\n")
    call.send(b"second\n")
    assert call.end().out == "first\nsecond\n"


def test_not_found(lab):
    """a command that does not exist is 127, one that is not executable 126"""
    assert "no-such-program" in lab.run("no-such-program", "x", code=127).err
    lab.run("no-such-program", code=127)
    lab.run("/etc/passwd", "x", code=126)
    lab.run("/etc/passwd", code=126)


def test_signals(lab):
    """a command that a signal n killed is 128+n"""
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
        lab.run("sh", "-c", f"kill -{number} $$", code=128 + number)


def test_timeout(lab):
    """a command that never ends is killed at its timeout with 124; its output is kept"""
    run = lab.json("run", ENVIRONMENT, "--timeout-seconds", "2", "--",
                   "echo begun; sleep 1000 & sleep 1000", code=124)
    assert run["timed_out"] and run["exit_code"] == 124 and run["stdout"] == "begun\n", run
    assert run["duration_ms"] >= 2000, run


def test_timeout_ignored_signals(lab):
    """the timeout also ends a tree that ignores signals and left its session"""
    lab.run("trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; while :; do :; done' & "
            "while :; do :; done", options=("--timeout-seconds", "2"), code=124)


def test_closed_stdout(lab):
    """a command that closes its outputs and lives on keeps the run going until it ends"""
    done = lab.run("exec >&- 2>&-; sleep 1; exit 5", code=5)
    assert done.seconds >= 1, done


def test_background(lab):
    """a process left in the background does not hold up the result"""
    done = lab.run("sleep 1000 & echo done", options=("--timeout-seconds", "100"))
    assert done.out == "done\n", done


def test_invalid_utf8(lab):
    """output that is no UTF-8 passes unchanged, and as JSON stays valid"""
    octal = "\\377\\376ok\\303\\050\\000\\355\\240\\200end"
    assert lab.run("printf", octal).raw == b"\xff\xfeok\xc3(\0\xed\xa0\x80end"
    run = lab.json("run", ENVIRONMENT, "--", "printf", octal)  # decodes strictly
    assert run["stdout"].startswith("\ufffd") and run["stdout"].endswith("end"), run
    assert run["stdout_bytes"] == 13, run


def watch_memory(lab, call):
    """The most memory in MiB that any of pyro's processes on the host has had."""
    peaks = {}
    while not call.is_over():
        for pid in [call.pid, *lab.pids("pyro-supervisor")]:
            status = status_of(pid)
            if "VmHWM" in status:
                peaks[pid] = int(status["VmHWM"].split()[0]) // 1024
        time.sleep(0.2)
    return max(peaks.values())


def flood(lab, *options):
    call = lab.start("run", ENVIRONMENT, "--timeout-seconds", "300", *options, "--",
                     "head -c 256M /dev/zero | tr '\\000' x; echo end", stdout=subprocess.PIPE)
    peak = watch_memory(lab, call)
    return call.end(300), peak


def test_flood(lab):
    """a command that prints 256 MiB costs a few MiB on the host, and the cut is stated"""
    done, peak = flood(lab, "--json")
    run = json.loads(done.out)
    assert done.code == 0 and run["stdout_bytes"] == 256 * MIB + 4, run["stdout_bytes"]
    assert run["stdout_truncated"] and len(run["stdout"]) <= 2 * MIB, len(run["stdout"])
    assert run["stdout"].startswith("xxx") and run["stdout"].endswith("xend\n")
    assert peak < 32, f"{peak} MiB"


test_flood.is_patient = True


def test_slow_reader(lab):
    """a reader that does not read stalls the command, and nothing piles up on the host"""
    out, into = os.pipe()
    call = lab.start("run", ENVIRONMENT, "--timeout-seconds", "300", "--",
                     "head -c 256M /dev/zero; echo over >&2", stdout=into)
    os.close(into)
    call.await_text("phase=execute")
    time.sleep(3)
    peak = max(int(status_of(pid)["VmRSS"].split()[0]) // 1024
               for pid in [call.pid, lab.supervisor()])
    assert not call.is_over() and b"over" not in call.err and peak < 32, f"{peak} MiB"
    total = 0
    while chunk := os.read(out, MIB):
        total += len(chunk)
    os.close(out)
    assert total == 256 * MIB and call.end().code == 0, total


def test_closed_pipe(lab):
    """a reader that goes away ends the run, quietly, and nothing is left"""
    out, into = os.pipe()
    call = lab.start("run", ENVIRONMENT, "--timeout-seconds", "60", "--", "yes", stdout=into)
    os.close(into)
    assert os.read(out, 4) == b"y\ny\n"
    os.close(out)
    done = call.end()
    assert done.code == 128 + signal.SIGPIPE and "pyro:" not in done.err, done


def test_input_pipe(lab):
    """what is piped in arrives whole, also when it is large"""
    data = os.urandom(MIB) * 32
    done = lab.run("sha256sum", data=data, options=("--timeout-seconds", "100"))
    assert done.out.split()[0] == hashlib.sha256(data).hexdigest(), done


def test_input_file(lab):
    """a file as standard input arrives whole"""
    path = f"{lab.dir}/input"
    with open(path, "wb") as file:
        file.write(b"line\n" * 100000)
    with open(path, "rb") as file:
        assert lab.run("wc -l", stdin=file).out.strip() == "100000"


def test_input_unread(lab):
    """input that the command does not read does not hold up the run"""
    done = lab.run("head -c 3", data=b"abc" + b"x" * (8 * MIB))
    assert done.out == "abc", done


def test_no_input(lab):
    """without a pipe or file the command's input is empty"""
    assert lab.run("cat; echo end").out == "end\n"


def test_sizes(lab):
    """the guest has the processors and the memory that were asked for"""
    for cpus, mib in ((2, 512), (1, 256)):
        done = lab.run("nproc; sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo",
                       options=("--vcpu-count", str(cpus), "--mem-mib", str(mib)))
        nproc, kib = map(int, done.out.split())
        assert nproc == cpus and mib * 0.75 < kib / 1024 <= mib, done


def test_smallest(lab):
    """the least memory that can be asked for is enough for git"""
    assert "git version" in lab.run("git --version", options=("--mem-mib", "128")).out


def test_bounds(lab):
    """numbers out of range are refused as wrong usage that names the option and the range"""
    for option, value in (("--mem-mib", "0"), ("--mem-mib", "99999999"), ("--vcpu-count", "999"),
                          ("--timeout-seconds", "-1"), ("--timeout-seconds", "0"),
                          ("--ttl-seconds", "0"), ("--mem-mib", "1e3"), ("--vcpu-count", "")):
        done = lab.call("run", ENVIRONMENT, option, value, "--", "true", code=2)
        assert option in done.err and "hint: " in done.err and not done.out, done
        assert not os.path.exists(lab.state), "a refused call made something"


def test_unknown_environment(lab):
    """an unknown environment names the nearest and all there are"""
    done = lab.call("run", "debian:21", "--", "true", code=125)
    assert "debian:21" in done.err and "debian:12" in done.err.split("hint:")[1], done
    assert "debian:12-build" in done.err, done
    error = lab.error("run", "no/such", "--", "true")
    assert error["code"] == "unknown_environment" and "debian:12-base" in error["hint"], error


def test_parallel(lab):
    """eight runs at once all succeed, each with its own output"""
    calls = [lab.start("run", ENVIRONMENT, "--timeout-seconds", "300", "--",
                       f"echo run {i}; read line; echo $line {i}", stdin=subprocess.PIPE)
             for i in range(8)]
    for i, call in enumerate(calls):
        call.await_text(f"run {i}\n")
    for i, call in enumerate(calls):
        call.send(b"end\n")
        done = call.end()
        assert done.code == 0 and done.out == f"run {i}\nend {i}\n", done


def test_no_network(lab):
    """a guest has no network device but its own loopback"""
    assert lab.run("ls /sys/class/net").out == "lo\n"


def test_demo(lab):
    """demo creates, starts, uses and deletes a VM and prints that as JSON"""
    done = lab.call("demo", code=0)
    demo = json.loads(done.out)
    assert {line.split()[0] for line in done.err.splitlines()} == {"[demo]"}, done
    assert "git version" in demo["executed"]["stdout"] and demo["deleted"]["deleted"], demo
