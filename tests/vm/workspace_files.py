"""Files into workspaces and out of them: file calls, pushes, exports, diffs, patches."""
import os
import random
import shutil
import signal
import subprocess
import time

from lab import eventually, kill, shape
from workspaces import REFUSED, gzipped, make_tree, tar_bytes, tar_of

GIT = {**os.environ, "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


def write(path, content, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


# One file


def test_file_read(lab):
    """files are listed and read as they are, and nothing outside of /workspace is"""
    ws = lab.workspace()
    ws.sh("mkdir -p d/e; echo text >d/f; : >empty; printf 'a\\377b\\000c' >bin; mkfifo p; "
          "mknod dev c 1 5; mknod disk b 254 0; ln -s d/f l; ln -s /etc out; ln -s .. up; "
          "ln -s l2 l2; ln -s d inside; head -c 3M /dev/zero | tr '\\0' x >big; "
          "printf 'h\\303\\251h\\303\\251' >utf; mkdir n; printf x >'n/a\nb'; chmod 0 d/f")
    listed = ws("file list")
    assert listed["path"] == "/workspace" and listed["artifact_type"] == "directory", listed
    assert listed["count"] == len(listed["entries"]) == 14, listed
    kinds = {e["path"].removeprefix("/workspace/"): e["artifact_type"] for e in listed["entries"]}
    assert list(kinds) == sorted(kinds), kinds
    assert kinds == {"d": "directory", "n": "directory", "empty": "file", "bin": "file",
                     "big": "file", "utf": "file", "p": "other", "dev": "other", "disk": "other",
                     "l": "symlink", "out": "symlink", "up": "symlink", "l2": "symlink",
                     "inside": "symlink"}, kinds
    entry = {e["path"]: e for e in listed["entries"]}
    assert entry["/workspace/out"]["link_target"] == "/etc", entry
    assert entry["/workspace/big"]["size_bytes"] == 3 << 20, entry
    assert entry["/workspace/empty"]["link_target"] is None, entry
    below = [e["path"] for e in ws("file list", "--recursive")["entries"]]
    assert {"/workspace/d/f", "/workspace/d/e", "/workspace/n/a\nb"} <= set(below), below
    assert not any(path.startswith(("/workspace/out/", "/workspace/inside/")) for path in below)
    assert ws("file list", "d")["count"] == ws("file list", "d/e/..")["count"] == 2
    assert ws("file list", "/workspace/d/")["path"] == "/workspace/d"
    assert ws("file list", "d/e")["entries"] == []
    read = ws("file read", "d/f")
    assert read["content"] == "text\n" and read["path"] == "/workspace/d/f", read
    assert (read["size_bytes"], read["max_bytes"], read["truncated"]) == (5, 65536, False), read
    assert read["content_is_binary"] is False
    for path in ("./d/../d/f", "/workspace/d/f", "d//f", "d/e/../../d/f"):
        assert ws("file read", path)["content"] == "text\n", path
    assert ws("file read", "empty")["content"] == ""
    read = ws("file read", "bin")
    assert read["content_is_binary"] and read["content"] == "a\ufffdb\ufffdc", read
    read = ws("file read", "utf", "--max-bytes", "5")
    assert (read["content"], read["truncated"], read["content_is_binary"]) == ("héh", True, False)
    read = ws("file read", "big", "--max-bytes", "1048576")
    assert len(read["content"]) == 1 << 20 and read["truncated"] and read["size_bytes"] == 3 << 20
    assert len(ws("file read", "big")["content"]) == 65536
    assert lab.call(*ws.words("file read", "big", "--max-bytes", "1048577")).code == 2
    for path in ("p", "dev", "disk", "d", "", ".", "nope", "d/f/x", "l2"):
        error = ws.error("file read", path)
        assert error["code"] in ("invalid_argument", "not_found", "refused", "system_error"), error
    for path in ("..", "../etc/passwd", "d/../../etc/passwd", "/etc/passwd", "/", "out/passwd",
                 "up/etc/passwd", "/workspace/../etc/passwd", "/workspacex"):
        for command in ("file read", "file list"):
            error = ws.error(command, path)
            assert error["code"] == "refused", (command, path, error)
    for call in (("file list",), ("file read",), ("export", "--output", f"{lab.dir}/nope")):
        error = ws.error(call[0], "nope", *call[1:])
        assert error["code"] == "not_found" and "workspace file list" in error["hint"], error
    ws.delete()


def read_pages(ws, command, path, max_bytes):
    """All pages of a file as it is read by its next_offset, and what a pipe gets of each."""
    pages, raw, offset = [], [], 0
    while offset is not None:
        words = (command, path, "--offset", str(offset), "--max-bytes", str(max_bytes))
        page = ws(*words)
        raw.append(ws.lab.call(*ws.words(*words, "--content-only"), code=0).raw)
        assert page["offset"] == offset and len(raw[-1]) <= max_bytes, page
        assert page["truncated"] is (page["next_offset"] is not None), page
        end = page["size_bytes"] if page["next_offset"] is None else page["next_offset"]
        assert end - offset == len(raw[-1]) > 0 or page["size_bytes"] == 0, page
        pages.append(page)
        offset = page["next_offset"]
    return pages, raw


def check_pages(ws, command):
    """Of the files `text`, `binary` and `empty` that test_file_pages makes."""
    text = ws.pages["text"].decode()
    for size in (1001, 4096):
        pages, raw = read_pages(ws, command, "text", size)
        assert "".join(page["content"] for page in pages) == text and len(pages) > 2
        assert b"".join(raw) == text.encode()
        assert not any(page["content_is_binary"] for page in pages)
    pages, raw = read_pages(ws, command, "binary", 9000)
    assert b"".join(raw) == ws.pages["binary"] and all(p["content_is_binary"] for p in pages)
    assert len(read_pages(ws, command, "empty", 5)[0]) == 1
    size = len(text.encode())
    for offset in (size, size + 1, (1 << 53) - 1):
        page = ws(command, "text", "--offset", str(offset))
        assert (page["content"], page["next_offset"], page["truncated"], page["size_bytes"]) == \
            ("", None, False, size), page
    page = ws(command, "text", "--offset", "2", "--max-bytes", "5")  # in the second byte of é
    assert (page["content"], page["content_is_binary"], page["next_offset"]) == \
        ("\ufffd€", False, 6), page
    page = ws(command, "text", "--offset", "3", "--max-bytes", "2")  # € has three
    assert (page["content"], page["content_is_binary"], page["next_offset"]) == \
        ("\ufffd\ufffd", False, 5), page
    for offset in ("-1", str(1 << 53), "x"):
        assert ws.lab.call(*ws.words(command, "text", "--offset", offset)).code == 2, offset
    done = ws.lab.call(*ws.words(command, "text", "--offset", "1", "--max-bytes", "3"), code=0)
    assert done.raw == "é".encode() and f"bytes 1 to 2 of {size}; more: --offset 3]" in done.err
    done = ws.lab.call(*ws.words(command, "text", "--offset", str(size)), code=0)
    assert done.raw == b"" and f"nothing at byte {size} of {size}]" in done.err, done


def test_file_pages(lab):
    """pages of a file, live or on the disk, are together the file, and no character is cut"""
    pages = {"text": "aé€🔥".encode() * 1000 + b"end\n", "empty": b"",
             "binary": bytes(range(256)) * 100}
    for name, content in pages.items():
        write(f"{lab.dir}/tree/{name}", content)
    ws = lab.workspace(seed=f"{lab.dir}/tree")
    ws.pages = pages
    check_pages(ws, "file read")
    ws.sh("truncate -s 100G sparse; printf end | dd of=sparse bs=1 seek=107374182400 2>/dev/null")
    page = ws("file read", "sparse", "--offset", str((100 << 30) - 2))
    assert (page["content"], page["next_offset"]) == ("\ufffd\ufffdend", None), page
    ws("stop")
    check_pages(ws, "disk read")
    assert ws("disk read", "sparse", "--offset", str(100 << 30))["content"] == "end"
    ws.delete()


def test_file_write(lab):
    """a write makes or replaces one file as a whole, keeps its mode, and touches nothing else"""
    ws = lab.workspace()
    ws.sh("mkdir d; echo old >f; chmod 4751 f; ln -s /etc out; ln -s d inside; ln -s /etc/l l; "
          "mkfifo p; ln f hard; echo x >file; chmod 500 d")
    written = ws("file write", "f", "--text", "new")
    assert written == {"workspace_id": ws.id, "path": "/workspace/f", "size_bytes": 3,
                       "bytes_written": 3}, written
    assert ws.sh("cat f hard; stat -c %a f") == "newold\n4751\n"
    ws("file write", "a/b/c d/ü", "--text", "äöü\n")
    assert ws.sh("cat 'a/b/c d/ü'; stat -c '%a %U' 'a/b/c d/ü' a") == "äöü\n644 root\n755 root\n"
    ws("file write", "d/f", "--text", "")
    write(f"{lab.dir}/text", b"x" * (1 << 20))
    assert ws("file write", "big", "--text-file", f"{lab.dir}/text")["size_bytes"] == 1 << 20
    ws("file write", "stdin", "--text-file", "-", data=b"from stdin")
    assert ws("file read", "stdin")["content"] == "from stdin"
    before = ws.shape()
    write(f"{lab.dir}/text", b"x" * ((1 << 20) + 1))
    for words in (("big", "--text-file", f"{lab.dir}/text"), ("x", "--text-file", "/nonexistent"),
                  ("x",), ("x", "--text", "a", "--text-file", "-")):
        assert lab.call(*ws.words("file write", *words)).code in (2, 125), words
    write(f"{lab.dir}/text", b"\xff\x00")
    assert lab.call(*ws.words("file write", "x", "--text-file", f"{lab.dir}/text")).code in (2, 125)
    for path in ("out/evil", "inside/evil", "../evil", "/etc/evil", "", ".", "d", "file/x",
                 "f/../../x", "x" * 256, "y/" * 2100 + "y"):
        error = ws.error("file write", path, "--text", "evil")
        assert error["code"] not in ("protocol_error", "vm_died"), (path[:20], error)
    assert ws.shape() == before
    ws.sh("test ! -e /etc/evil")
    for path in ("l", "p"):
        ws("file write", path, "--text", "mine")
    assert ws.sh("test ! -e /etc/l; stat -c %F l p") == "regular file\n" * 2
    events = ws("summary")["edits"]
    assert events[0]["kind"] == "file_write" and events[0]["path"] == "/workspace/f", events
    ws.delete()


# Pushes


def test_sync_push(lab):
    """a push brings a directory or archive over what is there, replacing files of the same names"""
    tree = make_tree(f"{lab.dir}/tree")
    ws = lab.workspace()
    ws.sh("echo old >text; mkdir -p 'a dir' kept; echo kept >kept/f; echo in >'a dir/mine'; "
          "ln -s /etc zero")
    pushed = ws("sync push", tree)
    assert pushed["mode"] == "directory" and pushed["destination"] == "/workspace", pushed
    assert pushed["source_path"] == tree and pushed["entry_count"] >= len(shape(tree)), pushed
    found, want = ws.shape(), shape(tree)
    extra = {b"kept", b"kept/f", b"a dir/mine"}
    assert found.keys() == want.keys() | extra, found.keys() ^ want.keys()
    del want[b"a dir"]  # it was there, and its time is that of the last change
    assert {name: found[name] for name in want} == want, \
        {name: (found[name], want[name]) for name in want if found[name] != want[name]}
    for name, data in (("t.tar", tar_bytes(b"x")), ("t.tar.gz", gzipped(b"yy"))):
        write(f"{lab.dir}/{name}", data)
        pushed = ws("sync push", f"{lab.dir}/{name}", "--dest", "/workspace/new/place")
        assert pushed["mode"] == "tar_archive" and pushed["destination"] == "/workspace/new/place"
        assert (pushed["entry_count"], pushed["bytes_written"]) == (1, 1 if name == "t.tar" else 2)
    assert ws("file read", "new/place/f")["content"] == "yy"
    ws("sync push", f"{lab.dir}/t.tar", "--dest", "kept")
    assert ws.sh("cat kept/f") == "x", "a destination may be relative"
    edits = ws("summary")["edits"]
    assert [e["kind"] for e in edits] == ["sync_push"] * 4 and edits[0]["detail"] == tree, edits
    ws.delete()


def test_sync_push_all_or_nothing(lab):
    """a push that is refused, breaks, has no room or is interrupted leaves the tree as it was"""
    ws = lab.workspace()
    ws.sh("mkdir d; echo old >f; echo old >d/f; ln -s /etc out; ln -s d inside")
    before = ws.shape()
    bad = f"{lab.dir}/bad.tar"
    first = (("f", {}, b"new"), ("d/f", {}, b"new"), ("fresh", {}, b"new"))
    for name, members in REFUSED:
        ws.error("sync push", tar_of(bad, *first, *members), about=name)
        assert ws.shape() == before, name
    ws.error("sync push", tar_of(bad, *first, ("f/x", {}, b"in a file")), about="f/x")
    for data in (tar_bytes(os.urandom(3 << 20))[:2 << 20], gzipped(os.urandom(3 << 20))[:2 << 20]):
        write(f"{lab.dir}/cut.tar.gz", data)
        ws.error("sync push", f"{lab.dir}/cut.tar.gz")
        assert ws.shape() == before
    write(f"{lab.dir}/notes.txt", b"one file\n")
    error = ws.error("sync push", f"{lab.dir}/notes.txt")
    assert f"pyro workspace file write {ws.id} PATH --text-file FILE" in error["hint"], error
    for dest in ("..", "/etc", "out", "out/x", "inside", "f", "f/x", "../x"):
        ws.error("sync push", tar_of(bad, *first), "--dest", dest)
        assert ws.shape() == before, dest
    ws.sh("test ! -e /etc/fresh; fallocate -l $(($(stat -fc '%f * %S' /) - (32 << 20))) /root/fill")
    tar_of(bad, *first, ("large", {}, bytes(64 << 20)))
    error = ws.error("sync push", bad)
    assert error["code"] == "no_space" and "guest" in error["message"] + error["hint"], error
    assert ws.shape() == before
    ws.sh("rm /root/fill; sync")
    write(f"{lab.dir}/many/large", os.urandom(64 << 20))
    for delay in (0.1, 0.4):
        call = lab.start(*ws.words("sync push", f"{lab.dir}/many"))
        call.await_text("phase=push")
        time.sleep(delay)
        call.signal(signal.SIGINT)
        done = call.end()
        assert done.code in (0, 130), done
        if done.code == 130:
            assert ws.shape() == before, delay
    ws("sync push", tar_of(bad, *first))
    assert ws.sh("cat f d/f fresh; rm fresh") == "new" * 3
    ws.delete()


# Exports


def test_export(lab):
    """an export is a file, directory or link as it is in the guest, at a path that did not exist"""
    ws = lab.workspace(seed=make_tree(f"{lab.dir}/tree"))
    out = f"{lab.dir}/out"
    done = ws("export", ".", "--output", out)
    want = shape(f"{lab.dir}/tree")
    found = shape(out)
    assert found == want, {name: (found.get(name), want.get(name)) for name in found.keys() |
                           want.keys() if found.get(name) != want.get(name)}
    assert done["workspace_path"] == "/workspace" and done["output_path"] == out, done
    assert done["artifact_type"] == "directory" and done["entry_count"] >= len(want), done
    for path, kind in (("text", "file"), ("/workspace/a dir", "directory"), ("link", "symlink"),
                       ("absolute", "symlink"), ("empty", "directory"), ("zero", "file"),
                       ("deep/er/est/f", "file")):
        target = f"{out}-{os.path.basename(path)}"
        assert ws("export", path, "--output", target)["artifact_type"] == kind, path
    assert os.readlink(f"{out}-absolute") == "/etc/passwd"
    assert os.stat(f"{out}-text").st_mtime_ns == 1234567890123456789
    with open(f"{out}-text", encoding="utf-8") as file:
        assert file.read() == "one\ntwo\n"
    assert os.listdir(f"{out}-empty") == []
    assert os.listdir(f"{out}-a dir") == ["\"quoted\" 'name' \\"]
    done = lab.call(*ws.words("export", "text", "--output", "relative"), cwd=lab.dir, code=0)
    assert os.path.getsize(f"{lab.dir}/relative") == 8, done
    os.symlink("/nonexistent", f"{lab.dir}/dangling")
    listing = sorted(os.listdir(lab.dir))
    for target in (out, f"{out}-text", f"{lab.dir}/dangling", "/", "/proc/x", f"{lab.dir}/no/x",
                   ""):
        lab.error(*ws.words("export", "text", "--output", target))
    for path in ("nope", "../etc", "/etc", "dir link/x", "absolute/x"):
        ws.error("export", path, "--output", f"{lab.dir}/never")
    assert sorted(os.listdir(lab.dir)) == listing, "what fails leaves nothing"
    exports = ws("summary")["artifacts"]["exports"]
    assert len(exports) == 9 and exports[0]["detail"] == out, exports
    ws.delete()


def test_export_hostile(lab):
    """no tree of a guest writes outside of the export, or leaves more than plain files in it"""
    ws = lab.workspace()
    ws.sh("mkdir t && cd t && ln -s /etc etc && ln -s ../../../.. up && ln -s . self && "
          "echo x >suid && chmod 6755 suid && mkdir sticky && chmod 3777 sticky && "
          "echo n >$(printf 'x%.0s' $(seq 255)) && chown 1234:1234 suid && "
          "printf x >\"$(printf 'new\\nline\\033[31m\\377')\" && "
          "p=.; for i in $(seq 300); do p=$p/d; done; mkdir -p $p && echo deep >$p/f && "
          "truncate -s 100M sparse && mkdir closed && echo x >closed/f && chmod 0 closed")
    out = f"{lab.dir}/out"
    ws("export", "t", "--output", out)
    found = shape(out)
    assert not any(kind[0] not in "fdl" for kind, *_ in found.values()), found
    assert not os.stat(f"{out}/suid").st_mode & 0o7000 and os.stat(f"{out}/suid").st_uid == \
        os.geteuid(), os.stat(f"{out}/suid")
    assert os.readlink(f"{out}/etc") == "/etc" and os.readlink(f"{out}/up") == "../../../.."
    assert b"/".join([b"d"] * 300) + b"/f" in found and b"x" * 255 in found
    assert os.stat(f"{out}/sparse").st_size == 100 << 20
    ws.sh("mkdir s && cd s && echo f >f && mkfifo pipe && mknod null c 1 3 && mknod zero c 0 0")
    error = lab.call(*ws.words("export", "s", "--output", f"{lab.dir}/special"))
    left = set(os.listdir(f"{lab.dir}/special")) if error.code == 0 else {"f"}
    assert left == {"f"} and (error.code == 0 or not os.path.lexists(f"{lab.dir}/special")), error
    for path in ("s/pipe", "s/null"):
        ws.error("export", path, "--output", f"{lab.dir}/never")
    os.kill(lab.qemu(), signal.SIGSTOP)
    call = lab.start(*ws.words("export", "t/sparse", "--output", f"{lab.dir}/interrupted"))
    eventually(lambda: lab.pids("pyro-tar"), 120, "it is under way")
    call.signal(signal.SIGINT)
    assert call.end().code == 130
    os.kill(lab.qemu(), signal.SIGCONT)
    left = [name for name in os.listdir(lab.dir) if name not in ("home", "state", "out", "special")]
    assert not left, left
    ws.delete()


def test_export_killed(lab):
    """an export leaves nothing beside its place when the program that unpacks it is killed"""
    ws = lab.workspace()
    ws.sh("truncate -s 1G big")
    os.mkdir(f"{lab.dir}/out")
    for _ in range(3):
        os.kill(lab.qemu(), signal.SIGSTOP)
        call = lab.start(*ws.words("export", "big", "--output", f"{lab.dir}/out/big"))
        kill(eventually(lambda: lab.pids("pyro-tar"), 120, "pyro-tar")[0])
        os.kill(lab.qemu(), signal.SIGCONT)
        done = call.end()
        assert done.code == 125 and os.listdir(f"{lab.dir}/out") == [], done
    ws.delete()


# Diffs and patches


def changes(ws):
    diff = ws("diff")
    return {e["path"].removeprefix("/workspace/"): (e["status"], e["artifact_type"], e["old_path"])
            for e in diff["entries"]}, diff


def raw_diff(ws):
    """The patch, byte for byte."""
    return ws.lab.call(*ws.words("diff"), code=0).raw


def apply(tree, patch):
    """git apply of a patch on a tree of the host."""
    if patch:
        done = subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], cwd=tree, input=patch,
                              env=GIT, capture_output=True, check=False)
        assert done.returncode == 0, (done.stderr, patch)


