# a text that is neither given nor in a file
$ pyro workspace file write w a.txt
! pyro: --text or --text-file is missing
! hint: pyro workspace file write --help
[2]

# a text that is given twice
$ pyro workspace file write w a.txt --text a --text-file b
! pyro: --text and --text-file: give one of them, once
! hint: pyro workspace file write --help
[2]

# a file that is not there
$ pyro workspace file write w a.txt --text-file missing
! pyro: --text-file: open 'missing': No such file or directory
! hint: pyro workspace file write --help
[125]

# a directory is no text
$ pyro workspace patch apply w --patch-file .
! pyro: --patch-file: read '.': Is a directory
! hint: pyro workspace patch apply --help
[125]

# a file that is not UTF-8
$ printf 'caf\351' >latin; pyro workspace file write w a.txt --text-file latin
! pyro: --text-file: 'latin' is not UTF-8 text
! hint: pyro workspace sync push imports files of any kind
[2]

# a file with a NUL character
$ printf 'a\0b' | pyro workspace file write w a.txt --text-file -
! pyro: --text-file: '-' is not UTF-8 text
! hint: pyro workspace sync push imports files of any kind
[2]

# a file of more than 1 MiB
$ head -c 1048577 /dev/zero >big; pyro workspace file write w a.txt --text-file big
! pyro: --text-file: read 'big': larger than 1048576 bytes
! hint: pyro workspace file write --help
[125]

# an output that is not given is named by its option
$ pyro workspace export w src
! pyro: --output is missing
! hint: pyro workspace export --help
[2]

# a label without a value is shown the form
$ pyro workspace create --label wip
! pyro: --label: expected KEY=VALUE, got 'wip'
! hint: pyro workspace create --help
[2]

# a key that is no label's
$ pyro workspace update w --label =x
! pyro: --label: expected KEY=VALUE, got '=x'
! hint: pyro workspace update --help
[2]

# a sequence number that cannot be
$ pyro workspace cancel w 0
! pyro: SEQUENCE: 0 is outside 1 to 2147483647
! hint: pyro workspace cancel --help
[2]

# a workspace command without its command shows an example
$ pyro workspace exec w
! pyro: COMMAND is missing
! hint: for example: pyro workspace exec fix-42 -- make test
[2]

# a forgotten -- in a workspace
$ pyro workspace exec w make test
! pyro: unexpected argument 'make'
! hint: put -- before the command: pyro workspace exec w -- make test
[2]

# a value without its option: the one option there is
$ pyro workspace reset w works
! pyro: unexpected argument 'works'
! hint: did you mean --snapshot works? pyro workspace reset --help lists all
[2]

# a value without its option: the one that must be given
$ pyro workspace export w docs ./out
! pyro: unexpected argument './out'
! hint: did you mean --output ./out? pyro workspace export --help lists all
[2]

# a value without its option: text, or a file that is there
$ pyro workspace patch apply w x.patch ; touch x.patch ; pyro workspace patch apply w x.patch
! pyro: unexpected argument 'x.patch'
! hint: did you mean --patch x.patch? pyro workspace patch apply --help lists all
! pyro: unexpected argument 'x.patch'
! hint: did you mean --patch-file x.patch? pyro workspace patch apply --help lists all
[2]

# a value without its option: several could be meant
$ pyro workspace create debian:12 w
! pyro: unexpected argument 'w'
! hint: pyro workspace create --help
[2]

# a mistyped command of a group within a group
$ pyro workspace snapshot creat w base
! pyro: there is no command 'workspace snapshot creat'
! hint: did you mean 'pyro workspace snapshot create'? pyro workspace snapshot --help lists all
[2]

# a mistyped group within a group
$ pyro workspace snapshto list w
! pyro: there is no command 'workspace snapshto'
! hint: did you mean 'pyro workspace snapshot'? pyro workspace --help lists all
[2]

# a group within a group without a command shows its commands
$ diff <(pyro workspace file) <(pyro help workspace file) && pyro workspace file
Single files of a workspace
<empty>
Usage: pyro workspace file COMMAND [ARGUMENTS] [OPTIONS]
<empty>
Commands:
  list                List what a directory of the workspace holds
  read                Read a file of the workspace
  write               Create or replace a text file of the workspace
<empty>
More about one: pyro workspace file COMMAND --help

# the help shows repeatable options once, with their form
$ pyro workspace update --help | grep label
Change the name and the labels of a workspace, or keep it longer
  --label KEY=VALUE          Labels to set, by key (may be repeated)
  --clear-label KEY          Keys of labels to remove (may be repeated)
  # Set one label and remove another
  pyro workspace update fix-42 --label owner=alice --clear-label wip

# the help shows both forms of a text
$ pyro workspace file write --help | grep -A 3 -e Usage -e --text
Usage: pyro workspace file write WORKSPACE_ID PATH (--text TEXT | --text-file PATH) [OPTIONS]
<empty>
Up to 1 MiB, replaced as a whole; missing directories are made, an existing file
keeps its mode.
--
  --text TEXT                Its new content (this or the next is required)
  --text-file PATH           The same from a file of the host; - is standard
                             input
  --json                     Print one JSON object on stdout
  -h, --help                 Show this help
--
  pyro workspace file write fix-42 notes.txt --text 'hello'
  # The content of a file of the host
  pyro workspace file write fix-42 main.c --text-file ./main.c
<empty>
Next: See the change with pyro workspace diff WORKSPACE_ID.
