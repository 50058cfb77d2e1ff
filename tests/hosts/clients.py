"""The official clients (driven by sdk.mjs) and the Inspector against the server."""
import functools
import json
import os
import shutil

from drivers import PYRO

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = ("v1", "v2", "v2-auto", "v2-modern")
PROMISES = {  # of sdk.mjs, what each says, and whether it is of the core
    "list": ("lists the tools", True),
    "call": ("gets results that fit the schemas", True),
    "progress": ("gets progress", False),
    "error": ("gets an error's own text", False),
    "cancel": ("cancels a call and goes on", False),
    "parallel": ("runs calls side by side", False),
    "leave": ("closes during a call in time, and the workspace lives", False),
}
SERVERS = ("--profile vm-run", "--profile workspace-core", "--profile workspace-full",
           "--mode repro-fix", "--mode inspect", "--mode cold-start", "--mode review-eval")
ERAS = ("legacy", "modern")
LIMIT_S = 180


def check_sdk(lab, client, promise):
    where = f"{lab.dir}/sdk"
    os.mkdir(where)
    shutil.copy(f"{HERE}/sdk.mjs", where)
    os.symlink(f"{lab.programs}/../node_modules", f"{where}/node_modules")
    done = lab.program("node", f"{where}/sdk.mjs", client, promise, PYRO, "mcp", "serve").end(LIMIT_S)
    assert done.code == 0, done
    for workspace in lab.json("workspace", "list")["workspaces"]:
        assert promise == "leave" and workspace["state"] == "started", workspace
        lab.json("workspace", "delete", workspace["workspace_id"])


def inspect(lab, words, *more):
    return lab.program("inspector", "--cli", PYRO, "mcp", "serve", *words.split(), *more).end(LIMIT_S)


def check_schemas(lab, words, era):
    done = inspect(lab, words, "--method", "tools/list", "--strict", "--protocol-era", era)
    assert done.code == 0 and json.loads(done.out)["tools"] and not done.err, done


def check_call(lab, era):
    done = inspect(lab, "", "--method", "tools/call", "--tool-name", "workspace_list",
                   "--format", "json", "--protocol-era", era)
    assert done.code == 0, done
    assert json.loads(done.out)["result"]["structuredContent"]["workspaces"] == [], done


def bound(is_core, check, **arguments):
    test = functools.partial(check, **arguments)
    test.part = "core" if is_core else "slow"
    return test


def tests():
    """(name, function of a lab)"""
    for client in CLIENTS:
        for promise, (text, is_core) in PROMISES.items():
            yield f"sdk {client} {text}", bound(is_core, check_sdk, client=client, promise=promise)
    for era in ERAS:
        yield f"inspector, {era}, calls a tool", bound(True, check_call, era=era)
        for words in SERVERS:
            yield f"inspector, {era}, finds no fault in {words}", bound(
                era == "modern", check_schemas, words=words, era=era)