def as_git_sees(tree):
    """Without times and directories, and of the permissions only whether it can be run."""
    return {name: ("x" if kind[0] == "f" and int(kind[-3:], 8) & 0o100 else kind[0], target, digest)
            for name, (kind, _, target, digest) in tree.items() if kind[0] != "d"}


def test_diff(lab):
    """a diff names every kind of change, is empty without one, and never shows .git"""
    tree = make_tree(f"{lab.dir}/tree")
    write(f"{tree}/.git/config", b"[core]\n")
    write(f"{tree}/moved", b"".join(b"line %d\n" % i for i in range(50)))
    write(f"{tree}/mode", b"x\n")
    write(f"{tree}/same", b"same\n")
    ws = lab.workspace(seed=tree)
    diff = ws("diff")
    assert diff["changed"] is False and diff["entries"] == [] and diff["patch"] == "", diff
    assert set(diff["summary"].values()) == {0}, diff
    assert raw_diff(ws) == b""
    ws.sh("printf 'one\\nTWO\\n' >text; echo new >'new file'; rm -- -dash; mv moved renamed; "
          "chmod +x mode; ln -sf zero link; rm run.sh; ln -s text run.sh; rm dangling; echo f "
          ">dangling; printf 'still none' >'no end'; head -c 999 /dev/urandom >binary; "
          "touch same; echo x >.git/config; echo y >.git/new; printf e >zero; "
          "printf changed >$(printf 'latin-\\351\\377'); printf n >$(printf 'line\\nfeed'); "
          "rm -r 'a dir'; mkfifo pipe")
    found, diff = changes(ws)
    want = {"text": "modified", "new file": "added", "-dash": "deleted", "renamed": "renamed",
            "mode": "modified", "link": "modified", "run.sh": "type_changed",
            "dangling": "type_changed", "no end": "modified", "binary": "modified",
            "hard link": "modified", "zero": "modified", "latin-\ufffd\ufffd": "modified",
            "line\nfeed": "modified",
            "a dir/\"quoted\" 'name' \\": "deleted", "pipe": "added"}
    assert {name: found[name][0] for name in want if name in found} == want, found
    assert {name for name in found if found[name][1] != "directory"} == want.keys(), found
    assert not any(".git" in name for name in found) and found["renamed"][2] == "moved", found
    assert found["pipe"][1] == "other" and found["run.sh"][1] == "symlink", found
    summary = diff["summary"]
    assert summary["total"] == len(diff["entries"]) and summary["type_changed"] == 2, summary
    assert summary["renamed"] == 1 and summary["added"] == 2 and summary["deleted"] >= 2, summary
    assert [e["path"] for e in diff["entries"]] == sorted(e["path"] for e in diff["entries"])
    assert diff["changed"] is True and "GIT binary patch" in diff["patch"]
    assert "\\ No newline at end of file" in diff["patch"] and ".git/" not in diff["patch"]
    ws.sh("rm pipe")
    shutil.rmtree(f"{tree}/.git")
    apply(tree, raw_diff(ws))
    ws("export", ".", "--output", f"{lab.dir}/out")
    shutil.rmtree(f"{lab.dir}/out/.git")
    assert as_git_sees(shape(tree)) == as_git_sees(shape(f"{lab.dir}/out"))
    ws.delete()


