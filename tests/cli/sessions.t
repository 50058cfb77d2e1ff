# a shell, opened
$ pyro workspace shell open fix | sed "s|, at 20.*|, at TIME|"
Shell:     sh-1
Workspace: ws-1
State:     running
Terminal:  120 x 30
Directory: /workspace
Started:   2 min ago, at TIME

# only its identity, for a script
$ pyro workspace shell open fix --id-only
sh-1

# shells
$ pyro workspace shell list fix
SHELL  STATE    EXIT  TERMINAL  DIRECTORY   STARTED
sh-1   running     -  120x30    /workspace  2 min ago
sh-2   stopped   130  120x30    /workspace  2 min ago

# no shells: how to open one
$ pyro workspace shell list empty
! No shells. Open one: pyro workspace shell open ws-1

# output goes to a pipe as it is, what is said of it apart
$ pyro workspace shell read fix sh-1 | od -c | head -2
0000000 033   [   1   m   /   w   o   r   k   s   p   a   c   e       #
0000020 033   [   0   m    
! 
! [sh-1 is running; what follows: --cursor 14]

# output of which the beginning is kept no longer
$ pyro workspace shell read fix sh-long --plain
/workspace # 
! 
! [2048 bytes before this are kept no longer]
! [sh-long is running; there is more: --cursor 14]

# what was typed
$ pyro workspace shell write fix sh-1 --input hello
! [6 bytes typed into sh-1]

# without a newline
$ pyro workspace shell write fix sh-1 --input hello --no-newline
! [5 bytes typed into sh-1]

# nothing to type
$ pyro workspace shell write fix sh-1
! pyro: --input is missing
! hint: pyro workspace shell write --help
[2]

# attaching without a terminal
$ pyro workspace shell attach fix </dev/null
! pyro: attach needs a terminal
! hint: without one: pyro workspace shell write and shell read
[2]

# a service that is ready
$ pyro workspace service start fix web --ready-tcp 127.0.0.1:8000 --publish 8000 -- python3 -m http.server | sed "s|, at 20.*|, at TIME|"
Service:   web
Workspace: ws-1
State:     running
Command:   python3 -m http.server
Directory: /workspace
Process:   311
Started:   2 min ago, at TIME
Ready:     tcp 127.0.0.1:8000, after 1.00 s
Ports:     127.0.0.1:40123 -> 8000

# a service that never is
$ pyro workspace service start fix late -- ./late
! pyro: service 'late' was not ready after 30 s: tcp 127.0.0.1:8000: connection refused
! hint: pyro workspace service logs ws-1 late
[125]

# a secret for two variables
$ pyro workspace exec fix --secret-env T --secret-env T=U -- true
! pyro: --secret-env: 'T' is given twice
! hint: pyro workspace exec --help
[2]

# a command without --
$ pyro workspace service start fix web python3 -m http.server
! pyro: unexpected argument 'python3'
! hint: put -- before the command: pyro workspace service start fix web -- python3 -m http.server
[2]

# an option by its beginning
$ pyro workspace create --network egress
! pyro: pyro workspace create has no option '--network'
! hint: did you mean '--network-policy'? pyro workspace create --help lists all
[2]

# one character
$ pyro workspace shell write fix sh-1 --input ''
! [1 byte typed into sh-1]

# two readiness probes
$ pyro workspace service start fix web --ready-tcp localhost:1 --ready-file x -- ./web
! pyro: --ready-file: only one readiness can be given
! hint: pyro workspace service start --help
[2]

# a port that is none
$ pyro workspace service start fix web --publish http -- ./web
! pyro: --publish: expected [HOST_PORT:]GUEST_PORT, and 'http' is no number
! hint: pyro workspace service start --help
[2]

# services
$ pyro workspace service list fix
SERVICE  STATE    EXIT  PORTS                    STARTED    COMMAND
api      exited      1  -                        2 min ago  ./api --port '80 80'
web      running     -  127.0.0.1:40123 -> 8000  2 min ago  python3 -m http.server

# no services: how to start one
$ pyro workspace service list empty
! No services. Start one: pyro workspace service start ws-1 NAME -- COMMAND

# a service that ended
$ pyro workspace service status fix api | sed "s|, at 20.*|, at TIME|"
Service:   api
Workspace: ws-1
State:     exited with 1: it ended by itself
Command:   python3 -m http.server
Directory: /workspace
Started:   2 min ago, at TIME
Ready:     file ok, never
Ended:     60 s ago, at TIME

# logs go to the streams that they came from
$ pyro workspace service logs fix web 2>/dev/null | cat -v
line
escape ^[[2J

# what is said of logs
$ pyro workspace service logs fix web 2>&1 >/dev/null | cat -v
GET / 200
[earlier lines are left out; all that is kept: --all]

# all of them
$ pyro workspace service logs fix web --all --json
{
  "workspace_id": "ws-1",
  "service_name": "web",
  "state": "running",
  "stdout": "line\nescape \u001B[2J\n",
  "stderr": "GET / 200",
  "tail_lines": null,
  "truncated": false
}

# a secret without a value, whose text is not repeated
$ pyro workspace create --secret hunter2
! pyro: --secret: expected NAME=VALUE, and there is no '='
! hint: pyro workspace create --help
[2]

# a service is stopped
$ pyro workspace service stop fix web | sed "s|, at 20.*|, at TIME|"
Service:   web
Workspace: ws-1
State:     stopped with 1: it ended by itself
Command:   python3 -m http.server
Directory: /workspace
Started:   2 min ago, at TIME
Ended:     60 s ago, at TIME
