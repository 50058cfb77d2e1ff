# create tells its phases on stderr and what was made on stdout
$ pyro workspace create debian:12 --name fix | sed "s|, at 20.*|, at TIME|"
Workspace:     ws-1
Name:          fix
Labels:        issue=42, team=core
State:         started
Environment:   debian:12, 1 vCPU, 1024 MiB, guest_serial (tcg)
Network:       off
Seed:          directory /home/user/project, 812 entries, 3.2 MiB
Created:       2 h ago, at TIME
Last activity: 2 min ago, at TIME
Expires:       in 8 min, at TIME
Commands:      3
Services:      1 of 2 running
Shells:        1
Resets:        2, the last 3 days ago
! [workspace-create] phase=create environment=debian:12

# --id-only prints the id alone
$ pyro workspace create debian:12 --id-only 2>/dev/null
ws-1

# what failed says why and what to do
$ pyro workspace status failed | sed "s|, at 20.*|, at TIME|"
Workspace:     ws-1
Labels:        issue=42, team=core
State:         failed: the machine ended unexpectedly
Next:          pyro workspace start ws-1
Environment:   debian:12, 1 vCPU, 1024 MiB, guest_serial (tcg)
Network:       off
Seed:          directory /home/user/project, 812 entries, 3.2 MiB
Created:       2 h ago, at TIME
Last activity: 2 min ago, at TIME
Expires:       in 8 min, at TIME
Commands:      3
Services:      1 of 2 running
Shells:        1
Resets:        2, the last 3 days ago

# workspaces are a table: times are relative, what has no name has its id
$ pyro workspace list
NAME   WORKSPACE ID  STATE    ENVIRONMENT  SERVICES        ACTIVE     EXPIRES   LABELS
fix-é  ws-1          started  debian:12    1 of 2 running  2 min ago  in 8 min  issue=42, team=core
-      ws-longer     failed   debian:12    1 of 2 running  2 min ago  in 8 min

# without workspaces the list says how to make one, and stdout stays empty
$ PYRO_CANNED_EMPTY=1 pyro workspace list
! No workspaces. Make one: pyro workspace create debian:12 --seed-path .

# --json lists none as an empty list
$ PYRO_CANNED_EMPTY=1 pyro workspace list --json
{
  "count": 0,
  "workspaces": []
}

# exec passes output and exit code on, and ends with a line on stderr
$ pyro workspace exec fix -- seven
! on stderr
! [workspace-exec] sequence=4 exit_code=7 duration_ms=12 execution_mode=guest_serial
[7]

# a command that ran out of its time says so, unlike one that goes on
$ pyro workspace exec fix -- late
! [workspace-exec] sequence=4 exit_code=124 duration_ms=12 execution_mode=guest_serial
! timed out: a longer --timeout-seconds lets the command go on
[124]

# a wait that ran out says how to go on, and ends as a timeout does
$ pyro workspace exec fix --wait-seconds 5 -- hello
hello
! [workspace-exec] sequence=4 state=running duration_ms=12 execution_mode=guest_serial
! still running: pyro workspace wait ws-1 4
[124]

# that the workspace is removed soon is said last
$ pyro workspace exec failed -- hello
hello
! [workspace-exec] sequence=4 exit_code=0 duration_ms=12 execution_mode=guest_serial
! [workspace-exec] the workspace is removed in 90 s

# a workspace whose name could not be told is named by the error, with the way to be rid of it
$ pyro workspace create --id-only >/dev/full
! [workspace-create] phase=create environment=debian:12
! pyro: workspace 'ws-1' was created; write to standard output: No space left on device
! hint: pyro workspace delete ws-1
[125]

# wait shows what was printed; a command whose machine ended has no exit code
$ pyro workspace wait fix 4
so far
! [workspace-wait] sequence=4 state=interrupted execution_mode=guest_serial
[125]

# output of exec that ends without a newline stays as it is
$ pyro workspace exec fix -- unended 2>/dev/null
no newline