def lose_clusters(ws, content):
    """Damages the disk where the first snapshot has clusters of that content."""
    with open(f"{ws.dir()}/disk.qcow2", "r+b") as file:
        disk = file.read()

        def number(at, size=8):
            return int.from_bytes(disk[at:at + size], "big")

        def entries(table, count):
            """Of a table: where each is, and the cluster it names."""
            found = ((at, number(at) & 0xfffffffffffe00) for at in range(table, table + 8 * count, 8))
            return [(at, cluster) for at, cluster in found if cluster]
        snapshot = number(64)
        lost = [at for _, table in entries(number(snapshot), number(snapshot + 8, 4))
                for at, cluster in entries(table, 8192) if content in disk[cluster:cluster + 65536]]
        assert lost, "it is there"
        for at in lost:
            file.seek(at)
            file.write((1 << 50).to_bytes(8, "big"))


def test_diff_damaged(lab):
    """a diff that comes to what is damaged of the baseline says so, however much is new"""
    write(f"{lab.dir}/tree/first", os.urandom(1 << 20))
    write(f"{lab.dir}/tree/second", b"lost " * 50000)
    ws = lab.workspace(seed=f"{lab.dir}/tree")
    lose_clusters(ws, b"lost " * 13000)
    for size in ("1", "2M"):
        ws.sh(f"echo changed | tee first >second; head -c {size} /dev/urandom >new")
        ws.error("diff", about="the disk of the workspace is damaged")
    ws.delete()


