# no command shows the help
$ pyro | head -3
pyro: disposable microVM workspaces for coding agents
<empty>
Usage: pyro COMMAND [ARGUMENTS] [OPTIONS]

# an unknown command is an error that names the nearest
$ pyro env pul debian:12
! pyro: there is no command 'env pul'
! hint: did you mean 'pyro env pull'? pyro env --help lists all
[2]

# an unknown command without anything near it
$ pyro frobnicate
! pyro: there is no command 'frobnicate'
! hint: pyro --help lists all commands
[2]

# a right word whose group was left out
$ pyro exec w -- ls
! pyro: there is no command 'exec'
! hint: did you mean 'pyro workspace exec'? pyro --help lists all
[2]

# a right word whose group within the group was left out
$ pyro workspace push w .
! pyro: there is no command 'workspace push'
! hint: did you mean 'pyro workspace sync push'? pyro workspace --help lists all
[2]

# an unknown command of a group has no suggestion from elsewhere
$ pyro workspace run w
! pyro: there is no command 'workspace run'
! hint: pyro workspace --help lists all commands
[2]

# help is also a word behind a group
$ diff <(pyro workspace help) <(pyro workspace --help)

# an unknown option is an error that names the nearest
$ pyro run debian:12 --timeout-secnds 3 -- true
! pyro: pyro run has no option '--timeout-secnds'
! hint: did you mean '--timeout-seconds'? pyro run --help lists all
[2]

# an option before the command
$ pyro --json env list
{
  "error": {
    "code": "usage",
    "message": "there is no option '--json' here",
    "hint": "options stand behind the whole command; pyro --help",
    "retryable": false
  }
}
[2]

# a forgotten -- is shown where it belongs
$ pyro run debian:12 git --version
! pyro: unexpected argument 'git'
! hint: put -- before the command: pyro run debian:12 -- git --version
[2]

# a missing command shows an example
$ pyro run debian:12
! pyro: COMMAND is missing
! hint: for example: pyro run debian:12 -- git --version
[2]

# a missing environment
$ pyro env pull
! pyro: ENVIRONMENT is missing
! hint: pyro env pull --help
[2]

# one argument too many
$ pyro env list all
! pyro: unexpected argument 'all'
! hint: pyro env list --help
[2]

# an integer below its bounds
$ pyro run debian:12 --mem-mib 0 -- true
! pyro: --mem-mib: 0 is outside 128 to 32768
! hint: pyro run --help
[2]

# an integer above its bounds
$ pyro run debian:12 --vcpu-count 999 -- true
! pyro: --vcpu-count: 999 is outside 1 to 16
! hint: pyro run --help
[2]

# a negative integer
$ pyro run debian:12 --timeout-seconds -1 -- true
! pyro: --timeout-seconds: -1 is outside 1 to 86400
! hint: pyro run --help
[2]

# an integer that is none
$ pyro run debian:12 --ttl-seconds soon -- true
! pyro: --ttl-seconds: expected whole seconds, such as 3600, got 'soon'
! hint: pyro run --help
[2]

# an option without its value
$ pyro run debian:12 --mem-mib
! pyro: --mem-mib needs a value: --mem-mib MIB
! hint: pyro run --help
[2]

# usage errors are JSON with --json
$ pyro run --json
{
  "error": {
    "code": "invalid_argument",
    "message": "ENVIRONMENT is missing",
    "hint": "for example: pyro run debian:12 -- git --version",
    "retryable": false
  }
}
[2]

# an unknown environment is pyro's own failure, with the nearest as the hint
$ pyro env pull debian:21
! pyro: no environment is called 'debian:21'
! hint: did you mean 'debian:12'? pyro env list shows all
[125]

# errors are JSON on stdout with --json
$ pyro env pull debian:21 --json
{
  "error": {
    "code": "unknown_environment",
    "message": "no environment is called 'debian:21'",
    "hint": "did you mean 'debian:12'? pyro env list shows all",
    "retryable": false
  }
}
[125]

# --json behind -- belongs to the command
$ pyro run debian:12 --network=yes -- --json
! pyro: --network takes no value
! hint: pyro run --help
[2]

# an option that every command has takes none, either
$ pyro env list --help=1
! pyro: --help takes no value
! hint: pyro env list --help
[2]

# behind -- an option is an argument
$ pyro workspace file write fix-42 -- -f --text x
! pyro: unexpected argument '--text'
! hint: options stand before --; pyro workspace file write --help
[2]

# a completion for an unknown shell
$ pyro completion tcsh
! pyro: no completion for the shell 'tcsh'
! hint: pyro completion bash, or zsh, or fish
[2]

# -h and --help and help show the same
$ diff <(pyro env pull -h) <(pyro env pull --help) && diff <(pyro help env pull) <(pyro env pull -h) && pyro env pull -h
Install an environment on this machine
<empty>
Usage: pyro env pull ENVIRONMENT [OPTIONS]
<empty>
Assembles it from the distribution's signed archive, or from an OCI image: then
its name is the image's reference. An intact install is kept, unless an image's
tag stands for another one now.
<empty>
Arguments:
  ENVIRONMENT                Name of the environment, as env list shows it, or
                             of an OCI image
<empty>
Options:
  --json                     Print one JSON object on stdout
  -h, --help                 Show this help
<empty>
Examples:
  # Install the default environment
  pyro env pull debian:12
  # Make an environment of an OCI image
  pyro env pull docker.io/library/python:3.12-slim
<empty>
Next: Use it with pyro run ENVIRONMENT -- COMMAND.

# help wins over whatever else is wrong
$ pyro run --frobnicate --help | head -1
Run one command in a fresh VM and delete the VM

# a group without a command shows its commands
$ pyro env
Environments, the systems that guests run
<empty>
Usage: pyro env COMMAND [ARGUMENTS] [OPTIONS]
<empty>
Commands:
  list                List the environments of the catalog and installed images
  pull                Install an environment on this machine
  inspect             Show one environment in full
  prune               Remove installs that are stale, broken or no longer in the
                      catalog
<empty>
More about one: pyro env COMMAND --help

# help of what does not exist
$ pyro help env pul
! pyro: there is no command 'env pul'
! hint: did you mean 'pyro env pull'? pyro env --help lists all
[2]
