"""The official clients (driven by sdk.mjs) and the Inspector against the server."""
import functools
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
}
SERVERS = ("--profile vm-run",)
ERAS = ("legacy", "modern")
LIMIT_S = 60


def check_sdk(lab, client, promise):
    where = f"{lab.dir}/sdk"
    os.mkdir(where)
    shutil.copy(f"{HERE}/sdk.mjs", where)
    os.symlink(f"{lab.programs}/../node_modules", f"{where}/node_modules")
    done = lab.program("node", f"{where}/sdk.mjs", client, promise, PYRO, "mcp", "serve",
                       "--profile", "vm-run").end(LIMIT_S)
    assert done.code == 0, done


def check_inspector(lab, words, era):
    done = lab.program("inspector", "--cli", PYRO, "mcp", "serve", *words.split(), "--method",
                       "tools/list", "--strict", "--protocol-era", era).end(LIMIT_S)
    assert done.code == 0 and "0 errors, " in done.err.splitlines()[-1], done


def bound(part, check, *args):
    test = functools.partial(check, **dict(args))
    test.part = part
    return test


def tests():
    """(name, function of a lab)"""
    for client in CLIENTS:
        for promise, (text, is_core) in PROMISES.items():
            yield f"sdk {client} {text}", bound(
                "core" if is_core else "slow", check_sdk, ("client", client), ("promise", promise))
    for words in SERVERS:
        for era in ERAS:
            yield f"inspector, {era}, finds no fault in {words}", bound(
                "core", check_inspector, ("words", words), ("era", era))