def test_diff_exclude(lab):
    """what is excluded is in no part of a diff, and its patch applies to the seed"""
    tree = f"{lab.dir}/tree"
    for name in ("src/fix.py", "src/moved", "docs/a.html", "docs/a.md"):
        write(f"{tree}/{name}", b"".join(b"%s %d\n" % (name.encode(), i) for i in range(50)))
    ws = lab.workspace(seed=tree)
    ws.sh("mkdir -p src/__pycache__ target/deep; head -c 9000 /dev/urandom >src/__pycache__/fix.pyc; "
          "echo x >target/deep/x; echo x >>docs/a.html; echo x >>docs/a.md; echo x >>src/fix.py; "
          "mv src/moved target/moved; mkfifo target/pipe")
    globs = ("__pycache__", "target", "docs/*.html")
    words = [word for glob in globs for word in ("--exclude", glob)]
    diff = ws("diff", *words)
    assert {e["path"]: e["status"] for e in diff["entries"]} == {
        "docs/a.md": "modified", "src/fix.py": "modified", "src/moved": "deleted"}, diff
    assert diff["summary"]["total"] == 3 and diff["summary"]["non_text"] == 0, diff["summary"]
    assert "pyc" not in diff["patch"] and "target" not in diff["patch"], diff["patch"]
    found = ws("diff", "src", "--exclude", "*.py", *words)
    assert [e["path"] for e in found["entries"]] == ["src/moved"], found
    nothing = ws("diff", "--exclude", "*")
    assert (nothing["changed"], nothing["entries"], nothing["patch"]) == (False, [], ""), nothing
    ws("diff", *["--exclude", "g" * 255] * 64)
    for wrong in ([""], ["g" * 256], ["g"] * 65):
        error = ws.error("diff", *[word for glob in wrong for word in ("--exclude", glob)])
        assert error["code"] == "invalid_argument" and "exclude" in error["message"], error
    apply(tree, lab.call(*ws.words("diff", *words), code=0).raw)
    assert not os.path.exists(f"{tree}/target") and not os.path.exists(f"{tree}/src/moved")
    ws.delete()


