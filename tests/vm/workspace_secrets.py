"""Secrets: they reach the commands that ask for them and nothing that is seen or kept."""
import os
import re
import resource
import shutil
import signal
import threading

from host import ordinary_user
from lab import Skip, eventually, kill, read

TOKEN = "tok-4f6d1c0e9b7a5d3f"
KEY = "-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
VALUES = (TOKEN, "MIIBVgIBADANBgkq", "hkiG9w0BAQEFAASC")
MARK = "[REDACTED]"
CORE = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def key_file(lab):
    path = f"{lab.dir}/key"
    with open(path, "w", encoding="utf-8") as file:
        file.write(KEY)
    return path


def with_secrets(lab, *options):
    return lab.workspace("--secret", f"TOKEN={TOKEN}", "--secret-file", f"KEY={key_file(lab)}",
                         *options)


def found_in(data):
    return [value for value in VALUES if value.encode() in data]


def found_in_file(path):
    """Values in a file's data, without reading its holes."""
    found, tail, offset = set(), b"", 0
    with open(path, "rb", buffering=0) as file:
        while True:
            try:
                offset = os.lseek(file.fileno(), offset, os.SEEK_DATA)
            except OSError:  # only a hole is left
                return found
            chunk = file.read(1 << 20)
            found |= set(found_in(tail + chunk))
            tail, offset = chunk[-100:], offset + len(chunk)


def check_files(lab, ws):
    """No file of the lab has a value, but the one that is to have them."""
    for directory, _, names in os.walk(lab.dir):
        for name in names:
            path = f"{directory}/{name}"
            if os.path.isfile(path) and path not in (f"{ws.dir()}/secrets", f"{lab.dir}/key"):
                assert not found_in_file(path), path


