"""What outlives a call in a workspace: shells, services with their ports, and secrets; for a lane.

As long as the machine is the same one, an acknowledged shell answers, and an acknowledged service
runs and answers, on its published port, too. With the machine they end, and the records say so.
Records and what runs agree at the end of every round: the guest has as many terminals and listens on
as many ports as there are shells and services that run, and so does the host.
"""
import json
import os
import pty
import re
import socket
import subprocess
import threading
import time

import victims
from lab import ENVIRONMENT, eventually, read

MAX_SHELLS = MAX_SERVICES = 3
SETTLED_S = ANSWER_S = 30
UNDONE_S = 5
DETACH = b"\x1d"
PROBES = ("none", "file", "tcp", "http", "command")
NAMES = ("web", "db", "job")
NETWORK = "egress+published-ports"
SECRET = "TOKEN"

# Answers each line of each connection, and a request, with a token.
SERVER = r"""
use Socket; my ($port, $token) = @ARGV; $SIG{CHLD} = 'IGNORE';
socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
bind(S, sockaddr_in($port, INADDR_LOOPBACK)) or die $!; $| = 1;
print "$token $ENV{TOKEN}\n"; listen(S, 20); open F, '>', "/tmp/ready-$port"; close F;
while (1) {
    next unless accept(C, S);
    if (fork) { close C; next }
    close S; select C; $| = 1;
    while (<C>) {
        if (/^GET/) { print "HTTP/1.0 200 OK\r\n\r\n$token\n"; exit }
        print "$token $_";
    }
    exit
}
"""
# Terminals, and what is listened on, of the guest.
INVENTORY = "for one in /dev/pts/[0-9]*; do [ -e $one ] && echo terminal; done; " \
            "cat /proc/net/tcp /proc/net/tcp6"


class Shell:
    def __init__(self, shell_id, has_secret):
        self.id = self.name = shell_id
        self.has_secret = has_secret
        self.written = []  # numbers, acknowledged, that it was told to answer with


class Service:
    def __init__(self, name, port, token, has_port):
        self.name, self.port, self.token, self.has_port = name, port, token, has_port
        self.is_ready = False  # seen to be


def listeners(table):
    """Ports that are listened on, of the text of /proc/net/tcp."""
    return {int(port, 16) for port in re.findall(r"\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F:]+ 0A ",
                                                 table)}


def host_listeners(pid):
    """Ports that a process of the host listens on."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        links = []
    inodes = {link[8:-1] for link in links if link.startswith("socket:")}
    lines = read("/proc/net/tcp").splitlines()
    return listeners("\n".join(line for line in lines if set(line.split()[9:10]) & inodes))


class Connection:
    """To a published port, under way while something is killed."""

    def __init__(self, service, host_port):
        self.service = service
        self.socket = socket.create_connection(("127.0.0.1", host_port), ANSWER_S)
        assert self.is_answered(), f"{service.name} does not answer on port {host_port}"

    def is_answered(self):
        """False if it was closed; an answer that does not come is a fault."""
        try:
            self.socket.sendall(b"hello\n")
            heard = self.socket.makefile("rb").readline()
        except (ConnectionResetError, BrokenPipeError):
            return False
        assert heard in (b"", f"{self.service.token} hello\n".encode()), heard
        return bool(heard)

    def close(self):
        self.socket.close()


class Terminal:
    """A person's, with a call of pyro in it."""

    def __init__(self, lab, *words):
        self.fd, inside = pty.openpty()
        self.call = lab.start(*words, stdin=inside, stdout=inside)
        os.close(inside)
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass

    def type(self, data):
        try:
            os.write(self.fd, data)
        except OSError:
            pass


