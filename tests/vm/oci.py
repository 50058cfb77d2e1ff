"""OCI images as environments, with real guests. How images are pulled and converted: tests/oci."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../oci"))

from images import Image, Server, directory, entry, hardlink, layer  # noqa: E402

HELLO = """
.globl _start
_start:
    mov $1, %eax
    mov $1, %edi
    lea text(%rip), %rsi
    mov $6, %edx
    syscall
    mov $60, %eax
    mov $7, %edi
    syscall
text: .ascii "alone\\n"
"""


def program(lab, source=HELLO):
    """A program that needs nothing, not even a library."""
    path = f"{lab.dir}/program"
    subprocess.run(["gcc", "-nostdlib", "-static", "-x", "assembler", "-o", path, "-"],
                   input=source.encode(), check=True)
    with open(path, "rb") as file:
        return entry("program", file.read(), mode=0o755)


def file_of_host(path, name=None):
    with open(path, "rb") as file:
        return entry((name or path).lstrip("/"), file.read(), mode=0o755)


def shell():
    """A layer with a shell, cat and id of this host."""
    wanted = {}
    for tool in "/bin/dash", "/bin/cat", "/bin/id", "/bin/pwd":
        wanted[tool] = None
        said = subprocess.run(["ldd", tool], check=True, stdout=subprocess.PIPE).stdout.decode()
        for word in said.split():
            if word.startswith("/"):
                wanted[word] = None
    rows = [file_of_host(path) for path in wanted]
    return layer(*rows, hardlink("bin/sh", "bin/dash"), directory("srv"),
                 entry("srv/file", b"lower\n"), entry("srv/gone", b"gone\n"))


def own_cache(lab):
    """A cache of our own, with the shared kernels."""
    shared = lab.cache
    lab.empty_cache()
    os.mkdir(lab.cache)
    subprocess.run(["cp", "-a", f"{shared}/kernels", lab.cache], check=True)


def test_single_program(lab):
    """an image of one static program and nothing else runs it; that it has no shell is said"""
    own_cache(lab)
    Image(layer(program(lab))).save_layout(f"{lab.dir}/layout")
    name = f"oci:{lab.dir}/layout"
    done = lab.call("run", name, "--", "/program", "unused", code=7)
    assert done.out == "alone\n", done
    done = lab.call("run", name, "--", "echo hello", code=127)
    assert "no shell" in done.err, done


def test_configuration(lab):
    """an image's variables and working directory hold in its guests; a layer hides another's files"""
    own_cache(lab)
    image = Image(shell(), layer(entry("srv/file", b"upper\n"), entry("srv/.wh.gone")),
                  config={"Env": ["PATH=/bin:/odd", "COLOUR=blue"], "WorkingDir": "/srv",
                          "User": "nobody", "Entrypoint": ["/never"]})
    with Server(image) as server:
        name = server.name
        done = lab.call("run", name, "--", "pwd; cat file; echo $COLOUR $PATH; cat gone", code=1)
        assert done.out == "/srv\nupper\nblue /bin:/odd\n" and "gone" in done.err, done
        assert "phase=download" in done.err and "phase=unpack" in done.err, done
    # The registry is gone, the environment stays.
    done = lab.call("run", name, "--", "id", "-u", code=0)
    assert done.out == "0\n" and "phase=download" not in done.err, done
    listed = lab.json("env", "list")["environments"]
    assert [row["installed"] for row in listed if row["name"] == name] == [True], listed
    assert f"{name} [installed]" in lab.call("env", "list", code=0).out


def test_workspace(lab):
    """a workspace of an OCI image keeps, diffs, resets and runs on when its registry is gone"""
    own_cache(lab)
    with Server(Image(shell())) as server:
        made = lab.json("workspace", "create", server.name)
        name = server.name
    work = made["workspace_id"]
    assert made["environment"] == name and made["execution_mode"] == "guest_serial", made
    lab.call("workspace", "exec", work, "--", "echo new >file; echo more >/srv/file; pwd", code=0)
    diff = lab.json("workspace", "diff", work)
    assert diff["summary"]["added"] == 1, diff
    pruned = lab.json("env", "prune")
    assert pruned["deleted_environment_dirs"] == [], pruned
    lab.json("workspace", "reset", work)
    done = lab.call("workspace", "exec", work, "--", "cat /srv/file", code=0)
    assert done.out == "lower\n", done
    lab.json("workspace", "delete", work)


def test_relative(lab):
    """a relative path means an image by where it lies, whatever the working directory is later"""
    own_cache(lab)
    for name, text in ("a", b"A\n"), ("b", b"B\n"):
        os.mkdir(f"{lab.dir}/{name}")
        Image(shell(), layer(entry("which", text))).save_layout(f"{lab.dir}/{name}/layout")
    for name in "a", "b":
        done = lab.call("run", "oci:./layout", "--", "cat /which", code=0, cwd=f"{lab.dir}/{name}")
        assert done.out == f"{name.upper()}\n", done


def test_prune(lab):
    """prune keeps an image that is installed, with what it was made of, and removes a broken one"""
    own_cache(lab)
    with Server(Image(layer(program(lab)))) as server:
        lab.call("env", "pull", server.name, code=0)
        shown = lab.json("env", "inspect", server.name)
        with open(f"{lab.cache}/blobs/stray", "wb") as file:
            file.write(b"x" * 8192)
        pruned = lab.json("env", "prune")
        assert pruned["deleted_environment_dirs"] == [] and pruned["freed_bytes"] >= 8192, pruned
        assert len(os.listdir(f"{lab.cache}/blobs")) == 1
        os.truncate(f"{shown['install_dir']}/root.ext4", 4096)
        assert not lab.json("env", "inspect", server.name)["installed"]
        lab.call("env", "pull", server.name, code=0)
        shown = lab.json("env", "inspect", server.name)  # another, if a second has passed since
        assert shown["installed"]
        os.truncate(f"{shown['install_dir']}/root.ext4", 4096)
        pruned = lab.json("env", "prune")
        assert shown["install_dir"] in pruned["deleted_environment_dirs"], pruned
        assert os.listdir(f"{lab.cache}/blobs") == []


def test_not_pulled(lab):
    """an image that is not to be had is an error that names it, and short names are not guessed"""
    own_cache(lab)
    with Server() as server:
        error = lab.error("run", server.name, "--", "true")
        assert error["code"] == "not_found" and server.name in error["message"], error
    error = lab.error("run", server.name, "--", "true")
    assert error["code"] == "pull_failed" and error["retryable"], error
    error = lab.error("run", "python:3.12-slim", "--", "true")
    assert error["code"] == "unknown_environment" and "docker.io/library" in error["hint"], error


def test_prepared(lab):
    """prepare proves an image, and doctor says WARM of it and COLD of another"""
    own_cache(lab)
    with Server(Image(shell())) as server:
        done = lab.json("prepare", server.name)
        assert done["environment"] == server.name, done
        loop = lab.json("doctor", "--environment", server.name)["daily_loop"]
        assert loop["status"] == "WARM" and os.path.dirname(loop["manifest_path"]).endswith("daily")
        loop = lab.json("doctor", "--environment", "oci:../../elsewhere")["daily_loop"]
        assert loop["status"] == "COLD" and ".." not in loop["manifest_path"], loop
