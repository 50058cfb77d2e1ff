"""Published ports: what reaches a service from the host, and when it does not."""
import base64
import contextlib
import hashlib
import http.client
import os
import random
import signal
import socket
import threading
import time

from lab import PATIENCE_S, eventually, kill, read

MIB = 1 << 20

# perl server.pl PORT MODE. A process for each connection, but for "many".
SERVER = r"""use IO::Socket::INET; use IO::Select; use Digest::SHA qw(sha1_base64);
my ($port, $mode) = @ARGV; my ($b, $n) = ('', 0); $SIG{CHLD} = 'IGNORE';
my $s = IO::Socket::INET->new(Listen => 300, ReuseAddr => 1, LocalAddr => "127.0.0.1:$port") or die;
if ($mode eq 'many') {
	my $all = IO::Select->new($s);
	while (my @ready = $all->can_read) {
		for my $c (@ready) {
			if ($c == $s) { $all->add($s->accept) }
			elsif (sysread($c, $b, 65536)) { syswrite($c, $b) }
			else { $all->remove($c); close $c }
		}
	}
}
sub get { my ($c, $n) = @_; my $d = ''; while (length $d < $n) {
	sysread($c, $d, $n - length $d, length $d) or exit } $d }
sub frame { my $c = shift; my $h = get($c, 2); my $len = ord(substr $h, 1) & 127;
	my $mask = get($c, 4); get($c, $len) ^ substr($mask x 32, 0, $len) }
sub serve { my $c = shift;
	while (1) {
		my ($head, $key) = ('', '');
		$head .= get($c, 1) until $head =~ /\r\n\r\n$/;
		if ($head =~ /Sec-WebSocket-Key: (\S+)/) {
			my $a = sha1_base64($1 . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
			syswrite $c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" .
				"Connection: Upgrade\r\nSec-WebSocket-Accept: $a\r\n\r\n";
			while (1) { my $t = uc frame($c); syswrite $c, chr(129) . chr(length $t) . $t }
		}
		my ($path) = $head =~ m{^GET (\S+)};
		my $text = "you asked for $path, the " . ++$n . ".";
		syswrite $c, "HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
	}
}
while (my $c = $s->accept) {
	next if fork; close $s;
	serve($c) if $mode eq 'http';
	if ($mode eq 'sink') { $n += length $b while sysread $c, $b, 65536; syswrite $c, "got $n" }
	if ($mode eq 'source') { my $want = get($c, 9); my $d = join '', map { chr } 0 .. 255;
		$d x= 256; for (1 .. $want / 65536) { syswrite $c, $d or exit }
		shutdown $c, 1; $n += length $b while sysread $c, $b, 65536; exit if $n }
	if ($mode eq 'half') { shutdown $c, 1; $n += length $b while sysread $c, $b, 65536;
		open my $f, '>', "got"; print $f $n }
	if ($mode eq 'last') { get($c, 2); syswrite $c, 'unread'; my $d = '';
		1 while sysread $c, $d, 99, length $d; my $why = $!; open my $f, '>', "last.new";
		print $f "$d, $why"; close $f; rename "last.new", "last" }
	exit;
}
"""
PATTERN = bytes(range(256)) * 256


def workspace(lab, *options):
    seed = f"{lab.dir}/seed"
    os.makedirs(seed, exist_ok=True)
    with open(f"{seed}/server.pl", "w", encoding="utf-8") as file:
        file.write(SERVER)
    return lab.workspace("--network-policy", "egress+published-ports", *options, seed=seed)


def serve(ws, name, mode, guest_port=8000, host_port=None):
    """Starts a server and returns its port on the host."""
    mapping = str(guest_port) if host_port is None else f"{host_port}:{guest_port}"
    service = ws("service start", name, "--publish", mapping, "--ready-tcp",
                 f"127.0.0.1:{guest_port}", "--ready-interval-ms", "100", "--",
                 f"exec perl server.pl {guest_port} {mode}")
    port, = service["published_ports"]
    assert (port["host"], port["guest_port"], port["protocol"]) == \
        ("127.0.0.1", guest_port, "tcp"), port
    assert host_port in (None, port["host_port"]), port
    return port["host_port"]


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def receive(conn, size=None):
    """So many bytes, or all until the end."""
    data = bytearray()
    while size is None or len(data) < size:
        chunk = conn.recv(min(65536, size - len(data)) if size else 65536)
        if not chunk:
            break
        data += chunk
    return bytes(data)


