"""Projects as they are found: checkouts full of what should stay outside, and clean clones."""
import os
import socket
import subprocess
import sys

import page
import place
from client import Server
from host import USER, ordinary_user
from lab import IS_ROOT

ENVIRONMENT = "debian:12"
MODE = ("--mode", "repro-fix", "--environment", ENVIRONMENT)


def tracked(project):
    """The files of Git's index."""
    return set(subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=project,
                              check=True, text=True,
                              stdout=subprocess.PIPE).stdout.split("\0")) - {""}


def make_messy(project):
    """Adds what projects collect: results of builds, dependencies, secrets, sockets, a change."""
    for name in ("build/count.o", "node_modules/left/pad.js", ".env", "core.1234"):
        os.makedirs(os.path.dirname(f"{project}/{name}"), exist_ok=True)
        with open(f"{project}/{name}", "w", encoding="utf-8") as file:
            file.write("TOKEN=s3cr3t\n")
    os.chmod(f"{project}/.env", 0)
    os.mkfifo(f"{project}/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{project}/agent.sock")
    with open(f"{project}/README.md", "a", encoding="utf-8") as file:
        file.write("\nnot committed yet\n")


def files_of(server, workspace_id):
    entries = server.ask("workspace_file_list", workspace_id=workspace_id, recursive=True)["entries"]
    return {entry["path"].removeprefix("/workspace/") for entry in entries
            if entry["artifact_type"] == "file"}


def test_messy_checkout(lab):
    """of a messy checkout an agent gets the tracked files as they are on disk, and nothing else"""
    project = page.set_up(lab)
    make_messy(project)
    server = Server(lab, *MODE, cwd=project)
    seed = server.ask("workspace_create", name="messy")["workspace_seed"]
    assert seed["origin_kind"] == "project_path" and seed["skipped_count"] == 0, seed
    assert files_of(server, "messy") == tracked(project)
    text = server.ask("workspace_file_read", workspace_id="messy", path="README.md")["content"]
    assert text.endswith("not committed yet\n"), text
    assert server.ask("workspace_diff", workspace_id="messy")["changed"] is False
    server.ask("workspace_delete", workspace_id="messy")
    assert server.close() == []


def test_unreadable(lab):
    """a tracked file that the user may not read is named, and stops nothing"""
    project = page.set_up(lab)
    make_messy(project)
    os.chmod(f"{project}/tally.c", 0)
    if IS_ROOT:  # who may read everything
        ordinary_user(lab)
        subprocess.run(["chown", "-R", f"{USER}:{USER}", project], check=True)
    server = Server(lab, *MODE, cwd=project)
    seed = server.ask("workspace_create", name="messy")["workspace_seed"]
    assert (seed["skipped_count"], seed["skipped"]) == (1, ["tally.c"]), seed
    assert files_of(server, "messy") == tracked(project) - {"tally.c"}
    server.ask("workspace_delete", workspace_id="messy")
    assert server.close() == []


def bare_repository(lab):
    """A repository as a server has it, with a branch, and a commit after that."""
    project = page.set_up(lab)
    bare = f"{lab.dir}/tally.git"
    subprocess.run(
        "git -c user.name=a -c user.email=a commit -qm first && git branch old && git rm -q tallyd.c && "
        f"git -c user.name=a -c user.email=a commit -qm second && git clone -q --bare . {bare}",
        shell=True, cwd=project, env=lab.env, check=True)
    return bare


def test_clean_clone(lab):
    """a clean clone of a bare repository is what an agent gets, at the branch that is asked for"""
    bare = bare_repository(lab)
    for words, ref, has_tallyd in (((), "", False), (("--repo-ref", "old"), "#old", True)):
        server = Server(lab, *MODE, "--repo-url", bare, *words, cwd=lab.dir)
        seed = server.ask("workspace_create", name="clone")["workspace_seed"]
        assert (seed["origin_kind"], seed["origin_ref"]) == ("repo_url", bare + ref), seed
        found = files_of(server, "clone")
        assert "count.c" in found and ("tallyd.c" in found) == has_tallyd, found
        server.ask("workspace_delete", workspace_id="clone")
        assert server.close() == []


def test_clean_clone_in_python(lab):
    """create_server() with a repository gives the same clone"""
    code = f"""
import asyncio
from pyro_mcp import create_server

async def main():
    async with create_server(mode="repro-fix", environment="{ENVIRONMENT}",
                             repo_url={bare_repository(lab)!r}) as server:
        _, made = await server.call_tool("workspace_create", {{}})
        _, ran = await server.call_tool("workspace_exec", {{
            "workspace_id": made["workspace_id"], "command": "ls"}})
        print(made["workspace_seed"]["origin_kind"], ran["stdout"].split())
        await server.call_tool("workspace_delete", {{"workspace_id": made["workspace_id"]}})

asyncio.run(main())
"""
    out = place.run(sys.executable, "-c", code, env=place.python_env(lab.env), cwd=lab.dir)
    assert out.startswith("repo_url [") and "count.c" in out and "tallyd.c" not in out, out