def test_diff_path(lab):
    """a diff of a path has what changed at or below it, and applies to the seed"""
    tree = f"{lab.dir}/tree"
    for name in ("src/in", "src/keep", "src/deep/f", "src.c", "out", "big"):
        write(f"{tree}/{name}", b"".join(b"%s %d\n" % (name.encode(), i) for i in range(50)))
    ws = lab.workspace(seed=tree)
    ws.sh("mv src/in moved-out; mv out src/moved-in; mv src/deep/f src/deep/g; echo x >>src.c; "
          "echo x >>src/keep; head -c 200M /dev/zero >big; echo n >src/new; mkfifo src/p p; "
          "mkdir -p src/.git; echo x >src/.git/config")
    want = {"in": "deleted", "moved-in": "added", "deep/g": "renamed", "keep": "modified",
            "new": "added", "p": "added"}
    for path in ("src", "/workspace/src/", "./src/deep/.."):
        diff = ws("diff", path)
        assert {e["path"].removeprefix("src/"): e["status"] for e in diff["entries"]} == want, diff
    assert diff["summary"]["total"] == 6 and diff["summary"]["added"] == 3, diff["summary"]
    assert diff["summary"]["renamed"] == 1 and diff["patch_omitted"] is None, diff["summary"]
    assert "src.c" not in diff["patch"] and "moved-out" not in diff["patch"]
    found = ws("diff", "moved-out")["entries"]
    assert [(e["path"], e["status"], e["old_path"]) for e in found] == \
        [("moved-out", "added", None)], found
    assert [e["path"] for e in ws("diff", "src/deep")["entries"]] == ["src/deep/g"]
    for path in ("nope", "src/nope/x", "sr", "src.c/x", "src/.git", "src/keep/"):
        diff = ws("diff", path)
        assert diff["changed"] is (path == "src/keep/"), (path, diff)
        assert diff["changed"] or (diff["entries"], diff["patch"]) == ([], ""), (path, diff)
    assert len(ws("diff", "/workspace")["entries"]) > 6
    for path in ("..", "/etc", "src/../../etc", "/workspacex"):
        assert ws.error("diff", path)["code"] == "refused", path
    ws.sh("rm src/p")
    apply(tree, lab.call(*ws.words("diff", "src"), code=0).raw)
    ws("export", "src", "--output", f"{lab.dir}/out")
    shutil.rmtree(f"{lab.dir}/out/.git")
    assert as_git_sees(shape(f"{tree}/src")) == as_git_sees(shape(f"{lab.dir}/out"))
    assert os.path.exists(f"{tree}/out") and not os.path.exists(f"{tree}/moved-out")
    ws.delete()


