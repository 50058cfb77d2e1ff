# env list begins with the version of the catalog
$ pyro env list
Catalog version: 2026.1
debian:12 [installed] Debian 12 with Git
debian:12-base [not installed] Debian 12 with Git

# env pull tells phases on stderr and what was pulled on stdout
$ pyro env pull debian:12
Pulled: debian:12
Version:          12.1
Distribution:     debian 12
Installed:        yes
Cache dir:        /cache
Default packages: git, ca-certificates
Install dir:      /cache/debian-12
Source:           Debian's archive
Platform:         linux-x86_64
Disk:             345.0 MiB
Description:      Debian 12 with Git
! [pull] phase=install environment=debian:12
! [pull] phase=ready environment=debian:12

# env inspect says why an install does not count
$ pyro env inspect debian:12
Environment:      debian:12
Version:          12.1
Distribution:     debian 12
Installed:        no
Reason:           the kernel does not match its digest
Cache dir:        /cache
Default packages: git, ca-certificates
Source:           Debian's archive
Platform:         linux-x86_64
Description:      Debian 12 with Git

# long lists stand one to a line
$ pyro env prune
Deleted environment dirs: /home/user/.cache/pyro-mcp/environments/a
                          /home/user/.cache/pyro-mcp/environments/b
Count:                    2
Freed:                    1.5 MiB

# a prune that found nothing says so
$ PYRO_CANNED_EMPTY=1 pyro env prune
Nothing to prune.

# without VMs the list says how to use one, and stdout stays empty
$ PYRO_CANNED_EMPTY=1 pyro vm list
! No VMs. Run a command in one: pyro run debian:12 -- COMMAND

# doctor says how to get an environment
$ PYRO_CANNED_EMPTY=1 pyro doctor | grep Installed
Installed:          none (pyro env pull debian:12)

# a list of records is a table
$ pyro vm list
VM ID      Environment  State    Created at           Expires at
vm-1       debian:12    started  2023-11-14 22:13:20  2023-11-14 22:23:20
vm-longer  debian:12    started  2023-11-14 22:13:20  2023-11-14 22:23:20

# a record is a block of labels, times in local time
$ pyro vm status vm-1
VM ID:             vm-1
Environment:       debian:12
State:             started
vCPU count:        1
Mem MiB:           1024
Created at:        2023-11-14 22:13:20
Expires at:        2023-11-14 22:23:20
Network enabled:   no
Allow host compat: no
Execution mode:    guest_serial
Accel:             tcg

# doctor reports PASS and FAIL, and what mends each FAIL
$ pyro doctor --environment debian:12
Platform:           linux-x86_64
Runtime:            FAIL
KVM:                exists=yes readable=yes writable=yes usable=no (the probe guest did not end)
Accelerator:        tcg
Jail:               bubblewrap and seccomp
VM boot:            PASS
Guest exec:         PASS
Guest network:      no (passt is missing)
Catalog version:    2026.1
Environment cache:  /cache
Installed:          git, ca-certificates
Project source:     none
Daily loop:         COLD debian:12 (it was never proved)
  run:              pyro prepare debian:12
<empty>
FAIL networking: passt is missing
  fix: apt-get install passt

# an absent record is left out of doctor's report
$ pyro doctor | grep -c 'Daily loop'
0
[1]

# prepare tells what was proved, how long it took, and what to do next
$ pyro prepare debian:12-build --force --network
Proved debian:12-build (tcg, network too) in 1.55 s
  create:   1.14 s
  delete:   10 ms
! Next: pyro host connect claude-code, or pyro workspace create debian:12-build. Later, pyro doctor --environment debian:12-build tells whether it still holds.

# an earlier proof is told as such
$ pyro prepare 2>/dev/null
Still proved: debian:12 (tcg), since 2023-11-14 22:13:20
  create:   1.14 s
  delete:   10 ms

# the result with --json is one object on stdout and nothing on stderr
$ pyro vm status vm-1 --json
{
  "vm_id": "vm-1",
  "environment": "debian:12",
  "state": "started",
  "reason": null,
  "vcpu_count": 1,
  "mem_mib": 1024,
  "created_at": 1700000000.25,
  "expires_at": 1700000600.25,
  "network_enabled": false,
  "allow_host_compat": false,
  "execution_mode": "guest_serial",
  "accel": "tcg"
}

# demo prints JSON without being asked
$ pyro demo 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)["network_ok"])'
True

# the version
$ pyro --version
pyro 0.1.0

# demo ollama prints the answer, what ran, and a summary last; a model's answer moves no cursor
$ pyro demo ollama
It is 2.39.5. [2J
> git version 2.39.5
[summary] model=llama rounds=2 tool_calls=1 rejected_calls=0 fallback_used=false execution_mode=guest_serial exit_code=0
! [ollama] phase=ask round=1

# -v is an option like the long ones, and a command of the model that failed is a failure
$ pyro demo ollama -v --model other | tail -n 1; exit ${PIPESTATUS[0]}
[summary] model=other rounds=2 tool_calls=1 rejected_calls=0 fallback_used=false execution_mode=guest_serial exit_code=127
! [ollama] phase=request payload={}
[1]
