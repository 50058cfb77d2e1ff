"""What people and scripts get of workspaces without --json."""
from workspace_files import apply, as_git_sees, write
from lab import shape


def test_people(lab):
    """without --json: only the id, a table, a command's own output, a file's bytes, a patch"""
    tree = f"{lab.dir}/tree"
    binary = bytes(range(256)) * 300
    write(f"{tree}/bin", binary)
    write(f"{tree}/latin", b"caf\xe9\n")
    done = lab.call("workspace", "create", "--id-only", "--name", "n", "--label", "k=v",
                    "--seed-path", tree, code=0)
    row = lab.json("workspace", "list")["workspaces"][0]
    assert done.out == row["workspace_id"] + "\n", done
    table = lab.call("workspace", "list", code=0).out
    assert {row["workspace_id"], "n", "k=v", "debian:12", "started"} <= set(table.split()), table

    def call(*words, code=0):
        return lab.call("workspace", *words, code=code)
    done = call("exec", "n", "--", "printf 'out\\377'; echo err >&2; exit 7", code=7)
    assert done.raw == b"out\xff" and "err\n" in done.err and "exit_code=7" in done.err, done
    done = call("file", "read", "n", "bin", "--content-only", "--max-bytes", "100000")
    assert done.raw == binary and not done.err
    done = call("file", "read", "n", "bin", "--max-bytes", "10")
    assert done.raw.startswith(binary[:10]) and "10" in done.out + done.err, done
    call("exec", "n", "--", "printf 'th\\351\\n' >latin; "
         "printf '\\033[31mred' >$(printf 'n\\033[31m')")
    patch = call("diff", "n").raw
    assert b"diff --git a/latin b/latin\n" in patch, patch
    apply(tree, patch)
    lab.json("workspace", "export", "n", ".", "--output", f"{lab.dir}/out")
    assert as_git_sees(shape(tree)) == as_git_sees(shape(f"{lab.dir}/out"))
    for words in (("file", "list", "n"), ("summary", "n"), ("logs", "n"), ("status", "n"),
                  ("snapshot", "list", "n")):
        done = call(*words)
        assert done.out and b"\033" not in done.raw, (words, done)
    done = call("file", "read", "n", "no\033[31m", code=125)
    assert b"\033" not in done.raw + done.err.encode(), done
    call("stop", "n")
    done = call("disk", "read", "n", "bin", "--content-only", "--max-bytes", "100000")
    assert done.raw == binary and not done.err
    call("delete", "n")