def check_processes():
    """No process of the host shows a value."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for file in ("cmdline", "environ"):
            assert not found_in(read(f"/proc/{pid}/{file}").encode()), (pid, file)


def test_files(lab):
    """a secret is a file of root's in the guest's memory, byte for byte, and the record names it"""
    ws = with_secrets(lab)
    assert ws.record["secrets"] == [{"name": "KEY", "source_kind": "file"},
                                    {"name": "TOKEN", "source_kind": "literal"}], ws.record
    assert ws("status")["secrets"] == ws.record["secrets"]
    assert ws.sh("stat -c '%n %a %U' /run/pyro-secrets /run/pyro-secrets/*; "
                 "stat -f -c %T /run/pyro-secrets/KEY") == \
        "/run/pyro-secrets 700 root\n/run/pyro-secrets/KEY 400 root\n" \
        "/run/pyro-secrets/TOKEN 400 root\ntmpfs\n"
    digests = ws.sh("sha256sum < /run/pyro-secrets/TOKEN; sha256sum < /run/pyro-secrets/KEY")
    assert digests == ws.sh(f"printf %s {TOKEN} | sha256sum; printf %s '{KEY}' | sha256sum"), digests
    ws.exec("setpriv --reuid 1000 --clear-groups cat /run/pyro-secrets/TOKEN", code=1)
    ws.delete()


def test_environment(lab):
    """a command gets a secret in its environment when it asks for it, and only then"""
    ws = with_secrets(lab)
    show = 'printf %s "$TOKEN" | wc -c; printf %s "$K" | sha256sum'
    assert ws("exec", "--secret-env", "TOKEN", "--secret-env", "KEY=K", "--", show)["stdout"] == \
        f"{len(TOKEN)}\n" + ws.sh("sha256sum < /run/pyro-secrets/KEY")
    assert ws.sh('echo "$TOKEN$K"') == "\n"
    error = ws.error("exec", "--secret-env", "OTHER", "--", "true", about="no secret 'OTHER'")
    assert "TOKEN" in error["hint"] and "KEY" in error["hint"], error
    ws.error("exec", "--secret-env", "TOKEN=1-X", "--", "true", about="'1-X'")
    plain = lab.workspace()
    plain.error("exec", "--secret-env", "TOKEN", "--", "true", about="no secret 'TOKEN'")
    plain.delete()
    ws.delete()


def test_output(lab):
    """output that contains a value shows the mark, in whatever pieces it was printed"""
    ws = with_secrets(lab)
    done = ws.exec("cat /run/pyro-secrets/KEY; cat /run/pyro-secrets/TOKEN >&2")
    assert (done["stdout"], done["stderr"]) == (MARK, MARK), done
    assert ws.sh(f"for c in $(echo {TOKEN} | sed 's/./& /g'); do printf %s $c; sleep 0.02; done; "
                 f"printf ' {TOKEN[:-1]} {TOKEN[:9]}'; printf '{TOKEN[9:]}.'") == \
        f"{MARK} {TOKEN[:-1]} {MARK}."
    assert ws.sh(f"yes {TOKEN} | head -n 20000") == f"{MARK}\n" * 20000
    assert ws.sh("sed 's/$/\\r/' /run/pyro-secrets/KEY") == MARK  # as a terminal prints it
    # What a command makes of a value is its own business.
    assert ws.sh("base64 < /run/pyro-secrets/TOKEN").strip() not in ("", MARK)
    human = lab.call("workspace", "exec", ws.id, "--", f"echo {TOKEN}; exit 3", code=3)
    assert human.out == f"{MARK}\n" and not found_in(human.err.encode()), human
    ws.delete()


def test_flow(lab):
    """a flood that is redacted is complete, and so is what looked like the beginning of a value"""
    ws = with_secrets(lab)
    done = ws.exec(f"yes 'x{TOKEN[:8]}' | head -c 30000000; echo {TOKEN}")
    assert done["stdout_bytes"] == 30000000 + len(MARK) + 1, done["stdout_bytes"]
    assert done["stdout"].endswith(f"{MARK}\n")
    ws.exec(f"printf {TOKEN[:12]}; kill -9 $$", code=137)
    assert ws("logs")["entries"][-1]["stdout"] == TOKEN[:12], "what was held is not lost"
    ws.delete()


def test_results(lab):
    """files that are read, diffs, histories and errors show the mark"""
    ws = with_secrets(lab)
    ws.exec(f"cd /workspace; cp /run/pyro-secrets/KEY key; echo token={TOKEN} > conf; "
            f"printf '\\0{TOKEN}\\0' > bin; ln -s {TOKEN} link; touch name-{TOKEN}")
    assert ws("file read", "key")["content"] == MARK
    assert ws("file read", "conf")["content"] == f"token={MARK}\n"
    content = lab.call("workspace", "file", "read", ws.id, "conf", "--content-only", code=0).out
    assert content == f"token={MARK}\n", content
    diff = ws("diff")
    assert f"+token={MARK}\n" in diff["patch"] and f"+++ b/key\n@@ -0,0 +1 @@\n+{MARK}\n" in \
        diff["patch"], diff["patch"]
    assert diff["summary"]["added"] == 5, diff
    error = ws.error("file read", f"missing-{TOKEN}")
    assert not found_in(str(error).encode()), error
    ws("file write", f"written-{TOKEN}", "--text", "x")
    for command in ("diff", "logs", "summary", "status", "snapshot list"):
        text = lab.call("workspace", *command.split(), ws.id, "--json", code=0).raw
        assert not found_in(text), (command, text)
        text = lab.call("workspace", *command.split(), ws.id, code=0)
        assert not found_in(text.raw + text.err.encode()), (command, text)
    ws("stop")
    assert ws("disk read", "/workspace/conf")["content"] == f"token={MARK}\n"
    ws.delete()


def check_pages(lab, ws, command):
    """Of the file that test_pages makes, with every edge that a page can have."""
    text = f"é{TOKEN} {KEY}€"
    for offset in range(len(text.encode())):
        for size in (7, 40):
            words = (command, "conf", "--offset", str(offset), "--max-bytes", str(size))
            page = ws(*words)
            shown = page["content"].replace(MARK, "").replace("\ufffd", "")
            assert set(shown) <= set("é €\n"), (offset, size, page)
    words = (command, "conf", "--offset", "9", "--max-bytes", "3", "--content-only")
    assert lab.call(*ws.words(*words), code=0).out == MARK
    content, offset = "", 0
    while offset is not None:
        page = ws(command, "conf", "--offset", str(offset), "--max-bytes", "90")
        content, offset = content + page["content"], page["next_offset"]
    assert content == f"é{MARK} {MARK}€", content


def test_pages(lab):
    """pages of a file never show a part of a value, whichever edge it lies across"""
    ws = with_secrets(lab)
    ws.exec("cd /workspace; (printf é; printf %s $(cat /run/pyro-secrets/TOKEN); printf ' '; "
            "cat /run/pyro-secrets/KEY; printf €) > conf")
    check_pages(lab, ws, "file read")
    ws("stop")
    page = ws("disk read", "conf", "--offset", "9", "--max-bytes", "3")
    assert (page["content"], page["next_offset"]) == (MARK, 12), page
    ws.delete()


def test_nowhere(lab):
    """a value is in no command line, environment, record, log or disk of the host"""
    ws = with_secrets(lab)
    use = 'grep -c "$TOKEN" /run/pyro-secrets/TOKEN; cat /run/pyro-secrets/KEY >&2; echo "$TOKEN"'
    for _ in range(2):
        ws("exec", "--secret-env", "TOKEN", "--", use)
        ws.exec(f"echo {TOKEN} >/dev/null")
        ws("snapshot create", "one")
        check_processes()
        check_files(lab, ws)
        ws("reset")
        ws("snapshot delete", "one")
    ws("exec", "--secret-env", "TOKEN", "--", use)
    ws("export", "/workspace", "--output", f"{lab.dir}/tree")
    ws("stop")
    ws("disk export", "--output", f"{lab.dir}/disk.raw")
    assert os.stat(f"{lab.dir}/disk.raw").st_size > 1 << 20
    check_files(lab, ws)
    assert os.stat(f"{ws.dir()}/secrets").st_mode & 0o7777 == 0o600
    ws.delete()
    check_files(lab, ws)
    assert not os.path.exists(ws.dir())


def test_persistence(lab):
    """a reset and a start give the secrets back, also when their file is gone"""
    ws = with_secrets(lab)
    before = ws.sh("cat /run/pyro-secrets/* | sha256sum")
    os.remove(f"{lab.dir}/key")
    ws.exec("rm -r /run/pyro-secrets; ln -s /etc /run/pyro-secrets")
    ws("reset")
    assert ws.sh("cat /run/pyro-secrets/* | sha256sum") == before
    ws("stop")
    ws("start")
    assert ws.sh("cat /run/pyro-secrets/* | sha256sum") == before
    kill(lab.qemu())
    eventually(lambda: ws.state() == "failed", 120, "it is noticed")
    ws("reset")
    assert ws.sh("cat /run/pyro-secrets/* | sha256sum") == before
    assert ws.sh("cat /run/pyro-secrets/TOKEN") == MARK
    ws.delete()


def test_refusals(lab):
    """a secret that is no good one is refused before anything is made, and no message has its value"""
    def refused(about, *options):
        error = lab.error("workspace", "create", "debian:12", *options)
        assert about in error["message"] and "hush" not in str(error), error
        assert not lab.vm_dirs() and not lab.records()

    def file_of(data):
        with open(f"{lab.dir}/value", "wb") as file:
            file.write(data)
        return f"{lab.dir}/value"

    refused("'A-B'", "--secret", "A-B=hush")
    refused("given twice", "--secret", "A=hush", "--secret-file", f"A={file_of(b'hush')}")
    refused("NAME=VALUE", "--secret", "hush")
    refused("empty", "--secret", "A=")
    refused("UTF-8", "--secret-file", f"A={file_of(b'hush' + bytes([255]))}")
    refused("UTF-8", "--secret-file", f"A={file_of(b'hush' + bytes([0]))}")
    refused("65536", "--secret-file", f"A={file_of(b'hush' * 20000)}")
    refused("no regular file", "--secret-file", f"A={lab.dir}")
    refused("missing", "--secret-file", f"A={lab.dir}/missing")
    refused("more than 64", *(word for i in range(65) for word in ("--secret", f"A{i}=hush")))


def test_no_fallback(lab):
    """without a guest a workspace with secrets is refused, not run on the host"""
    error = lab.error("workspace", "create", "debian:12", "--allow-host-compat", "--secret",
                      "A=hush", env={"PATH": "/nonexistent"})
    assert "secrets" in error["message"] and error["hint"] and "hush" not in str(error), error
    lab.check_clean()


def test_command_line(lab):
    """the system does not show a value given on the command line while pyro runs"""
    os.mkdir(f"{lab.dir}/seed")
    for i in range(20000):
        with open(f"{lab.dir}/seed/{i}", "w", encoding="utf-8"):
            pass
    call = lab.start("workspace", "create", "debian:12", "--seed-path", f"{lab.dir}/seed",
                     "--secret", f"A={TOKEN}", f"--secret=B={TOKEN}")
    call.await_text("phase=start")
    shown = read(f"/proc/{call.pid}/cmdline")
    assert not call.is_over() and "--secret\0A=***" in shown and "--secret=B=***" in shown, shown
    check_processes()
    call.signal(signal.SIGINT)
    call.end()


def dumps_core(lab):
    """Whether a process that is killed here leaves a core file at all."""
    os.mkdir(f"{lab.dir}/cores")
    pid = os.fork()
    if pid == 0:
        os.chdir(f"{lab.dir}/cores")
        resource.setrlimit(resource.RLIMIT_CORE, CORE)
        os.kill(os.getpid(), signal.SIGSEGV)
        os._exit(0)
    has_core = os.WCOREDUMP(os.waitpid(pid, 0)[1])
    shutil.rmtree(f"{lab.dir}/cores")
    return has_core


def test_no_core(lab):
    """what holds values leaves no core: neither pyro nor the supervisor nor QEMU"""
    if not dumps_core(lab):
        raise Skip("this machine keeps no cores of any process")
    allowed = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_CORE, CORE),
               "cwd": lab.dir}
    call = lab.start("workspace", "create", "debian:12", "--name", "a", "--secret", f"A={TOKEN}",
                     **allowed)
    call.await_text("phase=start")
    os.kill(call.pid, signal.SIGSEGV)
    _, status = os.waitpid(call.pid, 0)
    assert os.WTERMSIG(status) == signal.SIGSEGV and not os.WCOREDUMP(status), status
    eventually(lambda: not lab.processes(), 120, "its supervisor is gone, if there was one already")
    lab.json("vm", "reap-expired")
    lab.check_clean()
    ws = with_secrets(lab)
    for pid in (lab.supervisor(), lab.qemu()):
        assert re.search(r"Max core file size\s+0\s+0 ", read(f"/proc/{pid}/limits")), pid
    before = set(os.listdir("/")) | set(os.listdir(lab.dir))
    os.kill(lab.supervisor(), signal.SIGSEGV)
    lab.check_no_processes()
    after = set(os.listdir("/")) | set(os.listdir(lab.dir))
    assert after == before, after ^ before
    check_files(lab, ws)
    ws.delete()


def test_ordinary_user(lab):
    """an ordinary user's secrets work in the same way"""
    ordinary_user(lab)
    ws = with_secrets(lab)
    assert ws.sh("cat /run/pyro-secrets/TOKEN; id -u") == f"{MARK}0\n"
    ws("reset")
    assert ws.sh("cat /run/pyro-secrets/TOKEN") == MARK
    ws.delete()


def test_many_at_once(lab):
    """every exec that begins right after a reset finds the secrets in place"""
    ws = with_secrets(lab)
    bad = []

    def ask():
        for _ in range(40):
            done = lab.call("workspace", "exec", ws.id, "--", "cat /run/pyro-secrets/TOKEN")
            if done.code == 0 and done.out != MARK or done.code == 1:
                bad.append(done)

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(4):
        ws("reset")
    thread.join()
    assert not bad, bad[0]
    ws.delete()


def test_shell(lab):
    """a shell shows no value, neither of a command's output nor of what is typed, and its prompt"""
    ws = lab.workspace("--secret", f"TOKEN=#{TOKEN}")
    shell = ws("shell open", "--secret-env", "TOKEN")["shell_id"]
    ws("shell write", shell, "--input", f'echo "$TOKEN"; echo "#{TOKEN}"; echo $((40+2))')
    screen = eventually(lambda: (text := ws("shell read", shell)["output"]).count("#") > 1 and
                        "42\r\n" in text and text.endswith("# ") and text, 120, "the prompt")
    assert screen.count(MARK) >= 3 and not found_in(screen.encode()), screen
    ws.delete()
