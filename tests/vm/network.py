"""What is promised of guests with a network. The host and its world are network namespaces: pyro
runs in one that has a wire to another one, where the servers are."""
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from host import ordinary_user
from lab import ENVIRONMENT, IS_ROOT, Skip, eventually, kill, read

HERE = os.path.dirname(os.path.abspath(__file__))
HOST4, HOST6 = "198.51.100.2", "2001:db8:1::2"
DOCKER4 = "172.17.0.1"
WORLD4, WORLD6 = "203.0.113.80", "2001:db8:2::80"  # behind the gateway
GATEWAY4, GATEWAY6 = "198.51.100.1", "2001:db8:1::1"
MANY4 = "203.0.113.1"
LINK_RESOLVER = "192.0.0.3"


def run(*argv, **more):
    subprocess.run(argv, check=True, **more)


class Namespace:
    """A network namespace and the servers in it."""

    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.keeper.stdout.readline()
        self.pid, self.servers, self.lines = self.keeper.pid, [], []
        self.ip("link", "set", "lo", "up")

    def ip(self, *words):
        run("nsenter", "-t", str(self.pid), "-n", "ip", *words)

    def address(self, address, device):
        self.ip("addr", "add", address, "dev", device, *(["nodad"] if ":" in address else []))

    def serve(self, *words):
        server = subprocess.Popen(["nsenter", "-t", str(self.pid), "-n", "python3",
                                   f"{HERE}/world.py", *words], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.servers.append(server)
        assert server.stdout.readline() == "ready\n", words
        threading.Thread(target=lambda: self.lines.extend(server.stdout), daemon=True).start()

    def members(self):
        """Processes in it that are neither its keeper nor its servers: {pid: name}."""
        mine = {self.pid, *(server.pid for server in self.servers)}
        inode, found = os.readlink(f"/proc/{self.pid}/ns/net"), {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/net") == inode and int(pid) not in mine:
                    found[int(pid)] = read(f"/proc/{pid}/comm").strip()
            except OSError:
                pass
        return found

    def close(self):
        for process in [*self.servers, self.keeper]:
            process.kill()
            process.wait()


class World:
    """Two namespaces with a wire; the lab's pyro runs in `host`."""

    def __init__(self, lab, resolver=GATEWAY4):
        if not IS_ROOT or not shutil.which("ip"):
            raise Skip("network namespaces need root and iproute2")
        self.lab, self.pyro, self.host, self.world = lab, lab.pyro, Namespace(), Namespace()
        host, world = self.host, self.world
        world.ip("link", "add", "wire", "type", "veth", "peer", "name", "eth0", "netns",
                 str(host.pid))
        host.ip("link", "add", "docker0", "type", "veth", "peer", "name", "docker1")
        for namespace, device in ((world, "wire"), (host, "eth0"), (host, "docker0"),
                                  (host, "docker1")):
            namespace.ip("link", "set", device, "up")
        for address, device in ((f"{HOST4}/24", "eth0"), (f"{HOST6}/64", "eth0"),
                                (f"{DOCKER4}/16", "docker0"), ("fd00:d0c::1/64", "docker0")):
            host.address(address, device)
        for address, device in ((f"{GATEWAY4}/24", "wire"), (f"{GATEWAY6}/64", "wire"),
                                (f"{WORLD4}/32", "lo"), (f"{WORLD6}/128", "lo"),
                                ("169.254.169.254/32", "lo")):
            world.address(address, device)
        host.ip("route", "add", "default", "via", GATEWAY4)
        host.ip("-6", "route", "add", "default", "via", GATEWAY6)
        self.resolve_by(resolver)

    def resolve_by(self, *resolvers):
        """From here on these are the host's resolvers."""
        path = f"{self.lab.dir}/resolv.conf"
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"nameserver {resolver}\n" for resolver in resolvers)
        script = f'mount --bind {path} /etc/resolv.conf && exec "$@"'
        self.lab.pyro = ["nsenter", "-t", str(self.host.pid), "-n", "unshare", "--mount", "sh",
                         "-c", script, "sh", *self.pyro]

    def serve_world(self):
        self.world.serve("http", "::", "80", "--", "udp", WORLD4, "7", "--", "udp", WORLD6, "7777", "--",
                         "dns", "0.0.0.0", WORLD4, WORLD6, "--", "hear", "forged")

    def passt(self):
        return [pid for pid, name in self.host.members().items() if name.startswith("passt")]

    def pyro_net(self):
        return [pid for pid, name in self.host.members().items() if name == "pyro-net"]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                eventually(lambda: not self.host.members(), 120,
                           f"nothing left in the host's network: {self.host.members()}")
        finally:
            for pid in self.host.members():
                kill(pid)
            self.host.close()
            self.world.close()


def attempts(targets):
    """A script that connects to each [HOST, PORT]; prints a line each with its error, which must
    come by itself."""
    return "".join(f"why=$(timeout 20 bash -c ': 3<>/dev/tcp/{host}/{port}' 2>&1); "
                   f"echo \"{host} {port} ${{why##*: }}\"\n" for host, port in targets)


def results(text):
    return {(host, int(port)): why for host, port, why in
            re.findall(r"^(\S+) (\d+) (.*)$", text, re.M)}


def network(lab, *command, **more):
    return lab.run(*command, options=("--network", "--timeout-seconds", "100"), **more)


def test_reaches(lab):
    """a guest with a network reaches TCP and UDP servers by IPv4 and IPv6, and names"""
    with World(lab) as world:
        world.serve_world()
        done = network(lab, "cat /etc/resolv.conf; getent ahostsv4 somewhere.test; "
                       "getent ahostsv6 somewhere.test; curl -sS http://somewhere.test/5 | wc -c; "
                       f"curl -sS6 'http://[{WORLD6}]/6' | wc -c; bash -c '"
                       f"exec 3<>/dev/udp/{WORLD4}/7; echo ping4 >&3; head -n 1 <&3; "
                       f"exec 3<>/dev/udp/{WORLD6}/7777; echo ping6 >&3; head -n 1 <&3'")
        for text in (f"nameserver {LINK_RESOLVER}\n", WORLD4, WORLD6, "\n5\n", "\n6\n", "ping4\n",
                     "ping6\n"):
            assert text in done.out, (text, done)
        eventually(lambda: {line.split()[1] for line in world.world.lines} == {HOST4, HOST6}, 120,
                   "their servers saw nobody but the host")


def test_refused(lab):
    """where nobody listens, connections and datagrams are refused at once"""
    with World(lab) as world:
        world.serve_world()
        done = network(lab, attempts([(WORLD4, 81), (WORLD6, 81), (LINK_RESOLVER, 53)]) +
                       f"bash -c 'exec 3<>/dev/udp/{WORLD4}/81; echo x >&3; timeout 60 head -n 1 <&3'"
                       " 2>&1; true")
        found = results(done.out)
        for target in ((WORLD4, 81), (WORLD6, 81)):
            assert found[target] == "Connection refused", done
        assert "standard input': Connection refused" in done.out, done


def test_resolver_on_loopback(lab):
    """a resolver on the host's loopback answers, by UDP and TCP, and nothing else there does"""
    with World(lab) as world:
        world.resolve_by("127.0.0.53", "::1")
        world.host.serve("dns", "127.0.0.53", MANY4, WORLD6, "--", "dns", "::1", MANY4, WORLD6,
                         "--", "http", "127.0.0.1", "80", "--", "http", "127.0.0.53", "80")
        done = network(lab, "cat /etc/resolv.conf; getent ahostsv4 one.test | wc -l; "
                       "getent ahostsv4 many.test | grep -c STREAM\n"
                       "echo nameserver fd70:7972:6f00::4 > /etc/resolv.conf\n"
                       "getent ahostsv6 six.test | grep -c STREAM\n" +
                       attempts([(LINK_RESOLVER, 80), ("127.0.0.53", 80), ("192.0.0.5", 53)]))
        assert "nameserver fd70:7972:6f00::4" in done.out, done
        assert "\n3\n200\n1\n" in done.out, done
        for (host, _), why in results(done.out).items():
            assert why in ("No route to host", "Connection refused"), (host, done)
        eventually(lambda: "dns-tcp" in str(world.host.lines), 120, "it was asked by TCP")
        assert "http" not in str(world.host.lines), world.host.lines


def test_bulk(lab):
    """downloads and uploads of 64 MB arrive whole, in both directions at once"""
    with World(lab) as world:
        world.serve_world()
        size = 64 << 20
        done = network(
            lab, f"head -c {size} /dev/zero > /tmp/up; curl -sS -T /tmp/up http://{WORLD4}/up & "
            f"curl -sS http://{WORLD4}/{size} | sha256sum; wait")
        block = bytes(range(256)) * 256
        assert hashlib.sha256(block * (size // len(block))).hexdigest() in done.out, done
        assert hashlib.sha256(bytes(size)).hexdigest() in done.out, done


FORBIDDEN = [("192.0.0.1", 80), (HOST4, 80), (DOCKER4, 80), ("169.254.169.254", 80),
             ("169.254.1.1", 80), ("198.51.100.255", 80), ("100.100.100.200", 80),
             ("0.0.0.1", 80), ("240.0.0.1", 80), (HOST6, 80), ("fd00:d0c::1", 80),
             ("fd00:ec2::254", 80), ("64:ff9b::7f00:1", 80), ("64:ff9b::c633:6402", 80),
             ("2002:7f00:1::1", 80)]


def test_forbidden(lab):
    """the host, its loopback, link-local and metadata are refused at once, with an error"""
    with World(lab) as world:
        world.serve_world()
        world.host.serve("http", "::", "80", "--", "udp", "0.0.0.0", "7")
        done = network(lab, attempts(FORBIDDEN) +
                       f"bash -c 'exec 3<>/dev/udp/{HOST4}/7; echo x >&3; timeout 60 head -n 1 <&3'"
                       " 2>&1; curl -sS -m 60 http://127.0.0.1/1 2>&1", seconds=120, code=7)
        found = results(done.out)
        assert set(found) == set(FORBIDDEN), done
        for target, why in found.items():
            assert why == ("Permission denied" if ":" in target[0] else "No route to host"), \
                (target, why, done)
        assert "No route to host" in done.out and "connect to server" in done.out, done
        assert not world.host.lines, world.host.lines
        # An address that comes later is the host's too; one that nobody has is not.
        world.host.address("10.9.9.9/32", "lo")
        done = network(lab, attempts([("10.9.9.9", 80)]))
        assert results(done.out)[("10.9.9.9", 80)] == "No route to host", done


def test_address_comes(lab):
    """not one connection gets through to an address that becomes the host's meanwhile"""
    with World(lab) as world:
        world.host.serve("http", "::", "80")
        call = lab.start("run", "--network", ENVIRONMENT, "--timeout-seconds", "300", "--", "bash", "-c",
                         "echo begun; for i in {1..400}; do "
                         "(exec 3<>/dev/tcp/10.9.9.9/80 && echo through) 2>/dev/null; done; true")
        call.await_text("begun")
        time.sleep(0.5)
        world.host.address("10.9.9.9/32", "lo")
        done = call.end(300)
        assert done.code == 0 and "through" not in done.out, done


def test_no_route(lab):
    """where the host has no route, connecting fails at once"""
    with World(lab) as world:
        world.host.ip("-6", "route", "del", "default")
        world.host.ip("route", "del", "default")
        done = network(lab, attempts([(WORLD4, 80), (WORLD6, 80)]))
        assert set(results(done.out).values()) == {"Network is unreachable"}, done


FORGE = r"""
use Socket;
socket(my $raw, 17, 3, 0) or die "socket: $!";
my ($index) = `cat /sys/class/net/eth0/ifindex` =~ /(\d+)/;
my $to = pack("S n i S C C a8", 17, 0x0800, $index, 1, 0, 6, "");
my ($me, $gw) = (pack("H*", "525400707902"), pack("H*", "525400707901"));
sub ip4 { my ($src, $dst, $body) = @_;
  return pack("C C n n n C C n a4 a4", 0x45, 0, 28 + length $body, 0, 0, 64, 17, 0,
    inet_aton($src), inet_aton($dst)) . pack("n n n n", 999, 7, 8 + length $body, 0) . $body; }
sub ip6 { my ($src, $dst, $body) = @_;
  return pack("N n C C", 0x60000000, 8 + length $body, 17, 64) . Socket::inet_pton(10, $src) .
    Socket::inet_pton(10, $dst) . pack("n n n n", 999, 7777, 8 + length $body, 0) . $body; }
for my $frame ($gw . $me . pack("n", 0x800) . ip4("198.51.100.9", "203.0.113.80", "forged"),
    $gw . pack("H*", "020000000001") . pack("n", 0x800) . ip4("192.0.0.2", "203.0.113.80", "forged"),
    $gw . $me . pack("n", 0x86dd) . ip6("2001:db8:1::9", "2001:db8:2::80", "forged"),
    "\xff" x 6 . $me . pack("n", 0x800) . ip4("192.0.0.2", "255.255.255.255", "forged"),
    "\xff" x 6 . $me . pack("n", 0x800) . ip4("192.0.0.2", "224.0.0.251", "forged"),
    $gw . $me . pack("n", 0x800) . substr(ip4("192.0.0.2", "203.0.113.80", "forged"), 0, 25),
    $gw . $me . pack("n", 0x8100) . "forged" x 20, $gw . $me . pack("n", 0x806) . "forged" x 5) {
  send($raw, $frame, 0, $to) or die "send: $!";
}
print "sent\n";
"""


def test_forged(lab):
    """forged, malformed and broadcast packets never leave the link; honest ones after them do"""
    with World(lab) as world:
        world.serve_world()
        done = network(lab, f"cat > /tmp/forge <<'END'\n{FORGE}\nEND\nperl /tmp/forge && "
                       f"bash -c 'exec 3<>/dev/udp/{WORLD4}/7; echo honest >&3; head -n 1 <&3'")
        assert done.out == "sent\nhonest\n", done
        eventually(lambda: "udp" in str(world.world.lines), 120, "the honest one arrives")
        assert not [line for line in world.world.lines if "heard" in line], world.world.lines
        assert len([line for line in world.world.lines if "udp" in line]) == 1, world.world.lines


def test_nobody_comes_in(lab):
    """guests cannot reach each other, and nobody reaches a guest's ports through the host"""
    with World(lab) as world:
        world.serve_world()
        first = lab.workspace("--network-policy", "egress")
        second = lab.workspace("--network-policy", "egress")
        server = first.start("perl -MIO::Socket::INET -e 'my $u=IO::Socket::INET->new("
                             "Proto=>\"udp\",LocalPort=>5353,PeerAddr=>\"203.0.113.80\","
                             "PeerPort=>7) or die; $u->send(\"hello\"); my $b; $u->recv($b,99); "
                             "print \"$b\\n\"; $|=1; print \"up\\n\"; $u->recv($b,99); print $b'")
        server.await_text("up")
        sockets = subprocess.run(["nsenter", "-t", str(world.host.pid), "-n", "ss", "-Hulnp"],
                                 text=True, check=True, stdout=subprocess.PIPE).stdout
        assert ":5353 " not in sockets, sockets
        text = second.sh(attempts([(HOST4, 5353)]))
        assert results(text)[(HOST4, 5353)] == "No route to host", text
        server.signal(signal.SIGINT)
        server.end()
        first.delete()
        second.delete()


def test_policy_stays(lab):
    """stop, start and reset keep the network policy, and resolv.conf on the disk as it was"""
    with World(lab) as world:
        world.serve_world()
        fetch = f"curl -sS http://{WORLD4}/3 | wc -c; grep -c nameserver /etc/resolv.conf"
        ws = lab.workspace("--network-policy", "egress+published-ports")
        assert ws.record["network_policy"] == "egress+published-ports", ws.record
        assert ws.sh(fetch) == "3\n1\n"
        ws("reset")
        assert ws.sh(fetch) == "3\n1\n"
        ws("stop")
        disk = lab.call(*ws.words("disk read"), "/etc/resolv.conf", code=(0, 2)).out
        assert "nameserver" not in disk, disk
        ws("start")
        assert ws.sh(fetch) == "3\n1\n" and ws("status")["network_policy"] == \
            "egress+published-ports"
        ws.delete()


def test_resolv_conf_of_images(lab):
    """an /etc/resolv.conf that is missing, or a link to nowhere, is filled in as well"""
    with World(lab):
        for make in ("true", "ln -s ../run/some/where/resolv.conf /etc/resolv.conf"):
            ws = lab.workspace("--network-policy", "egress")
            ws.sh(f"umount /etc/resolv.conf; rm -f /etc/resolv.conf; {make}; sync")
            ws("stop")
            ws("start")
            assert ws.sh("cat /etc/resolv.conf") == \
                f"nameserver {LINK_RESOLVER}\noptions edns0\n", make
            ws.delete()


def test_passt_dies(lab):
    """passt is replaced when it dies; without pyro-net the machine goes on, and it is told"""
    with World(lab) as world:
        world.serve_world()
        vm = lab.create("--network")
        info = lab.json("vm", "network-info", vm)
        assert info["policy"] == "egress" and info["guest_ip"] == "192.0.0.2" and \
            info["gateway_ip"] == "192.0.0.1" and info["reason"] is None, info
        old = world.passt()
        for pid in old:
            kill(pid)
        eventually(lambda: world.passt() and not set(world.passt()) & set(old), 120, "a new passt")
        for pid in world.pyro_net():
            kill(pid)
        eventually(lambda: lab.json("vm", "network-info", vm)["reason"], 120, "a reason")
        eventually(lambda: not world.passt(), 120, "passt is gone too")
        info = lab.json("vm", "network-info", vm)
        assert info["guest_ip"] is None and "pyro-net" in info["reason"], info
        wait = "for i in $(seq 600); do grep -q 0 /sys/class/net/eth0/carrier && exit; sleep 0.1; done"
        lab.call("vm", "exec", vm, "--timeout-seconds", "100", "--", f"{wait}; exit 1", code=0)


def test_passt_hangs(lab):
    """a passt that does not answer any more is replaced"""
    with World(lab) as world:
        world.serve_world()
        ws = lab.workspace("--network-policy", "egress")
        assert ws.sh(f"curl -sS http://{WORLD4}/3 | wc -c") == "3\n"
        for pid in world.passt():
            os.kill(pid, signal.SIGSTOP)
        again = f"until curl -sS -m 8 http://{WORLD4}/3 | wc -c | grep 3; do :; done 2>/dev/null"
        assert ws("exec", "--timeout-seconds", "100", "--", again, code=0)["stdout"] == "3\n"
        ws.delete()


test_passt_hangs.is_patient = True


def test_all_end_together(lab):
    """whatever is killed, nothing of a machine's network outlives it"""
    with World(lab) as world:
        for victim in ("pyro-supervisor", "qemu-system", "pyro-warden", "bwrap"):
            vm = lab.create("--network")
            assert world.pyro_net() and world.passt(), world.host.members()
            for pid in lab.pids(victim):
                kill(pid)
            if victim in ("pyro-supervisor", "qemu-system"):
                eventually(lambda: not world.host.members(), 120, f"all gone with {victim}")
            lab.json("vm", "delete", vm)
            eventually(lambda: not world.host.members(), 120, f"all gone after {victim}")


def test_jail(lab):
    """pyro-net and passt have no rights, users of their own, no files, and not QEMU's user"""
    with World(lab) as world:
        vm = lab.create("--network")
        for pid in world.pyro_net() + world.passt():
            status = read(f"/proc/{pid}/status")
            assert re.search(r"^NoNewPrivs:\t1$", status, re.M), status
            assert re.search(r"^CapEff:\t0+$", status, re.M), status
            assert f"Uid:\t{os.stat(f'/proc/{lab.qemu()}').st_uid}\t" not in status, status
            assert "Uid:\t0\t" not in status, status
            mounts = read(f"/proc/{pid}/mountinfo")
            assert lab.dir not in mounts and "/home" not in mounts, mounts
        qemu = os.readlink(f"/proc/{lab.qemu()}/ns/net")
        assert qemu != os.readlink(f"/proc/{world.host.pid}/ns/net"), "QEMU has the host's network"
        lab.json("vm", "delete", vm)


def test_ordinary_user(lab):
    """an ordinary user's guests have the same network, and the same is refused to them"""
    ordinary_user(lab)
    with World(lab) as world:
        world.serve_world()
        world.host.serve("http", "::", "8000")
        done = network(lab, f"curl -sS http://somewhere.test/7 | wc -c; curl -sS6 http://[{WORLD6}]/8"
                       " | wc -c; " + attempts([(HOST4, 8000), (HOST6, 8000)]))
        assert done.out.startswith("7\n8\n"), done
        assert "No route to host" in done.out and "Permission denied" in done.out, done
        assert not world.host.lines, world.host.lines


def test_needs_passt(lab):
    """without passt a network is refused with the package to install, and doctor names it too"""
    os.makedirs(f"{lab.dir}/path")
    for folder in ("/usr/sbin", "/usr/bin"):
        for name in os.listdir(folder):
            if name != "passt" and not os.path.lexists(f"{lab.dir}/path/{name}"):
                os.symlink(f"{folder}/{name}", f"{lab.dir}/path/{name}")
    env = {"PATH": f"{lab.dir}/path"}
    for words in (("run", ENVIRONMENT, "--network", "--allow-host-compat", "--", "true"),
                  ("workspace", "create", ENVIRONMENT, "--network-policy", "egress")):
        error = lab.error(*words, env=env)
        assert error["code"] == "missing_dependency" and error["hint"] == "apt install passt", error
    doctor = lab.json("doctor", env=env, code=(0, 1, 2, 125))
    assert not doctor["capabilities"]["guest_network"] and "passt" in \
        doctor["networking"]["reason"], doctor
    assert "apt install passt" in json.dumps(doctor["issues"]), doctor
    assert lab.json("doctor")["capabilities"]["guest_network"]


def test_probe(lab):
    """demo and prepare prove outbound network, and say what they tried where there is none"""
    with World(lab) as world:
        world.serve_world()
        assert lab.json("demo", "--network")["network_ok"] is True
        assert lab.json("prepare", "--network")["network_prepared"] is True
        assert lab.json("prepare")["network_prepared"] is True
        world.world.ip("link", "set", "wire", "down")
        world.host.ip("route", "flush", "table", "main")
        error = lab.error("demo", "--network")
        assert "the host of its packages" in error["message"] and "deb.debian.org" in \
            error["message"], error


def test_bad_policy(lab):
    """another policy is refused, with those that there are"""
    error = lab.error("workspace", "create", ENVIRONMENT, "--network-policy", "all")
    assert "egress+published-ports" in error["message"], error