NAMES = [b"a", b"b.c", b"\xff\xfe", b"sp ace", b"new\nline", "ü".encode(), b"-x", b"q\"uote",
         b"t\tab",
         b"back\\slash", b"#", b"end ", b"*"]


def random_content(r):
    kind = r.randrange(5)
    if kind == 0:
        return b"\0" + r.randbytes(r.randrange(300))
    lines = [b"%d %s" % (r.randrange(9), r.choice(NAMES).replace(b"\n", b"")) for _ in
             range(r.randrange(40))]
    return (b"\r\n" if kind == 1 else b"\n").join(lines) + (b"" if r.randrange(3) == 0 else b"\n")


def random_path(r, top):
    return b"/".join([top] + [r.choice(NAMES) for _ in range(r.randrange(1, 4))])


def random_tree(r, top, count):
    """Puts files and links wherever nothing is in the way."""
    for _ in range(count):
        path = random_path(r, top)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if r.randrange(6) == 0:
                os.symlink(b"to " + r.choice(NAMES), path)  # git refuses links to themselves
            elif not os.path.lexists(path):
                with open(path, "xb") as file:
                    file.write(random_content(r))
                os.chmod(path, r.choice((0o644, 0o755)))
        except OSError:
            pass


def quote(path):
    return b"'" + path.replace(b"'", b"'\\''") + b"'"