def is_closed(port):
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def free_port():
    """One that the system gives nobody who does not ask for it."""
    while True:
        port = random.randrange(10000, 30000)
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port


def test_http(lab):
    """a page is fetched over a kept connection, and a WebSocket is opened, from the host"""
    ws = workspace(lab)
    chosen = free_port()
    port = serve(ws, "web", "http", host_port=chosen)
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    for n in range(1, 4):
        client.request("GET", f"/page{n}")
        answer = client.getresponse()
        assert answer.read() == f"you asked for /page{n}, the {n}.".encode()
    client.close()
    with connect(port) as conn:
        key = base64.b64encode(os.urandom(16))
        conn.sendall(b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade"
                     b"\r\nSec-WebSocket-Key: " + key + b"\r\nSec-WebSocket-Version: 13\r\n\r\n")
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            head += receive(conn, 1)
        accept = base64.b64encode(hashlib.sha1(
            key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        assert head.startswith(b"HTTP/1.1 101 ") and accept in head, head
        for word in (b"hello", b"again"):
            mask = os.urandom(4)
            conn.sendall(bytes([0x81, 0x80 | len(word)]) + mask +
                         bytes(byte ^ mask[i % 4] for i, byte in enumerate(word)))
            assert receive(conn, 2 + len(word)) == bytes([0x81, len(word)]) + word.upper()
    ws.delete()


def test_many(lab):
    """a hundred connections at once are served, and those beyond the limit wait for their turn"""
    ws = workspace(lab)
    port = serve(ws, "web", "many")
    failures = []

    def talk(n):
        try:
            data = bytes([n % 256]) * 20000
            with connect(port) as conn:
                for _ in range(3):
                    conn.sendall(data)
                    assert receive(conn, len(data)) == data
        except Exception as error:  # a thread's failure is told by the test
            failures.append((n, repr(error)))
    threads = [threading.Thread(target=talk, args=(n,)) for n in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not failures and not any(thread.is_alive() for thread in threads), failures
    conns = [connect(port) for _ in range(245)]
    for conn in conns[:240]:
        conn.sendall(b"x")
    assert all(receive(conn, 1) == b"x" for conn in conns[:240])
    for conn in conns[240:]:
        conn.sendall(b"y")
        conn.settimeout(0.3)
    try:
        assert not conns[240].recv(1), "it waits"
    except TimeoutError:
        pass
    for conn in conns[:5]:
        conn.close()
    for conn in conns[240:]:
        conn.settimeout(PATIENCE_S)
        assert receive(conn, 1) == b"y"
    for conn in conns:
        conn.close()
    talk(7)
    assert not failures, failures
    ws.delete()


def rss_mib(pid):
    return int(read(f"/proc/{pid}/status").split("VmRSS:")[1].split()[0]) // 1024


def test_streams(lab):
    """fifty megabytes go each way whole, either side may end first, and a slow reader costs nothing"""
    ws = workspace(lab)
    sink, source, half = (serve(ws, mode, mode, port) for mode, port in
                          (("sink", 8001), ("source", 8002), ("half", 8003)))
    with connect(sink) as conn:
        for _ in range(50 * MIB // len(PATTERN)):
            conn.sendall(PATTERN)
        conn.shutdown(socket.SHUT_WR)
        assert receive(conn) == b"got %d" % (50 * MIB), "the answer comes after our end"
    with connect(source) as conn:
        conn.sendall(b"%09d" % (50 * MIB))
        digest = hashlib.sha256()
        while chunk := conn.recv(65536):
            digest.update(chunk)
        assert digest.digest() == hashlib.sha256(PATTERN * (50 * MIB // len(PATTERN))).digest()
    with connect(half) as conn:
        assert receive(conn) == b"", "the guest ends first"
        conn.sendall(b"z" * 100000)
    eventually(lambda: ws.sh("cat got 2>/dev/null; true") == "100000", 120, "it got the rest")
    before = rss_mib(lab.supervisor())
    with connect(source) as conn, connect(sink) as other:
        conn.sendall(b"%09d" % (20 * MIB))
        time.sleep(1)
        assert rss_mib(lab.supervisor()) < before + 8, "what nobody reads is not piled up"
        other.sendall(b"quick")
        other.shutdown(socket.SHUT_WR)
        assert receive(other) == b"got 5", "others are not held up"
        assert receive(conn) == PATTERN * (20 * MIB // len(PATTERN))
    ws.delete()


def test_last_words(lab):
    """what a client sent last reaches the service, before the reset, though it left an answer unread"""
    ws = workspace(lab)
    conn = connect(serve(ws, "web", "last"))
    conn.sendall(b"go")
    assert conn.recv(6, socket.MSG_PEEK | socket.MSG_WAITALL) == b"unread"
    os.kill(lab.supervisor(), signal.SIGSTOP)  # so that both are there when it looks
    conn.sendall(b"last words")
    conn.close()
    os.kill(lab.supervisor(), signal.SIGCONT)
    eventually(lambda: ws.sh("cat last 2>/dev/null; true") == "last words, Connection reset by peer",
               120, "it got them")
    ws.delete()


def test_refusals(lab):
    """a port that is taken is named, a guest that refuses resets, and no policy means no ports"""
    ws = workspace(lab)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        error = ws.error("service start", "web", "--publish", f"{number}:80", "--", "sleep 99")
        assert f"127.0.0.1:{number}" in error["message"] and "--publish 80" in error["hint"], error
        free = free_port()
        ws.error("service start", "web", "--publish", f"{free}:80", "--publish", f"{number}:81",
                 "--", "sleep 99")
        assert is_closed(free), "all or nothing"
    assert ws("service list")["count"] == 0 and not ws.sh("pgrep -fx 'sleep 99'; true")
    service = ws("service start", "deaf", "--publish", "80", "--", "sleep 99")
    port = service["published_ports"][0]["host_port"]
    try:  # the reset may come before connect() is back
        with connect(port) as conn:
            assert not conn.recv(1), "no end that could be taken for an answer"
        raise AssertionError("not reset")
    except ConnectionResetError:
        pass
    listening = [line.split()[1] for line in read("/proc/net/tcp").splitlines()[1:]
                 if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"]
    assert listening == [f"0100007F:{port:04X}"], "on 127.0.0.1 only"
    for bad in ("0", "65536", "x", "1:2:3", "70000:80"):
        assert ws.error("service start", "w", "--publish", bad, "--", "true")["code"] in (
            "usage", "invalid_argument"), bad
    ws.delete()
    for policy in ("off", "egress"):
        ws = lab.workspace("--network-policy", policy)
        error = ws.error("service start", "w", "--publish", "80", "--", "sleep 99", about=policy)
        assert error["code"] == "refused" and "published-ports" in error["hint"], error
        ws.delete()


def test_gone(lab):
    """ports end with their service, however that ends, and so do connections"""
    ws = workspace(lab)

    def check(end, *more):
        port = serve(ws, "web", "many")
        conn = connect(port)
        conn.sendall(b"x")
        assert receive(conn, 1) == b"x"
        end()
        eventually(lambda: is_closed(port), 120, f"{end} closes the port")
        try:
            assert conn.recv(1) == b"", "the connection ends"
        except ConnectionResetError:
            pass
        conn.close()
        for step in more:
            step()

    check(lambda: ws("service stop", "web"))
    check(lambda: ws.sh("pkill -f '[s]erver.pl'; sleep 0.1"))
    eventually(lambda: ws("service status", "web")["state"] == "exited", 120, "its end is on record")
    check(lambda: ws("reset"))
    check(lambda: ws("stop"), lambda: ws("start"))
    check(lambda: kill(lab.supervisor()), lab.check_no_processes, lambda: ws("start"))
    port = serve(ws, "web", "many")
    ws("service stop", "web")
    assert serve(ws, "web", "many", host_port=port) == port, "it is free at once"
    client = connect(port)
    client.sendall(b"x")
    assert receive(client, 1) == b"x"
    kill(lab.qemu(), signal.SIGKILL)
    eventually(lambda: is_closed(port), 120, "the machine died")
    client.close()
    ws.delete()