class Sessions:
    """The part of a lane that is about them."""

    def may_publish(self):
        """Whether workspaces can have network here."""
        done = self.lab.call("workspace", "create", ENVIRONMENT, "--network-policy", NETWORK,
                             "--json", seconds=ANSWER_S)
        if done.code:
            self.say(f"no network: {done.out}")
            return False
        self.call("delete", json.loads(done.out)["workspace_id"])
        return True

    # Choosing what to do

    def creation_options(self, dice, space):
        """Of a new workspace."""
        words = []
        if dice.random() < 0.5:
            space.secret = f"{self.new_name('hush')}-{dice.getrandbits(64):016x}"
            path = f"{self.lab.dir}/{self.new_name('tree')}/{SECRET}"
            os.mkdir(os.path.dirname(path))
            with open(path, "w", encoding="utf-8") as file:
                file.write(space.secret)
            words += ["--secret-file", f"{SECRET}={path}"]
            self.secrets.add(space.secret)
        if self.has_network and dice.random() < 0.5:
            space.has_network = True
            words += ["--network-policy", NETWORK]
        return words

    @staticmethod
    def impossible(space):
        """Operations on what there is none of, or enough."""
        out = set()
        if not space.shells:
            out |= {"shell read", "shell write", "shell signal", "shell close", "shell attach"}
        if len(space.shells) == MAX_SHELLS:
            out.add("shell open")
        if not space.services:
            out |= {"service stop", "service logs"}
        if len(space.services) == MAX_SERVICES:
            out.add("service start")
        return out

    def session_words(self, dice, name, space):
        """(what it is about, the words) of an operation on a shell or a service."""
        if name == "shell open":
            has_secret = bool(space.secret) and dice.random() < 0.5
            return Shell(None, has_secret), ["shell", "open", space.id] + \
                (["--secret-env", SECRET] if has_secret else [])
        if name == "service list":
            return None, ["service", "list", space.id]
        if name == "service start":
            return self.service_words(dice, space)
        about = dice.choice(sorted((space.shells if name.startswith("shell") else
                                    space.services).values(), key=lambda one: one.name))
        more = {"shell read": ["--plain", "--wait-for-idle-ms", "100"] * (dice.random() < 0.7),
                "shell write": ["--input", self.question(about)],
                "shell signal": ["--signal", dice.choice(("INT", "TERM"))]}
        return about, [*name.split(), space.id, about.name, *more.get(name, [])]

    def service_words(self, dice, space):
        self.port += 1
        name = dice.choice([one for one in NAMES if one not in space.services])
        service = Service(name, self.port, self.new_name("v"),
                          space.has_network and dice.random() < 0.7)
        probe = dice.choice(PROBES)
        ready = f"/tmp/ready-{service.port}"
        words = {"none": [], "file": ["--ready-file", ready],
                 "tcp": ["--ready-tcp", f"127.0.0.1:{service.port}"],
                 "http": ["--ready-http", f"http://127.0.0.1:{service.port}/"],
                 "command": ["--ready-command", f"test -e {ready}"]}[probe]
        if service.has_port:
            words += ["--publish", str(service.port)]
        if space.secret and dice.random() < 0.5:
            words += ["--secret-env", SECRET]
        return service, ["service", "start", space.id, name, "--ready-interval-ms", "50", *words,
                         "--", "perl", "-e", SERVER, str(service.port), service.token]

    # Questions to shells

    def question(self, shell):
        """A line, and from now on shell.asked is what it makes the shell print."""
        self.count += 1
        shell.asked = self.count
        return f'echo "answer $(({self.count} + 0)) $TOKEN."'

    @staticmethod
    def answer(shell, number):
        return f"\nanswer {number} {'[REDACTED]' if shell.has_secret else ''}.\r"

    def check_shell(self, space, shell):
        """It answers, now and to what it was asked before."""
        deadline = time.monotonic() + SETTLED_S
        while True:  # an interrupt may take a line with it that is typed at this moment
            self.call("shell", "write", space.id, shell.id, "--input", self.question(shell))
            text = self.call("shell", "read", space.id, shell.id, "--wait-for-idle-ms", "50",
                             "--max-chars", "1048576")["output"]
            missing = [number for number in [*shell.written, shell.asked]
                       if self.answer(shell, number) not in text]
            if not missing:
                return
            assert time.monotonic() < deadline, f"{shell.id} does not answer {missing}: {text}"

    # Calls

    def attach(self, operation):
        terminal = Terminal(self.lab, "workspace", *operation.words)
        terminal.type(f"{self.question(operation.about)}\n".encode())
        return terminal

    @staticmethod
    def detached(done):
        """What an attach came to, as of any call."""
        if done.code == 0:
            return {"detached": True}, None
        assert done.code == 125 and done.err.count("pyro: ") == 1, done
        return None, {"code": "of attach", "message": done.err}

    @staticmethod
    def note_session(space, operation, result):
        """It was acknowledged."""
        name, about = operation.name, operation.about
        if name == "shell open":
            about.id = about.name = result["shell_id"]
            space.shells[about.id] = about
        elif name == "shell write":
            about.written.append(about.asked)
        elif name == "shell close":
            space.shells.pop(about.id)
        elif name == "service start":
            assert bool(result["published_ports"]) == about.has_port, result
            if result["state"] == "running":
                space.services[about.name] = about
            else:  # its machine ended a moment later
                assert operation.hits and result["stop_reason"], result
                space.ended[about.name] = about
        elif name == "service stop":
            assert result["state"] != "running", result
            space.ended[about.name] = space.services.pop(about.name)

    @staticmethod
    def end_sessions(space, is_reset):
        """Its machine has ended."""
        space.shells = {}
        space.ended = {} if is_reset else {**space.ended, **space.services}
        space.services = {}

    # What must be so

    def inventory(self, space):
        """(shells, services, what is wrong with them): of the records, and of what is there."""
        shells = {one["shell_id"]: one for one in self.call("shell", "list", space.id)["shells"]}
        services = {one["service_name"]: one for one in
                    self.call("service", "list", space.id)["services"]}
        there = self.call("exec", space.id, "--", INVENTORY)["stdout"]
        shells_run = sum(one["state"] == "running" for one in shells.values())
        run = [one for one in services.values() if one["state"] == "running"]
        ports = {int(one["command"][-2]) for one in run}
        published = {port["host_port"] for one in run for port in one["published_ports"]}
        supervisor = victims.supervisors(victims.table(), f"{self.lab.state}/pyro")[space.id]
        pairs = {"terminals": (shells_run, there.count("terminal\n")),
                 "guest's ports": (ports, listeners(there)),
                 "host's ports": (published, host_listeners(supervisor))}
        wrong = {what: pair for what, pair in pairs.items() if pair[0] != pair[1]}
        return shells, services, wrong

    def settled_inventory(self, space):
        deadline = time.monotonic() + SETTLED_S
        while True:
            shells, services, wrong = self.inventory(space)
            if not wrong:
                return shells, services
            assert time.monotonic() < deadline, f"said, and found: {wrong}"
            time.sleep(0.02)

    def check_ended(self, space, services):
        for name, one in services.items():
            if one["state"] != "running":
                assert one["ended_at"] and one["pid"] is None, one
                assert one["state"] == "exited" or one["stop_reason"], f"why? {one}"
                old = space.ended.get(name)
                if old and one["command"][-1] == old.token and old.is_ready:
                    self.check_logs(space, old)

    def check_logs(self, space, service):
        def is_logged():
            logs = self.call("service", "logs", space.id, service.name)
            return service.token in logs["stdout"]
        eventually(is_logged, SETTLED_S, f"{service.name} has {service.token} in its logs")

    def check_service(self, space, service, record):
        assert record["command"][-1] == service.token, f"{service.token}, not {record}"
        for port in record["published_ports"]:
            Connection(service, port["host_port"]).close()
        service.is_ready = True  # it listens, so it has said its token
        self.check_logs(space, service)

    def check_sessions(self, space, operation, is_same, may_be_reset):
        """may_be_reset: the machine is another one, and nothing says that it was not reset."""
        if not is_same:
            self.end_sessions(space, False)
        shells, services = self.settled_inventory(space)
        if operation.name == "shell open" and not operation.is_done and set(shells) - set(
                space.shells):
            time.sleep(UNDONE_S)  # an open that nobody heard of is undone, and until then listed
            shells, services = self.settled_inventory(space)
        about = {operation.about.name: operation.about} if operation.about else {}
        perhaps = {} if operation.is_done else about  # opened, started, closed or stopped
        run = {name: one for name, one in services.items() if one["state"] == "running"}
        if operation.name == "shell open" and not operation.is_done:
            for shell_id in list(set(shells) - set(space.shells))[:1]:
                operation.about.id = operation.about.name = shell_id
                space.shells[shell_id] = operation.about
        if operation.name == "service start" and perhaps and is_same and set(perhaps) & set(run):
            space.services |= perhaps
        missing = (set(space.shells) - set(shells)) | (set(space.services) - set(run))
        extra = (set(shells) - set(space.shells)) | (set(run) - set(space.services))
        assert not extra, f"of an ended machine, or nobody's: {extra}"
        assert not missing - set(perhaps), f"acknowledged and gone: {missing} of {shells}, {services}"
        for gone in missing:
            space.shells.pop(gone, None)
            if gone in space.services:
                space.ended[gone] = space.services.pop(gone)
        lost = set(space.ended) - set(services) - set(perhaps)
        assert not lost or (may_be_reset and not services), f"not listed any more: {lost}"
        if lost:
            space.ended = {}
        assert operation.name != "reset" or not operation.is_done or not services, services
        self.check_ended(space, services)
        for name in sorted(space.services):
            self.check_service(space, space.services[name], run[name])
        for shell in space.shells.values():
            self.check_shell(space, shell)

    def connection(self, dice, space):
        """To one of its published ports, or None."""
        services = [one for _, one in sorted(space.services.items()) if one.has_port]
        if not services or dice.random() < 0.3:
            return None
        service = dice.choice(services)
        record = self.call("service", "status", space.id, service.name)
        return Connection(service, record["published_ports"][0]["host_port"])

    @staticmethod
    def check_connection(space, connection):
        """It goes on with its service, and ends with it."""
        if connection:
            goes_on = space.services.get(connection.service.name) is connection.service
            assert connection.is_answered() == goes_on, \
                f"a connection {'broke' if goes_on else 'goes on'}: {connection.service.token}"
            connection.close()

    def check_secrets(self, space):
        """No value is in any file of the host but one, nor in what processes show."""
        if not space.secret:
            return
        found = subprocess.run(["grep", "-rlaF", space.secret, self.lab.state],
                               capture_output=True, text=True, check=False).stdout.split()
        assert found == [f"{self.lab.state}/pyro/vms/{space.id}/secrets"], f"a secret is in {found}"
        for pid in self.lab.processes():
            for name in ("cmdline", "environ"):
                assert space.secret not in read(f"/proc/{pid}/{name}"), f"a secret of {pid}"