# logs show each command as it was typed, its output cleaned and its end
$ pyro workspace logs fix
[1] $ make test | tail
  line
  escape  [2J and no end
! warning
[1] exit 2 after 1.23 s, begun 2 min ago
<empty>
[2] $ echo 'two words' 'it'\''s' ''
  line
  escape  [2J and no end
[2] running, begun 2 min ago

# logs without commands say so on stderr
$ pyro workspace logs empty
! No commands since the last reset.

# diff prints the patch alone on stdout, byte for byte, and sums up on stderr
$ pyro workspace diff fix | cat -v
diff --git a/f b/f
--- a/f
+++ b/f
@@ -1 +1 @@
 same
-old
--- gone
+	new^[[2J
diff --git a/b b/b
GIT binary patch
literal 1
+cmZ
! 5 changed: 1 added, 1 modified, 1 deleted, 1 of another type, 1 renamed
! Not in the patch, a device, pipe or socket: link

# diff without changes prints nothing on stdout
$ pyro workspace diff empty
! No changes.

# diff without a patch lists what changed, in one line each, and says why
$ pyro workspace diff huge
+ new dir/
~ src/a [31mb c
- old
> from -> to
t link
! There is no patch: the changed files hold too much, first 'b [2Jg'
! 5 changed: 1 added, 1 modified, 1 deleted, 1 of another type, 1 renamed

# files are listed by type, size and name; no name can begin a line
$ pyro workspace file list fix
-  12 bytes  a [31mb c
d            src/
l            link -> src/main.c
?            pipe
-   5.0 MiB  big

# an empty directory is said to be empty
$ pyro workspace file list empty
! /workspace is empty.

# file read gives the content to a pipe as it is, and says on stderr what it was
$ pyro workspace file read fix notes | od -c | head -2
0000000   t   e   x   t  \n   w   i   t   h   o   u   t       e   n   d
0000020
! [/workspace/notes: bytes 0 to 65535 of 70000; more: --offset 65536]

# file read gives bytes that are no text to a pipe as they are
$ pyro workspace file read fix binary | od -c | head -1
0000000 377 001
! [/workspace/binary: 2 bytes]

# --content-only prints the bytes and nothing else
$ pyro workspace file read fix binary --content-only 2>&1 | od -c
0000000 377 001
0000002

# file write says where it wrote
$ pyro workspace file write fix a.txt --text hello
Wrote 5 bytes to /workspace/a.txt

# patch apply lists the files
$ echo x | pyro workspace patch apply fix --patch-file -
~ src/main.c

# a patch without effect says so
$ echo x | pyro workspace patch apply empty --patch-file -
The patch changes nothing.

# sync push says what was imported
$ pyro workspace sync push fix /home/user/lib --dest lib
Imported /home/user/lib into /workspace/lib: 1 entry, 1.5 KiB

# export says what went where
$ pyro workspace export fix dist --output /home/user/out
Exported /workspace/dist to /home/user/out: directory, 12 entries, 1.5 KiB

# snapshots are created, listed and deleted
$ pyro workspace snapshot create fix green; pyro workspace snapshot list fix; pyro workspace snapshot delete fix green
Created snapshot 'green' of fix
SNAPSHOT  KIND      CREATED
baseline  baseline  2 h ago
green     named     2 h ago
Deleted snapshot 'green' of fix

# a disk's export tells its size and what it occupies
$ pyro workspace disk export fix --output /home/user/disk
Exported the disk to /home/user/disk: ext4, 16.0 GiB, of which 260.0 MiB are written

# cancel tells whether there was something to cancel
$ pyro workspace cancel fix 1; pyro workspace cancel fix 2
Command 1 was cancelled.
Command 2 had ended already.

# delete says what is gone
$ pyro workspace delete ws-1
Deleted ws-1

# a summary is Markdown; commands and names stay in their code spans
$ pyro workspace summary fix
# Workspace fix
<empty>
debian:12, started, since 2023-11-14 22:13:20
<empty>
The last command was interrupted; 5 entries changed.
<empty>
## Commands: 8, 2 failed
<empty>
| # | command | result | time |
| --- | --- | --- | --- |
| 6 | ``` grep -c `date` log \| wc ``x`` ``` | timed out, 124 | 1.23 s |
| 7 | `make` | interrupted |  |
| 8 | `make` | cancelled, 137 | 60 ms |
<empty>
## Changes: 9
<empty>
- added `new dir`
- modified `src/a [31mb c`
- deleted `old`
- renamed `from` to `to`
- type_changed `link`
- and 4 more
<empty>
## Edits from outside: 2
<empty>
- sync push `/workspace/lib`: `/home/user/lib`
- patch apply: `1 file`
<empty>
## Services: 1
<empty>
- `web` running
<empty>
## What happened to services: 1
<empty>
- service start `web`
<empty>
## Exports: 1
<empty>
- export `/workspace/dist`: `/home/user/out`
<empty>
## Snapshots: 1
<empty>
- snapshot create `green`

# a summary of a workspace that is not started says what it cannot know
$ pyro workspace summary empty
# Workspace empty
<empty>
debian:12, started, since 2023-11-14 22:13:20
<empty>
The last command was interrupted; 5 entries changed.
<empty>
## Commands: 0, 0 failed
<empty>
## Changes: unknown
<empty>
the workspace is stopped

# a patch of any length comes out whole
$ pyro workspace diff long 2>/dev/null | wc -c
62914560

# the line about a file does not stick to its content where both go the same way
$ pyro workspace file read fix notes 2>&1 | cat
text
without end
[/workspace/notes: bytes 0 to 65535 of 70000; more: --offset 65536]

# the content alone stays so where stderr goes the same way
$ pyro workspace file read fix notes --content-only 2>&1 | tail -c 4 | od -c | head -1
0000000       e   n   d

# the last line of exec does not stick to output where both go the same way
$ pyro workspace exec fix -- unended 2>&1 | cat
no newline
[workspace-exec] sequence=4 exit_code=0 duration_ms=12 execution_mode=guest_serial
