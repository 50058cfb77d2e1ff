#!/usr/bin/env python3
"""Servers inside a network namespace of the tests (network.py). What reaches them is written to
standard output, one line each; the first one says that all of them listen.

  world.py http ADDRESS PORT | udp ADDRESS PORT | dns ADDRESS A AAAA | hear TEXT ...

Several servers are separated by `--`. http answers GET /N with N bytes, PUT with the digest of the
body; udp echoes; dns answers every name with the two addresses (RELATED names with so many that
they need TCP); hear tells each frame in which TEXT occurs.
"""
import hashlib
import http.server
import ipaddress
import os
import socket
import socketserver
import struct
import sys
import threading

BLOCK = bytes(range(256)) * 256


def tell(text):
    os.write(1, f"{text}\n".replace("::ffff:", "").encode())


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        tell(f"http {self.client_address[0]} {self.path}")
        left = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left:
            part = BLOCK[:left]
            self.wfile.write(part)
            left -= len(part)

    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            part = self.rfile.read(min(left, 1 << 20))
            left -= len(part)
            digest.update(part)
        body = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_http(address, port):
    class Server(http.server.ThreadingHTTPServer):
        address_family = family(address)
    return Server((address, int(port)), Http).serve_forever


def serve_udp(address, port):
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    sock.bind((address, int(port)))

    def run():
        while True:
            data, peer = sock.recvfrom(65536)
            tell(f"udp {peer[0]} {len(data)}")
            sock.sendto(data, peer)
    return run


def question_of(query):
    end = 12
    while query[end]:
        end += query[end] + 1
    return query[12:end + 5], struct.unpack("!H", query[end + 1:end + 3])[0]


def dns_answer(query, a, aaaa, is_tcp):
    question, kind = question_of(query)
    is_many = question.startswith(b"\4many")
    addresses = {1: [a], 28: [aaaa]}.get(kind, [])
    if is_many:
        base = int(ipaddress.ip_address(a))
        addresses = [str(ipaddress.ip_address(base + i)) for i in range(200)] if kind == 1 else []
    cut = is_many and not is_tcp
    records = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 5, len(packed)) + packed
        for packed in (ipaddress.ip_address(text).packed for text in ([] if cut else addresses)))
    return query[:2] + struct.pack("!HHHHH", 0x8780 if cut else 0x8580, 1,
                                   0 if cut else len(addresses), 0, 0) + question + records


def serve_dns(address, a, aaaa):
    class Udp(socketserver.BaseRequestHandler):
        def handle(self):
            tell(f"dns {self.client_address[0]}")
            data, sock = self.request
            sock.sendto(dns_answer(data, a, aaaa, False), self.client_address)

    class Tcp(socketserver.BaseRequestHandler):
        def handle(self):
            head = self.request.recv(2, socket.MSG_WAITALL)
            if len(head) < 2:  # it only looked whether somebody listens
                return
            size = struct.unpack("!H", head)[0]
            data = dns_answer(self.request.recv(size, socket.MSG_WAITALL), a, aaaa, True)
            tell(f"dns-tcp {self.client_address[0]}")
            self.request.sendall(struct.pack("!H", len(data)) + data)

    class UdpServer(socketserver.ThreadingUDPServer):
        address_family = family(address)

    class TcpServer(socketserver.ThreadingTCPServer):
        address_family = family(address)
        allow_reuse_address = True
    udp, tcp = UdpServer((address, 53), Udp), TcpServer((address, 53), Tcp)
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
    return udp.serve_forever


def hear(*texts):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))

    def run():
        while True:
            frame = sock.recv(65536)
            for text in texts:
                if text.encode() in frame:
                    tell(f"heard {text}")
    return run


def main():
    words, servers = sys.argv[1:], []
    while words:
        end = words.index("--") if "--" in words else len(words)
        make = {"http": serve_http, "udp": serve_udp, "dns": serve_dns, "hear": hear}[words[0]]
        servers.append(make(*words[1:end]))
        words = words[end + 1:]
    for server in servers:
        threading.Thread(target=server, daemon=True).start()
    tell("ready")
    sys.stdin.read()  # until whoever started us is gone


main()
