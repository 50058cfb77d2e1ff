# run passes the guest's output through and tells its phases on stderr
$ pyro run debian:12 -- hello
hello
! [run] phase=create environment=debian:12
! [run] phase=start vm_id=vm-1
! [run] phase=execute vm_id=vm-1
! [run] environment=debian:12 execution_mode=guest_serial exit_code=0 duration_ms=12

# pyro ends with the command's exit code
$ pyro run debian:12 -- seven
! [run] phase=create environment=debian:12
! [run] phase=start vm_id=vm-1
! [run] phase=execute vm_id=vm-1
! on stderr
! [run] environment=debian:12 execution_mode=guest_serial exit_code=7 duration_ms=12
[7]

# a command that ran out of its time says so
$ pyro run debian:12 -- late
! [run] phase=create environment=debian:12
! [run] phase=start vm_id=vm-1
! [run] phase=execute vm_id=vm-1
! [run] environment=debian:12 execution_mode=guest_serial exit_code=124 duration_ms=12
! timed out: a longer --timeout-seconds lets the command go on
[124]

# with --json all of the output is in one object, and the exit code is still the command's
$ pyro run debian:12 --json -- seven
{
  "vm_id": "vm-1",
  "environment": "debian:12",
  "command": "seven",
  "stdout": "captured",
  "stderr": "",
  "stdout_bytes": 0,
  "stderr_bytes": 0,
  "stdout_truncated": false,
  "stderr_truncated": false,
  "exit_code": 7,
  "duration_ms": 12,
  "execution_mode": "guest_serial",
  "accel": "tcg",
  "timed_out": false,
  "cleanup": {
    "deleted": true,
    "reason": "post_exec_cleanup",
    "vm_id": "vm-1"
  }
}
[7]

# a file on standard input is passed to the command
$ echo some text >file; pyro run debian:12 -- input 2>/dev/null <file
some text

# a pipe on standard input is passed to the command
$ echo some text | pyro run debian:12 -- input 2>/dev/null
some text

# /dev/null on standard input is no input
$ pyro run debian:12 -- input 2>/dev/null </dev/null
no input

# output that ends without a newline stays as it is
$ pyro run debian:12 -- unended 2>/dev/null | od -c | head -1
0000000   n   o       n   e   w   l   i   n   e

# running on the host is said loudly, once
$ pyro run debian:12 --allow-host-compat -- hello
hello
! [run] phase=create environment=debian:12
! [run] phase=start vm_id=vm-1
! pyro: WARNING: host_compat: the command runs on THIS HOST, not in a guest: no accelerator works
! [run] phase=execute vm_id=vm-1
! [run] environment=debian:12 execution_mode=host_compat exit_code=0 duration_ms=12

# running on the host is said also with --json, on stderr
$ pyro run debian:12 --allow-host-compat --json -- hello >/dev/null
! pyro: WARNING: host_compat: the command runs on THIS HOST, not in a guest: no accelerator works

# a reader that goes away ends the run quietly
$ pyro run debian:12 -- flood 2>/dev/null | head -1; echo "${PIPESTATUS[0]}"
flood flood flood flood flood flood flood flood
141

# a reader that goes away is no error to talk about
$ mkfifo p; : <p & exec 3>p; wait; pyro env list >&3; echo "$?" >&2; rm p
! 141

# a full disk behind standard output is an error
$ pyro env list >/dev/full
! pyro: write to standard output: No space left on device
! hint: free disk space, or run pyro env prune
[125]

# so it is behind the output of a command
$ pyro run debian:12 -- hello 2>&1 >/dev/full | grep -v '^\['
pyro: write to standard output: No space left on device
hint: free disk space, or run pyro env prune

# and ends the run
$ pyro run debian:12 -- flood 2>/dev/null >/dev/full
[125]

# a result that cannot be told is no success
$ pyro env list >&-
! pyro: write to standard output: Bad file descriptor
[125]

# nobody reading stderr changes nothing
$ pyro run debian:12 -- seven 2>&- >/dev/null
[7]

# a closed stderr is not taken for another file
$ pyro run debian:12 -- hello 2>&-
hello
