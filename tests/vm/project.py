"""What a workspace is filled with when nobody gives a seed: checkouts, directories, clones."""
import contextlib
import functools
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

from host import USER, ordinary_user
from lab import BUILD, Call, IS_ROOT, Workspace, eventually, kill, shape

CREATE = f"{BUILD}/tests/vm/create_project"
WAYS_OUT = "--project-path PATH, --repo-url URL, --no-project-source, or an explicit seed_path"


def write(path, content=b"", mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def git(lab, cwd, *words):
    """Runs git as the lab's user; returns what it prints."""
    config = os.path.join(lab.env["HOME"], ".gitconfig")
    if not os.path.exists(config):
        write(config, b"[user]\nname = Somebody\nemail = some@body\n[protocol \"file\"]\n"
                      b"allow = always\n[init]\ndefaultBranch = main\n")
    return subprocess.run(["git", *words], cwd=cwd, env=lab.env, check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def repository(lab, name, files=None, commit=True):
    """A checkout in the lab; files: {name: content}, all of them tracked."""
    path = f"{lab.dir}/{name}"
    os.mkdir(path)
    git(lab, path, "init", "-q")
    for file, content in (files or {}).items():
        write(f"{path}/{file}", content)
    git(lab, path, "add", "-A")
    if commit:
        git(lab, path, "commit", "-q", "--allow-empty", "-m", "first")
    return path


def start(lab, *words, cwd=None, env=None):
    return Call([CREATE, *words], {**lab.env, **(env or {})}, cwd=cwd or lab.dir)


def ask(lab, *words, **options):
    done = start(lab, *words, **options).end()
    assert done.code == 0, done
    return json.loads(done.raw)


def create(lab, *words, **options):
    record = ask(lab, *words, **options)
    assert "error" not in record, record
    return Workspace(lab, record)


def refused(lab, *words, about, hint=WAYS_OUT, **options):
    """The creation fails, saying `about`, names the ways out, and leaves nothing."""
    record = ask(lab, *words, **options)
    assert "error" in record, record
    error = record["error"]
    assert about in error["message"], error
    assert hint in error["hint"], error
    return error


def content(ws):
    """What is in the workspace: names, without directories."""
    found = ws.shape()
    return {name for name, (kind, *_) in found.items() if kind[0] != "d"}


def taken(lab, *words, **options):
    """Makes one, returns what is in it and its seed, and deletes it."""
    ws = create(lab, *words, **options)
    found, seed = content(ws), ws.record["workspace_seed"]
    assert ws("status")["workspace_seed"] == seed
    assert not ws("diff")["changed"]
    ws.delete()
    return found, seed


# Checkouts


def test_checkout(lab):
    """a checkout gives its tracked files as they are on disk, and nothing else of it"""
    app = repository(lab, "app", {"a.txt": b"one\n", "src/b.c": b"two\n", "gone": b"", "run": b"#!",
                                  ".gitignore": b"build/\n*.log\n", "was/file": b""})
    write(f"{app}/a.txt", b"changed\n")
    os.chmod(f"{app}/run", 0o755)
    os.unlink(f"{app}/gone")
    os.unlink(f"{app}/was/file")
    write(f"{app}/staged", b"new\n")
    os.symlink("a.txt", f"{app}/link")
    os.symlink("/nowhere", f"{app}/src/broken")
    git(lab, app, "add", "staged", "link", "src/broken")
    for junk in ("untracked", "build/out.o", "src/x.log", "node_modules/m/i.js"):
        write(f"{app}/{junk}", b"junk")
    os.utime(f"{app}/a.txt", ns=(1, 1234567890123456789))
    ws = create(lab, "here", cwd=f"{app}/src")
    seed = ws.record["workspace_seed"]
    assert seed == {"mode": "directory", "seed_path": app, "origin_kind": "project_path",
                    "origin_ref": app, "entry_count": 8, "bytes_written": seed["bytes_written"],
                    "skipped_count": 0, "skipped": []}, seed
    want = {name: what for name, what in shape(app).items() if name in (
        b"a.txt", b"src", b"src/b.c", b"run", b".gitignore", b"staged", b"link", b"src/broken")}
    assert ws.shape() == want, (ws.shape(), want)
    assert not ws("diff")["changed"]
    ws.sh("echo more >>a.txt")
    ws("reset")
    assert ws.shape() == want
    ws.delete()
    found, seed = taken(lab, f"path={app}/src")
    assert found == {b"b.c", b"broken"} and seed["origin_ref"] == f"{app}/src", (found, seed)
    assert ask(lab, "here", "describe", cwd=f"{app}/src") == f"the Git-tracked files of {app}"
    assert lab.json("doctor", cwd=f"{app}/src")["project_source"] == (
        f"the Git-tracked files of {app}")


def test_kinds_of_checkouts(lab):
    """submodules, worktrees, sparse checkouts, conflicts, no commit and no file are all taken"""
    inner = repository(lab, "inner", {"i": b"i", "deep/j": b"j"})
    app = repository(lab, "app", {"a": b"a", "dir/b": b"b"})
    git(lab, app, "submodule", "add", inner, "lib/inner")
    git(lab, app, "submodule", "add", inner, "absent")
    git(lab, app, "commit", "-q", "-m", "modules")
    git(lab, app, "submodule", "deinit", "-f", "absent")
    write(f"{app}/lib/inner/i", b"changed")
    write(f"{app}/lib/inner/junk", b"")
    files = {b".gitmodules", b"a", b"dir/b", b"lib/inner/i", b"lib/inner/deep/j"}
    assert taken(lab, "here", cwd=app)[0] == files
    assert taken(lab, f"path={app}/lib")[0] == {b"inner/i", b"inner/deep/j"}
    assert taken(lab, "here", cwd=f"{app}/lib/inner/deep")[0] == {b"i", b"deep/j"}
    tree = f"{lab.dir}/tree"
    git(lab, app, "worktree", "add", "-q", tree, "-b", "other")
    assert taken(lab, "here", cwd=tree)[0] == {b".gitmodules", b"a", b"dir/b"}
    git(lab, tree, "sparse-checkout", "set", "--cone", "--sparse-index", "lib")
    found, seed = taken(lab, f"path={tree}")
    assert found == {b".gitmodules", b"a"} and seed["skipped_count"] == 0, (found, seed)
    git(lab, app, "checkout", "-q", "-b", "left")
    for branch in ("left", "right"):
        git(lab, app, "checkout", "-q", "-B", branch, "main")
        write(f"{app}/a", branch.encode())
        git(lab, app, "commit", "-q", "-am", branch)
    try:
        git(lab, app, "merge", "left")
        raise AssertionError("no conflict")
    except subprocess.CalledProcessError:
        assert len(git(lab, app, "ls-files", "-s", "a").splitlines()) == 3
    found, seed = taken(lab, "here", cwd=app)
    assert found == files and seed["skipped_count"] == 0, (found, seed)
    fresh = repository(lab, "fresh", {"only": b"staged"}, commit=False)
    assert taken(lab, "here", cwd=fresh)[0] == {b"only"}
    empty = repository(lab, "empty", commit=False)
    write(f"{empty}/untracked")
    found, seed = taken(lab, "here", cwd=empty)
    assert not found and (seed["mode"], seed["entry_count"]) == ("directory", 0), (found, seed)


def test_names(lab):
    """names are bytes: line ends, quotes, dashes, no UTF-8, as long as they may be"""
    app = repository(lab, "app")
    names = [b"new\nline", b"quo\"te's", b"-rf", b"--", b"\xff\xfe", "é".encode(), b" lead", b"a\\b",
             b"n" * 255, b":(top)x", b"*", b"d r/\t/f"]
    for name in names:
        path = os.path.join(os.fsencode(app), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(name)
    git(lab, app, "add", "-A")
    assert taken(lab, f"path={app}")[0] == set(names)
    odd = os.path.join(os.fsencode(app), b"new\nl\xff")
    os.mkdir(odd)
    assert ask(lab, "here", f"path={os.fsdecode(odd)}", "describe").endswith("/app/new l?")


def test_skipped(lab):
    """what stands in the place of a tracked file and is none is skipped and named, and no error"""
    app = repository(lab, "app", {name: b"" for name in (
        "kept", "pipe", "socket", "dir", "through/file", "swapped/file", "below/file")})
    for name in ("pipe", "socket", "dir", "through/file", "swapped/file", "below/file"):
        os.unlink(f"{app}/{name}")
    for name in ("through", "swapped", "below"):
        os.rmdir(f"{app}/{name}")
    os.mkfifo(f"{app}/pipe")
    os.mknod(f"{app}/socket", stat.S_IFSOCK | 0o600)
    write(f"{app}/dir/untracked", b"secret")
    write(f"{lab.dir}/outside/file", b"secret")
    os.symlink(f"{lab.dir}/outside", f"{app}/through")
    os.symlink("../outside", f"{app}/swapped")
    write(f"{app}/below", b"a file now, not tracked")
    ws = create(lab, "here", cwd=app)
    seed = ws.record["workspace_seed"]
    assert content(ws) == {b"kept"}, ws.shape()
    assert seed["skipped_count"] == 5, seed
    assert seed["skipped"] == ["dir", "pipe", "socket", "swapped/file", "through/file"], seed
    shown = lab.call(*ws.words("status"), code=0).out
    assert "1 entry, 0 bytes, 5 skipped" in shown, shown
    ws.delete()


def test_unreadable(lab):
    """files that the user cannot read do not stop a project, as a checkout or as a whole"""
    ordinary_user(lab)
    shutil.copy2(CREATE, f"{lab.dir}/usr/bin/")
    app = repository(lab, "app", {"open": b"", "shut": b"", "closed/file": b""})
    plain = f"{lab.dir}/plain"
    shutil.copytree(app, plain, ignore=shutil.ignore_patterns(".git"))
    subprocess.run(["chown", "-R", f"{USER}:{USER}", app, plain, lab.env["HOME"]], check=True)
    for path in (app, plain):
        os.chown(f"{path}/shut", 0, 0)
        os.chmod(f"{path}/shut", 0o600)
        os.chown(f"{path}/closed", 0, 0)
        os.chmod(f"{path}/closed", 0o700)
    for path, skipped in ((app, ["closed/file", "shut"]), (plain, ["closed", "shut"])):
        call = Call([*lab.pyro[:-1], f"{lab.dir}/usr/bin/create_project", f"path={path}"], lab.env,
                    cwd=path)
        ws = Workspace(lab, json.loads(call.end().raw))
        seed = ws.record["workspace_seed"]
        assert (seed["skipped_count"], seed["skipped"]) == (2, skipped), seed
        assert ws.sh("ls", cwd="/") == ("open\n" if path == app else "closed\nopen\n")
        ws.delete()


# Hostile ones


def index(names):
    """The bytes of an index that git would not write."""
    entries = b""
    for name in sorted(names):
        entry = struct.pack(">10I20sH", 0, 0, 0, 0, 0, 0, 0o100644, 0, 0, 0, bytes(19) + b"\1",
                            len(name)) + name
        entries += entry + bytes(8 - len(entry) % 8)
    data = b"DIRC" + struct.pack(">II", 2, len(names)) + entries
    return data + hashlib.sha1(data).digest()


def test_hostile_checkout(lab):
    """no configuration, hook, variable or index of a checkout runs programs or reaches outside"""
    app = repository(lab, "app", {"a": b"a"})
    write(f"{lab.dir}/outside", b"secret")
    write(f"{lab.dir}/evil", f"#!/bin/sh\n: >{lab.dir}/ran\n".encode(), 0o755)
    for hook in ("post-index-change", "fsmonitor-watchman", "query-watchman", "pre-auto-gc"):
        write(f"{app}/.git/hooks/{hook}", f"#!/bin/sh\n: >{lab.dir}/ran\n".encode(), 0o755)
    for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "pager.ls-files",
                "credential.helper", "core.gitProxy", "alias.ls-files", "core.askPass"):
        git(lab, app, "config", key, f"{lab.dir}/evil")
    git(lab, app, "config", "core.hooksPath", f"{app}/.git/hooks")
    git(lab, app, "config", "core.untrackedCache", "true")
    git(lab, app, "config", "remote.origin.url", f"ext::{lab.dir}/evil")
    git(lab, app, "config", "remote.origin.promisor", "true")
    elsewhere = repository(lab, "elsewhere", {"not": b"mine"})
    env = {"GIT_DIR": f"{elsewhere}/.git", "GIT_WORK_TREE": elsewhere, "GIT_PAGER": f"{lab.dir}/evil",
           "GIT_INDEX_FILE": f"{elsewhere}/.git/index", "GIT_TRACE": f"{lab.dir}/ran",
           "GIT_EXTERNAL_DIFF": f"{lab.dir}/evil", "PAGER": f"{lab.dir}/evil"}
    assert taken(lab, "here", cwd=app, env=env)[0] == {b"a"}
    git(lab, app, "config", "core.worktree", elsewhere)
    assert b"not" not in taken(lab, "here", cwd=app, env=env)[0]
    git(lab, app, "config", "--unset", "core.worktree")
    evil = [b"../outside", f"{lab.dir}/outside".encode(), b".git/config", b"a", b"b/../a",
            b"x/.GIT/config"]
    write(f"{app}/.git/index", index(evil))
    write(f"{app}/x/.GIT/config", b"secret")
    record = ask(lab, "here", cwd=app)
    if "error" not in record:  # git itself may refuse such an index
        ws = Workspace(lab, record)
        assert content(ws) <= {b"a"}, ws.shape()
        ws.delete()
    assert not os.path.exists(f"{lab.dir}/ran")


# What cannot be taken


def test_errors(lab):
    """what is no source of files is refused before a machine starts, and the ways out are named"""
    app = repository(lab, "app", {"a": b"a"})
    bare = f"{lab.dir}/bare.git"
    git(lab, lab.dir, "clone", "-q", "--bare", app, bare)
    write(f"{lab.dir}/file")
    refused(lab, f"path={lab.dir}/missing", about="No such file or directory")
    refused(lab, f"path={lab.dir}/file", about="is not a directory")
    for path in (bare, f"{app}/.git", f"{app}/.git/hooks"):
        refused(lab, f"path={path}", about="is a Git repository itself")
    refused(lab, "here", cwd=app, env={"PATH": f"{lab.dir}/nothing"}, about="'git' is not installed",
            hint="apt install git")
    with open(f"{app}/.git/index", "r+b") as file:
        file.write(b"JUNK")
    refused(lab, "here", cwd=app, about="index file corrupt")
    if IS_ROOT:
        os.chown(app, 65534, 65534)
        os.chown(f"{app}/.git", 65534, 65534)
        error = refused(lab, "here", cwd=app, about="belongs to another user")
        assert f"safe.directory '{app}'" in error["hint"], error
    assert lab.vm_dirs() == [] or lab.call("vm", "prune").code == 0


def test_directories(lab):
    """without a checkout a directory is taken whole, and roots only if they are not too much"""
    plain = f"{lab.dir}/plain"
    write(f"{plain}/a", b"a")
    write(f"{plain}/d/b", b"b")
    os.makedirs(f"{plain}/empty/er")
    os.mkfifo(f"{plain}/pipe")
    os.symlink(lab.dir, f"{plain}/up")
    ws = create(lab, f"path={plain}")
    seed = ws.record["workspace_seed"]
    assert seed["skipped"] == ["pipe"] and seed["origin_kind"] == "project_path", seed
    want = shape(plain)
    del want[b"pipe"]
    assert ws.shape() == want, (ws.shape(), want)
    assert seed["entry_count"] == len(want), seed
    ws.delete()
    assert ask(lab, f"path={plain}", "describe") == f"all files of {plain}"
    assert ask(lab, "here", "describe", cwd=plain) is None
    home = lab.env["HOME"]
    for root in ("/", lab.dir, home, f"{lab.dir}/missing"):
        assert ask(lab, "here", f"root={root}", "describe", cwd=plain) is None, root
    assert ask(lab, f"root={lab.dir}/missing", f"root={home}", f"root={plain}",
               "describe") == f"all files of {plain}"
    app = repository(lab, "app", {"a": b"a"})
    assert ask(lab, "here", f"root={plain}", "describe", cwd=app) == (
        f"the Git-tracked files of {app}")
    assert ask(lab, f"path={plain}", f"root={app}", "here", "describe", cwd=app) == (
        f"all files of {plain}")
    git(lab, home, "init", "-q")
    assert ask(lab, f"root={home}", "describe") == f"the Git-tracked files of {home}"
    found, seed = taken(lab)
    assert not found and seed["origin_kind"] == "empty", seed


# Clones


@contextlib.contextmanager
def web(handler):
    """An HTTP server on loopback; its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Slow(Quiet):
    def do_GET(self):
        if "info/refs" in self.path:
            time.sleep(1)
        super().do_GET()


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(403 if "Authorization" in self.headers else 401)
        self.send_header("WWW-Authenticate", "Basic realm=x")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_clone(lab):
    """a clone has the files of the HEAD, branch, tag or commit that was asked for, and no .git"""
    app = repository(lab, "app", {"a": b"one"})
    first = git(lab, app, "rev-parse", "HEAD").strip()
    git(lab, app, "tag", "v1")
    write(f"{app}/a", b"two")
    write(f"{app}/b")
    git(lab, app, "add", "-A")
    git(lab, app, "commit", "-qm", "second")
    second = git(lab, app, "rev-parse", "HEAD").strip()
    git(lab, app, "checkout", "-q", "-b", "topic/x")
    write(f"{app}/c")
    git(lab, app, "add", "-A")
    git(lab, app, "commit", "-qm", "third")
    git(lab, app, "checkout", "-q", "main")
    write(f"{app}/untracked")
    write(f"{app}/a", b"not committed")
    url = f"file://{app}"
    for ref, files, text in ((None, {b"a", b"b"}, "two"), ("main", {b"a", b"b"}, "two"),
                             ("v1", {b"a"}, "one"), ("topic/x", {b"a", b"b", b"c"}, "two"),
                             (first, {b"a"}, "one"), (first[:8], {b"a"}, "one"),
                             (second[:12], {b"a", b"b"}, "two")):
        words = () if ref is None else (f"ref={ref}",)
        ws = create(lab, f"url={url}", *words)
        seed = ws.record["workspace_seed"]
        assert content(ws) == files and ws.sh("cat a") == text, (ref, ws.shape())
        assert (seed["mode"], seed["seed_path"], seed["origin_kind"]) == (
            "directory", None, "repo_url"), seed
        assert seed["origin_ref"] == (url if ref is None else f"{url}#{ref}"), seed
        assert not os.path.exists(f"{ws.dir()}/clone"), os.listdir(ws.dir())
        ws.delete()
    assert taken(lab, "url=app")[0] == {b"a", b"b"}
    assert ask(lab, f"url={url}", "ref=v1", "describe") == f"a clean clone of {url} at v1"
    for ref in ("nope", "0" * 40, "deadbeef", "refs/heads/nope"):
        error = refused(lab, f"url={url}", f"ref={ref}", about="has no branch, tag or commit")
        assert error["code"] == "not_found", error
    for ref in ("-x", "--upload-pack=x", "a:b", "+main", "main~1", "", "a..b", "@{-1}", "^main"):
        assert refused(lab, f"url={url}", f"ref={ref}", about="repo_ref")["code"] == (
            "invalid_argument"), ref
    assert not lab.vm_dirs(), lab.vm_dirs()


def test_clone_of_modules(lab):
    """a clone has its submodules, of relative addresses, too; a project of a repository is no leak"""
    inner = repository(lab, "inner", {"i": b"i"})
    app = repository(lab, "app", {"a": b"a"})
    git(lab, app, "submodule", "add", inner, "lib")
    write(f"{app}/.gitmodules", b"[submodule \"lib\"]\npath = lib\nurl = ../inner\n")
    git(lab, app, "commit", "-q", "-am", "module")
    assert taken(lab, f"url={app}")[0] == {b".gitmodules", b"a", b"lib/i"}
    with web(functools.partial(Quiet, directory=lab.dir)) as address:
        for path in (app, inner):
            git(lab, path, "update-server-info")
        write(f"{app}/.gitmodules", f"[submodule \"lib\"]\npath = lib\nurl = {inner}\n".encode())
        git(lab, app, "commit", "-q", "-am", "a module of the host's")
        git(lab, app, "update-server-info")
        refused(lab, f"url=http://{address}/app/.git", about="clone 'http")
        git(lab, inner, "tag", "t")
        git(lab, inner, "update-server-info")
        commit = git(lab, inner, "rev-parse", "HEAD").strip()
        for ref in ("t", "main", commit, commit[:10]):
            assert taken(lab, f"url=http://{address}/inner/.git", f"ref={ref}")[0] == {b"i"}, ref
    with web(functools.partial(Slow, directory=lab.dir)) as address:
        ws = create(lab, f"url=http://{address}/inner/.git")
        assert ws.record["expires_at"] - ws.record["created_at"] > 601, "cloning took of its time"
        assert abs(ws("status")["expires_at"] - ws.record["expires_at"]) < 0.01
        ws.delete()
    empty = repository(lab, "empty", commit=False)
    refused(lab, f"url={empty}", about="has no commit yet")


def test_addresses(lab):
    """what git would take for an option or a program is refused, and passwords are never shown"""
    write(f"{lab.dir}/evil", f"#!/bin/sh\n: >{lab.dir}/ran\n".encode(), 0o755)
    for url in (f"--upload-pack={lab.dir}/evil", "", "-x", "a\nb"):
        assert refused(lab, f"url={url}", about="repo_url")["code"] == "invalid_argument", url
    refused(lab, f"url=ext::{lab.dir}/evil", about="'ext' not allowed")
    refused(lab, f"url={lab.dir}/missing", about="No such file")
    refused(lab, f"url=file://{lab.dir}/missing", about="does not")
    with web(Refusing) as address:
        for user in ("somebody:pa%40ssw0rd", "t0kent0ken", "me:p@rt:s3cr3ts3cr3t"):
            url = f"http://{user}@{address}/x.git"
            call = start(lab, f"url={url}", "ref=r")
            done = call.end()
            error = json.loads(done.raw)["error"]
            assert address in error["message"] and WAYS_OUT in error["hint"], error
            text = ask(lab, f"url={url}", "describe")
            assert text == f"a clean clone of http://{address}/x.git", text
            for secret in ("pa%40ssw0rd", "pa@ssw0rd", "t0kent0ken", "s3cr3ts3cr3t"):
                assert secret not in str(done), done
        refused(lab, f"url=http://{address}/x.git", about="terminal prompts disabled")
    assert not os.path.exists(f"{lab.dir}/ran")


def clone_in_hand(lab):
    """A clone from a server that never answers, once git waits for it."""
    server = socket.create_server(("127.0.0.1", 0))
    call = start(lab, f"url=http://127.0.0.1:{server.getsockname()[1]}/x.git")
    server.settimeout(120)
    connection, _ = server.accept()
    eventually(lambda: lab.pids("git-remote-http"), 120, "git fetches")
    return server, connection, call


def test_clone_interrupted(lab):
    """a clone that is cancelled ends with all its processes and leaves nothing"""
    server, connection, call = clone_in_hand(lab)
    with server, connection:
        call.signal(signal.SIGINT)
        done = call.end()
        assert json.loads(done.raw)["error"]["code"] == "cancelled", done
        lab.check_clean()


def test_clone_killed(lab):
    """of a clone whose client is killed no process stays, and its files go with the next call"""
    server, connection, call = clone_in_hand(lab)
    with server, connection:
        kill(call.pid)
        call.end()
        lab.check_no_processes()
        assert [name for name in lab.vm_dirs()
                if os.path.exists(f"{lab.state}/pyro/vms/{name}/clone")], lab.vm_dirs()
        assert lab.json("workspace", "list")["count"] == 0
        lab.check_clean()


