"""Images made by hand: layers from lists of entries, an OCI layout or the archive of `docker save`
around them, and a registry of our own making that can be told to misbehave."""
import gzip
import hashlib
import http.server
import io
import json
import os
import socketserver
import struct
import subprocess
import tarfile
import threading

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(name, data=None, kind=tarfile.REGTYPE, mode=0o644, link="", uid=0, gid=0, dev=(0, 0),
          xattrs=None, mtime=1600000000):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.uid, info.gid = kind, mode, link, uid, gid
    info.mtime, (info.devmajor, info.devminor) = mtime, dev
    info.size = len(data or b"")
    info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in (xattrs or {}).items()}
    return info, data or b""


def directory(name, mode=0o755, **options):
    return entry(name, kind=tarfile.DIRTYPE, mode=mode, **options)


def symlink(name, link):
    return entry(name, kind=tarfile.SYMTYPE, mode=0o777, link=link)


def hardlink(name, link):
    return entry(name, kind=tarfile.LNKTYPE, link=link)


def layer(*entries):
    """A layer as a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def packed(data):
    return gzip.compress(data, 6, mtime=0)


def plain(data):
    return data


class Image:
    """Blobs by digest, and the manifest's digest. change(kind, document) may spoil a document."""

    def __init__(self, *layers, pack=packed, config=None, platform=("linux", "amd64"),
                 change=lambda kind, document: None):
        self.blobs = {}
        rows = [{"mediaType": LAYER, **self.put(pack(data))} for data in layers]
        document = {"os": platform[0], "architecture": platform[1], "config": config or {},
                    "rootfs": {"type": "layers", "diff_ids": [sha256(data) for data in layers]}}
        change("config", document)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": rows,
                    "config": {"mediaType": CONFIG, **self.put(json.dumps(document).encode())}}
        change("manifest", manifest)
        self.row = {"mediaType": MANIFEST, **self.put(json.dumps(manifest).encode()),
                    "platform": {"os": platform[0], "architecture": platform[1]}}
        self.config, self.manifest, self.layers = document, manifest, layers

    def put(self, data):
        self.blobs[sha256(data)] = data
        return {"digest": sha256(data), "size": len(data)}

    @property
    def digest(self):
        return self.row["digest"]

    def save_layout(self, path, tag="latest"):
        """An OCI layout; a second image is added to the first."""
        os.makedirs(f"{path}/blobs/sha256", exist_ok=True)
        for digest, data in self.blobs.items():
            with open(f"{path}/blobs/sha256/{digest[7:]}", "wb") as file:
                file.write(data)
        index = {"schemaVersion": 2, "manifests": []}
        if os.path.exists(f"{path}/index.json"):
            with open(f"{path}/index.json", encoding="utf-8") as file:
                index = json.load(file)
        index["manifests"].append(
            {**self.row, "annotations": {"org.opencontainers.image.ref.name": tag}})
        for name, document in ("index.json", index), ("oci-layout", {"imageLayoutVersion": "1.0.0"}):
            with open(f"{path}/{name}", "w", encoding="utf-8") as file:
                json.dump(document, file)
        return path

    def save_archive(self, path, tag="team/app:1"):
        """What `docker save` wrote for years."""
        config = json.dumps(self.config).encode()
        names = [f"{i}/layer.tar" for i in range(len(self.layers))]
        manifest = json.dumps([{"Config": f"{sha256(config)[7:]}.json", "RepoTags": [tag],
                                "Layers": names}]).encode()
        with tarfile.open(path, "w") as tar:
            for name, data in [(f"{sha256(config)[7:]}.json", config),
                               *zip(names, self.layers), ("manifest.json", manifest)]:
                info, _ = entry(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A registry on loopback with one repository, team/app. `answer(request, path)` may answer in
    its place and then returns True."""
    daemon_threads = True

    def __init__(self, image=None, tag="1", answer=lambda request, path: False):
        self.image, self.tag, self.answer, self.requests = image, tag, answer, []
        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def host(self):
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def name(self):
        return f"{self.host}/team/app:{self.tag}"

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is what many tests are about

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def send(self, status, data=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def blob(self, digest):
        """A blob as a good registry sends it, ranges included."""
        data, begin = self.server.image.blobs[digest], self.headers.get("Range")
        if not begin:
            return self.send(200, data)
        at = int(begin[len("bytes="):].rstrip("-"))
        return self.send(206, data[at:], Content_Range=f"bytes {at}-{len(data) - 1}/{len(data)}")

    def do_GET(self):  # pylint: disable=invalid-name
        server, path = self.server, self.path
        server.requests.append((path, dict(self.headers)))
        if server.answer(self, path):
            return
        prefix, _, name = path.rpartition("/")
        if prefix == "/v2/team/app/manifests" and server.image:
            digest = server.image.digest if name == server.tag else name
            if digest in server.image.blobs:
                self.send(200, server.image.blobs[digest], Content_Type=MANIFEST)
                return
        if prefix == "/v2/team/app/blobs" and server.image and name in server.image.blobs:
            self.blob(name)
            return
        self.send(404, b"{}")


def digest_of_file(data):
    """The digest of a small file that is no hole, as manifests of installs have it."""
    block = struct.pack("<Q", 0) + data if data.strip(b"\0") else b""
    return hashlib.sha256(block + struct.pack("<Q", len(data))).hexdigest()
