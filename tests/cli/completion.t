# the words of commands come with what they are about
$ pyro __complete w
workspace	Workspaces, persistent sandboxes that an agent works in

# after the first words of several commands the next word is offered, each once
$ pyro __complete workspace s
status	Show the state of a workspace
summary	Sum up what was run, changed and exported since the last reset
start	Start a stopped or failed workspace and wait until it can run commands
stop	Stop a workspace and keep its files, snapshots and history
sync	Bring files of the host into a workspace
snapshot	Checkpoints of a workspace
shell	Terminal sessions that outlive a call
service	Long-running processes, with readiness, logs and ports

# a command that is also the beginning of another offers both
$ pyro __complete demo ''
ollama	Let a language model answer a question by running a command in a VM
--network	Also probe outbound network
--help	Show help

# options come where one begins, and where nothing else is expected
$ pyro __complete vm status vm-1 ''
--json	Print one JSON object on stdout
--help	Show help

# options of pyro itself
$ pyro __complete --
--version	Print the version
--help	Show help

# an argument in its place is named by its input
$ pyro __complete vm status ''
vm-1	started
odd 'n'$(x);`y`	quoted

# options and their values do not count as arguments
$ pyro __complete run --mem-mib 512 --network ''
environment	of run_in_vm
environment-of-none

# a value that belongs to a workspace is of the one that was typed
$ pyro __complete workspace reset fix --snapshot ''
snapshot	of reset_workspace
snapshot-of-fix

# a value behind = is completed with its option
$ pyro __complete workspace reset fix --snapshot=snapshot-
--snapshot=snapshot-of-fix

# files of the host are the shell's
$ pyro __complete workspace sync push fix ''
:files

# so are those of options, and what a command in the guest is given
$ pyro __complete workspace create --seed-path ''
:files

# behind -- it is the command's turn
$ pyro __complete run debian:12 -- ls --
:files

# help takes the words of commands
$ pyro __complete help workspace sna
snapshot	Checkpoints of a workspace

# completion takes the names of shells
$ pyro __complete completion ''
bash
zsh
fish

# what is no command has no candidates, and no error
$ pyro __complete no such ''

# no words at all are no error
$ pyro __complete | head -1
env	Environments, the systems that guests run