def random_edits(r, tree, count):
    """A shell script that changes the tree it is run in."""
    paths = sorted(name for name, (kind, *_) in shape(tree).items() if kind[0] != "d")
    script = b""
    for _ in range(count):
        path, other = quote(b"./" + r.choice(paths)), quote(random_path(r, b"."))
        content = random_content(r)
        octal = "".join(f"\\{byte:03o}" for byte in content[:60]).encode()
        script += r.choice((
            b"rm -rf %s" % path,
            b"printf '%s' >>%s" % (octal, path),
            b"rm -rf %s; printf '%s' >%s" % (path, octal, path),
            b"mv -T %s %s" % (path, other),
            b"chmod +x %s" % path,
            b"chmod -x %s" % path,
            b"rm -rf %s; ln -s target %s" % (path, path),
            b"rm -rf %s; mkdir %s; printf '%s' >%s/in" % (path, path, octal, path),
            b"mkdir -p %s; printf '%s' >%s/new" % (other, octal, other),
            b"sed -i 1d %s" % path,
            b"cp -T %s %s" % (path, other),
        )) + b"\n"
    return b"exec 2>/dev/null\n" + script + b"find . -type p -delete; exit 0\n"


def test_diff_property(lab):
    """for random trees git apply of a diff on the seed gives the live tree, as patch apply does"""
    seed = int(os.environ.get("PYRO_TEST_SEED") or random.randrange(10**6))
    r, shown = random.Random(seed), f"PYRO_TEST_SEED={seed}"
    for round_ in range(3):
        tree = f"{lab.dir}/tree{round_}"
        os.mkdir(tree)
        random_tree(r, os.fsencode(tree), 60)
        ws = lab.workspace(seed=tree)
        script = random_edits(r, tree, 40)
        ws.exec("sh", data=script)
        live = as_git_sees(ws.shape())
        ws("export", ".", "--output", f"{tree}-out")
        assert as_git_sees(shape(f"{tree}-out")) == live, shown
        patch = raw_diff(ws)
        apply(tree, patch)
        applied = as_git_sees(shape(tree))
        assert applied == live, (shown, {name: (applied.get(name), live.get(name)) for name in
                                         applied.keys() | live.keys()
                                         if applied.get(name) != live.get(name)})
        ws("reset")
        write(f"{lab.dir}/patch", patch)
        if is_utf8(patch):
            ws("patch apply", "--patch-file", f"{lab.dir}/patch")
            applied = as_git_sees(ws.shape())
            assert applied == live, (shown, {name: (applied.get(name), live.get(name)) for name in
                                             applied.keys() | live.keys()
                                             if applied.get(name) != live.get(name)})
            assert raw_diff(ws) == patch, shown
        ws.delete()


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in data


def git(tree, *words):
    return subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@x", *words], cwd=tree,
                          env=GIT, capture_output=True, check=True).stdout


def lines(*words):
    return "".join(f"{word}\n" for word in words).encode()


def test_edits_are_news(lab):
    """what is written or patched is newer than what was made just before, so that make sees it"""
    ws = lab.workspace()
    ws("file write", "patched", "--text", "old\n")
    patch = b"--- a/patched\n+++ b/patched\n@@ -1 +1 @@\n-old\n+new\n"
    ws.sh("touch made")
    ws("file write", "written", "--text", "x")
    ws("patch apply", "--patch-file", "-", data=patch)
    assert ws.sh("find . -type f -newer made | sort") == "./patched\n./written\n"
    ws.delete()


def test_patch_apply(lab):
    """patch apply takes what git diff and diff -ruN print, and tells what became of each file"""
    tree = f"{lab.dir}/tree"
    write(f"{tree}/f", lines(*range(30)))
    write(f"{tree}/gone", b"gone\n")
    write(f"{tree}/old name", lines(*range(100, 140)))
    write(f"{tree}/run", b"#!/bin/sh\n")
    write(f"{tree}/bin", bytes(range(256)))
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "x")
    ws = lab.workspace(seed=tree)
    shutil.copytree(tree, f"{lab.dir}/b")
    write(f"{tree}/f", lines("first", *range(1, 15), "middle", *range(15, 30), "last"))
    write(f"{tree}/sub dir/new", b"new without end")
    os.unlink(f"{tree}/gone")
    os.rename(f"{tree}/old name", f"{tree}/new name")
    os.chmod(f"{tree}/run", 0o755)
    os.symlink("f", f"{tree}/link")
    write(f"{tree}/bin", b"\0\1\2" * 100)
    git(tree, "add", "-A")
    write(f"{lab.dir}/patch", git(tree, "diff", "--cached", "--binary", "-M"))
    done = ws("patch apply", "--patch-file", f"{lab.dir}/patch")
    assert done["changed"] is True, done
    assert {e["path"].removeprefix("/workspace/"): e["status"] for e in done["entries"]} == {
        "f": "modified", "gone": "deleted", "new name": "renamed", "run": "modified",
        "link": "added", "bin": "modified", "sub dir/new": "added"}, done
    assert done["summary"] == {"total": 7, "added": 2, "modified": 3, "deleted": 1, "renamed": 1}
    shutil.rmtree(f"{tree}/.git")
    ws.sh("rm -rf .git")
    assert as_git_sees(ws.shape()) == as_git_sees(shape(tree))
    ws("reset")
    ws.sh("rm -rf .git")
    shutil.rmtree(f"{lab.dir}/b/.git")
    for name in ("link", "bin"):
        os.unlink(f"{tree}/{name}")
    shutil.copy2(f"{lab.dir}/b/bin", f"{tree}/bin")
    os.chmod(f"{tree}/run", 0o644)  # diff -u cannot tell it
    plain = subprocess.run(["diff", "-ruN", "b", "tree"], cwd=lab.dir, stdout=subprocess.PIPE,
                           check=False).stdout
    ws("patch apply", "--patch-file", "-", data=plain)
    assert as_git_sees(ws.shape()) == as_git_sees(shape(tree)), plain
    edits = ws("summary")["edits"]
    assert [e["kind"] for e in edits] == ["patch_apply"], edits
    ws.delete()


def test_patch_refused(lab):
    """a patch that does not fit is named by file, hunk and line, and changes nothing"""
    tree = f"{lab.dir}/tree"
    write(f"{tree}/f", lines(*range(40)))
    write(f"{tree}/g", lines(*range(40)))
    ws = lab.workspace(seed=tree)
    ws.sh("ln -s /etc out; ln -s /etc/hostname l; mkdir -p .git")
    before = ws.shape()

    def hunk(at, old, new):
        return f"@@ -{at},3 +{at},3 @@\n {at - 1}\n-{old}\n+{new}\n {at + 1}\n"

    def file(name, *hunks, old="a", new="b"):
        return f"--- {old}/{name}\n+++ {new}/{name}\n" + "".join(hunks)
    good = file("g", hunk(3, "3", "three"))

    def refuse(patch, *words):
        error = ws.error("patch apply", "--patch-file", "-", data=patch.encode())
        assert all(word in error["message"] for word in words), (words, error)
    for patch, words in (
            (good + file("f", hunk(3, "3", "x"), hunk(20, "99", "y")), ("'f'", "hunk 2")),
            (good + file("missing", hunk(3, "3", "x")), ("missing",)),
            (good + "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n", ("f",)),
            (file("../../etc/passwd", hunk(3, "3", "x")), ("etc/passwd",)),
            (file("out/passwd", hunk(3, "3", "x")), ("out",)),
            ("--- /dev/null\n+++ b/out/evil\n@@ -0,0 +1 @@\n+x\n", ("out",)),
            ("--- /dev/null\n+++ b/.git/config\n@@ -0,0 +1 @@\n+x\n", (".git",)),
            ("--- /dev/null\n+++ /etc/evil\n@@ -0,0 +1 @@\n+x\n", ("evil",)),
            (good + file("f", "@@ -3,3 +3,3 @@\n 2\n-3\n"), ("f",)),
            (good + file("f", "@@ -3,x +3,3 @@\n 2\n"), ("line",)),
            ("this is no patch\n", ("patch",)), ("", ("patch",)),
            (good + "diff --git a/f b/n\nsimilarity index 100%\nrename from nope\nrename to n\n",
             ("nope",)),
            ("diff --git a/f b/g\nsimilarity index 100%\nrename from f\nrename to g\n", ("g",))):
        refuse(patch, *words)
    large = "--- /dev/null\n+++ b/n\n@@ -0,0 +1,300000 @@\n" + "+123\n" * 300000
    ws.error("patch apply", "--patch-file", "-", data=large.encode(), about="larger")
    assert ws.shape() == before
    ws.sh("test ! -e /etc/evil")
    ws("patch apply", "--patch-file", "-", data=good.encode())
    assert ws.sh("sed -n 4p g") == "three\n"
    ws.delete()
