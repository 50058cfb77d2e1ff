# made by make gen from the rows in ops/; do not edit
# pylint: disable=redefined-builtin,too-many-lines
"""The operations of pyro as methods."""
from __future__ import annotations

from os import PathLike
from typing import Any

from .records import *  # noqa: F403

VERSION = "0.1.0"


class Methods:
    """What Pyro inherits."""

    def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        raise NotImplementedError

    def list_environments(self) -> EnvironmentList:
        """List the environments of the catalog and installed images.

        Use it to see which environments exist and which are installed.

        Returns: The catalog.
        """
        return self._call("list_environments", {})

    def pull_environment(self, environment: str) -> Environment:
        """Install an environment on this machine.

        Assembles it from the distribution's signed archive, or from an OCI image: then its name is
        the image's reference. An intact install is kept, unless an image's tag stands for another
        one now.

        environment: Name of the environment, as env list shows it, or of an OCI image.
        Returns: A guest environment: what it is and whether it is installed.
        """
        return self._call("pull_environment", {"environment": environment})

    def inspect_environment(self, environment: str) -> Environment:
        """Show one environment in full.

        Says what it is, where it is installed and why an install does not count.

        environment: Name of the environment, as env list shows it.
        Returns: A guest environment: what it is and whether it is installed.
        """
        return self._call("inspect_environment", {"environment": environment})

    def prune_environments(self) -> Pruned:
        """Remove installs that are stale, broken or no longer in the catalog.

        Also removes templates of machines that nobody started from for a week.

        Returns: What a prune removed.
        """
        return self._call("prune_environments", {})

    def run_in_vm(self, *, environment: str, command: str | list[str], vcpu_count: int = 1,
            mem_mib: int = 1024, timeout_seconds: int = 30, ttl_seconds: int = 600,
            network: bool = False, allow_host_compat: bool = False) -> Run:
        """Run one command in a fresh VM and delete the VM.

        Use it for a single command that should not touch the host. Returns the exit code and
        output.

        environment: Environment to boot, such as debian:12.
        command: One word is a shell command line; several words are an argument vector.
        vcpu_count: Virtual CPUs; 1 to 16.
        mem_mib: Memory in MiB; 128 to 32768.
        timeout_seconds: Kill the command after this many seconds; 1 to 86400.
        ttl_seconds: Remove the VM after this many seconds, whatever happens; 1 to 604800.
        network: Give the guest outbound network.
        allow_host_compat: Run on the host, unisolated, if no guest can run here.
        Returns: The outcome of one command in a VM of its own.
        """
        return self._call("run_in_vm", {"environment": environment, "command": command,
            "vcpu_count": vcpu_count, "mem_mib": mem_mib, "timeout_seconds": timeout_seconds,
            "ttl_seconds": ttl_seconds, "network": network, "allow_host_compat": allow_host_compat})

    def create_vm(self, *, environment: str, vcpu_count: int = 1, mem_mib: int = 1024,
            ttl_seconds: int = 600, network: bool = False, allow_host_compat: bool = False) -> Vm:
        """Create a VM without starting it.

        Returns the vm_id that start, exec and delete take.

        environment: Environment to boot, such as debian:12.
        vcpu_count: Virtual CPUs; 1 to 16.
        mem_mib: Memory in MiB; 128 to 32768.
        ttl_seconds: Remove the VM after this many seconds, whatever happens; 1 to 604800.
        network: Give the guest outbound network.
        allow_host_compat: Run on the host, unisolated, if no guest can run here.
        Returns: A virtual machine.
        """
        return self._call("create_vm", {"environment": environment, "vcpu_count": vcpu_count,
            "mem_mib": mem_mib, "ttl_seconds": ttl_seconds, "network": network,
            "allow_host_compat": allow_host_compat})

    def start_vm(self, vm_id: str) -> Vm:
        """Start a VM and wait until it can run commands.

        Use it after create, or after stop to go on with the same disk.

        vm_id: The VM.
        Returns: A virtual machine.
        """
        return self._call("start_vm", {"vm_id": vm_id})

    def exec_vm(self, vm_id: str, *, command: str | list[str], timeout_seconds: int = 30) -> Run:
        """Run one command in a started VM, then delete the VM.

        Returns the exit code and output. The VM is gone afterwards, whatever the command did.

        vm_id: The VM.
        command: One word is a shell command line; several words are an argument vector.
        timeout_seconds: Kill the command after this many seconds; 1 to 86400.
        Returns: The outcome of one command in a VM of its own.
        """
        return self._call("exec_vm", {"vm_id": vm_id, "command": command,
            "timeout_seconds": timeout_seconds})

    def stop_vm(self, vm_id: str) -> Vm:
        """Stop a VM and keep its disk.

        The guest's file system is flushed first. A start brings it back.

        vm_id: The VM.
        Returns: A virtual machine.
        """
        return self._call("stop_vm", {"vm_id": vm_id})

    def delete_vm(self, vm_id: str) -> VmDeleted:
        """Delete a VM, its disk and everything that runs in it.

        Use it when the VM is no longer needed. It cannot be undone.

        vm_id: The VM.
        Returns: A VM that is gone.
        """
        return self._call("delete_vm", {"vm_id": vm_id})

    def status_vm(self, vm_id: str) -> Vm:
        """Show the state of a VM.

        Says whether it is started, stopped or failed, and why.

        vm_id: The VM.
        Returns: A virtual machine.
        """
        return self._call("status_vm", {"vm_id": vm_id})

    def list_vms(self) -> VmList:
        """List the VMs that exist.

        Shows every VM of this user that was not deleted, newest first.

        Returns: All virtual machines of this user.
        """
        return self._call("list_vms", {})

    def network_info_vm(self, vm_id: str) -> VmNetwork:
        """Show the network of a VM.

        Says whether the guest has outbound network, and its addresses.

        vm_id: The VM.
        Returns: Network of a VM.
        """
        return self._call("network_info_vm", {"vm_id": vm_id})

    def reap_expired(self) -> Reaped:
        """Remove VMs that are past their time or whose owner died.

        Happens by itself; use it to be sure.

        Returns: VMs that were past their time or whose owner had died.
        """
        return self._call("reap_expired", {})

    def create_workspace(self, *, environment: str, seed_path: str | PathLike[str] | None = None,
            name: str | None = None, labels: dict[str, str] | None = None, vcpu_count: int = 1,
            mem_mib: int = 1024, ttl_seconds: int = 600, network_policy: str = "off",
            allow_host_compat: bool = False,
            secrets: list[SecretSource] | None = None) -> Workspace:
        """Create and start a workspace: a disposable, isolated Linux machine for commands and files.

        Use it first; every other workspace tool takes the workspace_id. It can run commands when
        this returns. Files are in /workspace.

        environment: What it runs: debian:12 has git, debian:12-build compilers and python3,
            debian:12-base little.
        seed_path: Directory, .tar, .tar.gz or .tgz of the host to fill /workspace with; of a
            directory all is taken, .git and ignored files too.
        name: Unique name that may stand for the workspace_id.
        labels: Labels, by key.
        vcpu_count: Virtual CPUs; 1 to 16.
        mem_mib: Memory in MiB; 128 to 32768.
        ttl_seconds: Remove the workspace after this many seconds, whatever happens; 3600 suits a
            longer task; 1 to 604800.
        network_policy: Either off: no network device; egress: outbound only; or
            egress+published-ports: services may publish ports, too.
        allow_host_compat: Run on the host, unisolated, if no guest can run here.
        secrets: Secrets, kept in the guest's memory under /run/pyro-secrets.
        Returns: A workspace: one persistent sandbox.
        """
        return self._call("create_workspace", {"environment": environment, "seed_path": seed_path,
            "name": name, "labels": labels, "vcpu_count": vcpu_count, "mem_mib": mem_mib,
            "ttl_seconds": ttl_seconds, "network_policy": network_policy,
            "allow_host_compat": allow_host_compat, "secrets": secrets})

    def list_workspaces(self) -> WorkspaceList:
        """List the workspaces that exist.

        Shows every workspace that was not deleted, the most recently active first.

        Returns: All workspaces of this user.
        """
        return self._call("list_workspaces", {})

    def update_workspace(self, workspace_id: str, *, name: str | None = None,
            clear_name: bool = False, labels: dict[str, str] | None = None,
            clear_labels: list[str] | None = None, ttl_seconds: int | None = None) -> Workspace:
        """Change the name and the labels of a workspace, or keep it longer.

        Labels that are not named stay as they are. Returns the workspace.

        workspace_id: The workspace, by identity or by name.
        name: Its new name.
        clear_name: Take its name away.
        labels: Labels to set, by key.
        clear_labels: Keys of labels to remove.
        ttl_seconds: Keep it for at least this long from now; never shortens; 1 to 604800.
        Returns: A workspace: one persistent sandbox.
        """
        return self._call("update_workspace", {"workspace_id": workspace_id, "name": name,
            "clear_name": clear_name, "labels": labels, "clear_labels": clear_labels,
            "ttl_seconds": ttl_seconds})

    def status_workspace(self, workspace_id: str) -> Workspace:
        """Show the state of a workspace.

        Says whether it is started, stopped or failed, why, and what to do next.

        workspace_id: The workspace, by identity or by name.
        Returns: A workspace: one persistent sandbox.
        """
        return self._call("status_workspace", {"workspace_id": workspace_id})

    def summarize_workspace(self, workspace_id: str) -> WorkspaceSummary:
        """Sum up what was run, changed and exported since the last reset.

        Use it at the end of a task; the text is fit for a pull request.

        workspace_id: The workspace, by identity or by name.
        Returns: A review of what pyro saw since the last reset.
        """
        return self._call("summarize_workspace", {"workspace_id": workspace_id})

    def logs_workspace(self, workspace_id: str, *, sequence: int | None = None, offset: int = 0,
            max_bytes: int | None = None) -> WorkspaceLogs:
        """Show the logs: every command since the last reset, with its output.

        Also commands that still run, with the output so far.

        workspace_id: The workspace, by identity or by name.
        sequence: Only the command of this number; 1 to 2147483647.
        offset: Where to begin in each stream, in bytes: next_offset of the last read; 0 to
            9007199254740991.
        max_bytes: How much of each stream to return; without it, all that is kept; 1 to 1048576.
        Returns: The commands of a workspace since its last reset.
        """
        return self._call("logs_workspace", {"workspace_id": workspace_id, "sequence": sequence,
            "offset": offset, "max_bytes": max_bytes})

    def start_workspace(self, workspace_id: str) -> Workspace:
        """Start a stopped or failed workspace and wait until it can run commands.

        Files, snapshots and history are as they were; processes are not.

        workspace_id: The workspace, by identity or by name.
        Returns: A workspace: one persistent sandbox.
        """
        return self._call("start_workspace", {"workspace_id": workspace_id})

    def stop_workspace(self, workspace_id: str) -> Workspace:
        """Stop a workspace and keep its files, snapshots and history.

        The guest's file system is flushed first. Frees its memory; a start brings it back.

        workspace_id: The workspace, by identity or by name.
        Returns: A workspace: one persistent sandbox.
        """
        return self._call("stop_workspace", {"workspace_id": workspace_id})

    def delete_workspace(self, workspace_id: str) -> WorkspaceDeleted:
        """Delete a workspace with its files, snapshots, history and everything that runs in it.

        Use it when the task is done and exported. It cannot be undone.

        workspace_id: The workspace, by identity or by name.
        Returns: A workspace that is gone.
        """
        return self._call("delete_workspace", {"workspace_id": workspace_id})

    def reset_workspace(self, workspace_id: str, *, snapshot: str = "baseline") -> Workspace:
        """Bring back the files, processes and /tmp of a snapshot or of the seed.

        Use it to retry from a clean state; it takes a fraction of a second. History is cleared;
        snapshots and the diff baseline stay.

        workspace_id: The workspace, by identity or by name.
        snapshot: Name of a snapshot, or baseline: as it was created.
        Returns: A workspace: one persistent sandbox.
        """
        return self._call("reset_workspace", {"workspace_id": workspace_id, "snapshot": snapshot})

    def exec_workspace(self, workspace_id: str, *, command: str | list[str],
            timeout_seconds: int = 30, wait_seconds: int | None = None, secret_env: dict[str,
            str] | None = None) -> WorkspaceExec:
        """Run a command in /workspace and wait for its end.

        Returns the exit code and output; the history keeps them. Files and background processes
        stay. With wait_seconds it returns at the latest then, with state running while the command
        goes on.

        workspace_id: The workspace, by identity or by name.
        command: One word is a shell command line; several words are an argument vector.
        timeout_seconds: Kill the command after this many seconds; 1 to 86400.
        wait_seconds: Return after this many seconds, while the command goes on; without it, at its
            end; 1 to 86400.
        secret_env: Secrets by name, and the environment variable that each becomes.
        Returns: The outcome of one command in a workspace.
        """
        return self._call("exec_workspace", {"workspace_id": workspace_id, "command": command,
            "timeout_seconds": timeout_seconds, "wait_seconds": wait_seconds,
            "secret_env": secret_env})

    def wait_workspace_exec(self, workspace_id: str, sequence: int, *,
            wait_seconds: int | None = None) -> WorkspaceExec:
        """Wait until a command of a workspace has ended, and show what it printed.

        Of one that has ended already, the same at once. With wait_seconds it returns at the latest
        then, with state running and the output so far. Waiting changes nothing of the command.

        workspace_id: The workspace, by identity or by name.
        sequence: Number of the command, as exec and logs show it; 1 to 2147483647.
        wait_seconds: Wait no longer than this; without it, until the command has ended; 1 to 86400.
        Returns: The outcome of one command in a workspace.
        """
        return self._call("wait_workspace_exec", {"workspace_id": workspace_id,
            "sequence": sequence, "wait_seconds": wait_seconds})

    def cancel_workspace_exec(self, workspace_id: str, sequence: int) -> WorkspaceCancelled:
        """Kill a command of a workspace with everything that it started.

        The call that runs it gets what it printed so far; the history keeps that.

        workspace_id: The workspace, by identity or by name.
        sequence: Number of the command, as logs shows it; 1 to 2147483647.
        Returns: A command that was told to end.
        """
        return self._call("cancel_workspace_exec", {"workspace_id": workspace_id,
            "sequence": sequence})

    def diff_workspace(self, workspace_id: str, path: str = "/workspace",
            exclude: list[str] | None = None) -> WorkspaceDiff:
        """Compare /workspace with its state at creation, as a patch.

        The patch is a unified diff that git apply takes on the seed. A .git is left out; what a
        build made is shown, ignored by Git or not: exclude it. What was renamed across the border
        of what is shown is added or deleted.

        workspace_id: The workspace, by identity or by name.
        path: Only what is at or below it, relative to /workspace or beginning with it.
        exclude: Leave out what a build made: globs of names or of paths below /workspace, as
            __pycache__, *.pyc, target, docs/api-*.html.
        Returns: How a workspace differs from its baseline.
        """
        return self._call("diff_workspace", {"workspace_id": workspace_id, "path": path,
            "exclude": exclude})

    def export_workspace(self, workspace_id: str, path: str, *,
            output_path: str | PathLike[str]) -> WorkspaceExport:
        """Export a file or directory of /workspace to a new path on the host.

        The path must not exist. Nothing in the guest can make it write anywhere else.

        workspace_id: The workspace, by identity or by name.
        path: What to copy, relative to /workspace or beginning with it.
        output_path: Path on the host that does not exist yet.
        Returns: What was copied out of a workspace.
        """
        return self._call("export_workspace", {"workspace_id": workspace_id, "path": path,
            "output_path": output_path})

    def push_workspace_sync(self, workspace_id: str, source_path: str | PathLike[str], *,
            dest: str = "/workspace") -> WorkspaceSynced:
        """Import a directory or archive of the host into a started workspace.

        All or nothing. Files of the same names are replaced, others stay. Of a directory all is
        taken, .git and ignored files too.

        workspace_id: The workspace, by identity or by name.
        source_path: Directory, .tar, .tar.gz or .tgz of the host; of a directory, what is in it.
        dest: Directory under /workspace to import into.
        Returns: What was imported into a workspace.
        """
        return self._call("push_workspace_sync", {"workspace_id": workspace_id,
            "source_path": source_path, "dest": dest})

    def list_workspace_files(self, workspace_id: str, path: str = "/workspace",
            recursive: bool = False) -> FileList:
        """List what a directory of the workspace holds.

        Runs nothing in the guest's shell. Sorted by path.

        workspace_id: The workspace, by identity or by name.
        path: Directory, relative to /workspace or beginning with it.
        recursive: Also what is below.
        Returns: What a directory holds.
        """
        return self._call("list_workspace_files", {"workspace_id": workspace_id, "path": path,
            "recursive": recursive})

    def read_workspace_file(self, workspace_id: str, path: str, *, offset: int = 0,
            max_bytes: int = 65536) -> FileRead:
        """Read a file of the workspace.

        What is too long comes in parts: next_offset is where the next one begins, between two
        characters. Bytes that are not UTF-8 are replaced, and content_is_binary says so.

        workspace_id: The workspace, by identity or by name.
        path: File, relative to /workspace or beginning with it.
        offset: Where to begin: next_offset of the last read; 0 to 9007199254740991.
        max_bytes: How much at the most; 1 to 1048576.
        Returns: A file's content, or a part of it.
        """
        return self._call("read_workspace_file", {"workspace_id": workspace_id, "path": path,
            "offset": offset, "max_bytes": max_bytes})

    def write_workspace_file(self, workspace_id: str, path: str, *, text: str) -> FileWritten:
        """Create or replace a text file of the workspace.

        Up to 1 MiB, replaced as a whole; missing directories are made, an existing file keeps its
        mode.

        workspace_id: The workspace, by identity or by name.
        path: File, relative to /workspace or beginning with it.
        text: Its new content.
        Returns: A file that was written.
        """
        return self._call("write_workspace_file", {"workspace_id": workspace_id, "path": path,
            "text": text})

    def apply_workspace_patch(self, workspace_id: str, *, patch: str) -> PatchApplied:
        """Apply a unified diff to /workspace, all or nothing.

        Takes what git diff and diff -u print, up to 1 MiB. What does not match exactly is named by
        file, hunk and line, and nothing changes.

        workspace_id: The workspace, by identity or by name.
        patch: The unified diff.
        Returns: A patch that was applied.
        """
        return self._call("apply_workspace_patch", {"workspace_id": workspace_id, "patch": patch})

    def create_snapshot(self, workspace_id: str, snapshot_name: str) -> SnapshotCreated:
        """Keep the state of the disk under a name, to reset to.

        Takes a moment, whatever the size. Processes are not part of it.

        workspace_id: The workspace, by identity or by name.
        snapshot_name: Made of 1 to 64 letters, digits, dots, dashes and underscores; not baseline.
        Returns: A checkpoint that was made.
        """
        return self._call("create_snapshot", {"workspace_id": workspace_id,
            "snapshot_name": snapshot_name})

    def list_snapshots(self, workspace_id: str) -> SnapshotList:
        """List the snapshots of a workspace.

        The baseline, which was taken at creation, is always there.

        workspace_id: The workspace, by identity or by name.
        Returns: The checkpoints of a workspace.
        """
        return self._call("list_snapshots", {"workspace_id": workspace_id})

    def delete_snapshot(self, workspace_id: str, snapshot_name: str) -> SnapshotDeleted:
        """Delete a named snapshot of a workspace.

        The live files do not change. The baseline cannot be deleted.

        workspace_id: The workspace, by identity or by name.
        snapshot_name: Which snapshot.
        Returns: A checkpoint that is gone.
        """
        return self._call("delete_snapshot", {"workspace_id": workspace_id,
            "snapshot_name": snapshot_name})

    def open_shell(self, workspace_id: str, *, cwd: str = "/workspace", cols: int = 120,
            rows: int = 30, secret_env: dict[str, str] | None = None) -> Shell:
        """Open a persistent terminal session in a workspace.

        Use it for what needs a terminal, or state over several calls: a debugger, a REPL, ssh. It
        lives until close, stop or reset. Returns the shell_id that the other shell tools take.

        workspace_id: The workspace, by identity or by name.
        cwd: Directory of the guest to begin in.
        cols: Width of the terminal; 2 to 1000.
        rows: Height of the terminal; 2 to 1000.
        secret_env: Secrets by name, and the environment variable that each becomes.
        Returns: A terminal session in a workspace.
        """
        return self._call("open_shell", {"workspace_id": workspace_id, "cwd": cwd, "cols": cols,
            "rows": rows, "secret_env": secret_env})

    def list_shells(self, workspace_id: str) -> ShellList:
        """List the shells of a workspace.

        Shows those that run, and those that ended and were not closed.

        workspace_id: The workspace, by identity or by name.
        Returns: The shells of a workspace.
        """
        return self._call("list_shells", {"workspace_id": workspace_id})

    def read_shell(self, workspace_id: str, shell_id: str, *, cursor: int = 0,
            max_chars: int = 65536, plain: bool = False,
            wait_for_idle_ms: int | None = None) -> ShellRead:
        """Read what a shell printed from a cursor on.

        Give next_cursor of the last read as cursor. wait_for_idle_ms waits for output to settle, 30
        s at the most. plain shows text as a person would see it.

        workspace_id: The workspace, by identity or by name.
        shell_id: The shell.
        cursor: Where to begin: next_cursor of the last read; 0 to 9007199254740991.
        max_chars: Characters of output at the most; 1 to 1048576.
        plain: Render escape sequences, progress bars and full-screen programs.
        wait_for_idle_ms: Wait until nothing was printed for so long; 0 to 10000.
        Returns: Output of a shell.
        """
        return self._call("read_shell", {"workspace_id": workspace_id, "shell_id": shell_id,
            "cursor": cursor, "max_chars": max_chars, "plain": plain,
            "wait_for_idle_ms": wait_for_idle_ms})

    def write_shell(self, workspace_id: str, shell_id: str, *, input: str,
            append_newline: bool = True) -> ShellWritten:
        """Send input to a shell, as if it were typed.

        A newline is added unless append_newline is false. Read the answer with shell_read.

        workspace_id: The workspace, by identity or by name.
        shell_id: The shell.
        input: What to type, up to 1 MiB.
        append_newline: Add a newline.
        Returns: Input that a shell was given.
        """
        return self._call("write_shell", {"workspace_id": workspace_id, "shell_id": shell_id,
            "input": input, "append_newline": append_newline})

    def signal_shell(self, workspace_id: str, shell_id: str, *, signal_name: str = "INT") -> Shell:
        """Send a signal to what runs in the foreground of a shell.

        INT is what Ctrl-C does; KILL always ends the job.

        workspace_id: The workspace, by identity or by name.
        shell_id: The shell.
        signal_name: HUP, INT, TERM or KILL.
        Returns: A terminal session in a workspace.
        """
        return self._call("signal_shell", {"workspace_id": workspace_id, "shell_id": shell_id,
            "signal_name": signal_name})

    def close_shell(self, workspace_id: str, shell_id: str) -> Shell:
        """End a shell with everything that it started, and forget its output.

        Returns its last state.

        workspace_id: The workspace, by identity or by name.
        shell_id: The shell.
        Returns: A terminal session in a workspace.
        """
        return self._call("close_shell", {"workspace_id": workspace_id, "shell_id": shell_id})

    def start_service(self, workspace_id: str, service_name: str, *, command: str | list[str],
            cwd: str = "/workspace", readiness: Readiness | None = None,
            ready_timeout_seconds: int = 30, ready_interval_ms: int = 500, secret_env: dict[str,
            str] | None = None, published_ports: list[PortMapping] | None = None) -> Service:
        """Start a long-running process and wait until it is ready.

        Use it for servers and watchers. With readiness it returns when the service can be used, or
        fails with the last lines of its log, and nothing runs. It lives until stop or reset.

        workspace_id: The workspace, by identity or by name.
        service_name: Made of 1 to 64 letters, digits, dots, dashes and underscores.
        command: One word is a shell command line; several words are an argument vector.
        cwd: Directory of the guest to run in.
        readiness: When it counts as ready; without it, when it runs.
        ready_timeout_seconds: End it and fail if it is not ready after so long; 1 to 3600.
        ready_interval_ms: How often to look; at first it is more often; 10 to 60000.
        secret_env: Secrets by name, and the environment variable that each becomes.
        published_ports: Ports of the guest to be reached from the host, on 127.0.0.1.
        Returns: A long-running process of a workspace.
        """
        return self._call("start_service", {"workspace_id": workspace_id,
            "service_name": service_name, "command": command, "cwd": cwd, "readiness": readiness,
            "ready_timeout_seconds": ready_timeout_seconds, "ready_interval_ms": ready_interval_ms,
            "secret_env": secret_env, "published_ports": published_ports})

    def list_services(self, workspace_id: str) -> ServiceList:
        """List the services of a workspace.

        Shows those that run and those that ended.

        workspace_id: The workspace, by identity or by name.
        Returns: The services of a workspace.
        """
        return self._call("list_services", {"workspace_id": workspace_id})

    def status_service(self, workspace_id: str, service_name: str) -> Service:
        """Show the state of a service.

        Says whether it runs, since when, on which ports, and why it ended.

        workspace_id: The workspace, by identity or by name.
        service_name: The service.
        Returns: A long-running process of a workspace.
        """
        return self._call("status_service", {"workspace_id": workspace_id,
            "service_name": service_name})

    def logs_service(self, workspace_id: str, service_name: str, *, tail_lines: int = 200,
            all: bool = False) -> ServiceLogs:
        """Show the last lines that a service printed.

        The last MiB of each stream is kept, also after its end.

        workspace_id: The workspace, by identity or by name.
        service_name: The service.
        tail_lines: Lines of each stream at the most; 1 to 100000.
        all: All that is kept.
        Returns: What a service printed.
        """
        return self._call("logs_service", {"workspace_id": workspace_id,
            "service_name": service_name, "tail_lines": tail_lines, "all": all})

    def stop_service(self, workspace_id: str, service_name: str) -> Service:
        """End a service with everything that it started.

        It is asked by TERM first and killed after ten seconds. Its logs stay.

        workspace_id: The workspace, by identity or by name.
        service_name: The service.
        Returns: A long-running process of a workspace.
        """
        return self._call("stop_service", {"workspace_id": workspace_id,
            "service_name": service_name})

    def export_workspace_disk(self, workspace_id: str, *,
            output_path: str | PathLike[str]) -> DiskExport:
        """Write the disk of a stopped workspace to a new file of the host, as a raw ext4 image.

        The file is sparse. Nothing is booted.

        workspace_id: The workspace, by identity or by name.
        output_path: Path on the host that does not exist yet.
        Returns: The disk of a workspace, as a file.
        """
        return self._call("export_workspace_disk", {"workspace_id": workspace_id,
            "output_path": output_path})

    def list_workspace_disk(self, workspace_id: str, path: str = "/workspace",
            recursive: bool = False) -> FileList:
        """List what a directory of a stopped workspace's disk holds, without booting it.

        Any path of the disk may be given, not only those under /workspace.

        workspace_id: The workspace, by identity or by name.
        path: Directory of the disk; a relative one is under /workspace.
        recursive: Also what is below.
        Returns: What a directory holds.
        """
        return self._call("list_workspace_disk", {"workspace_id": workspace_id, "path": path,
            "recursive": recursive})

    def read_workspace_disk(self, workspace_id: str, path: str, *, offset: int = 0,
            max_bytes: int = 65536) -> FileRead:
        """Read a file of a stopped workspace's disk, without booting it.

        What is too long comes in parts: next_offset is where the next one begins, between two
        characters. Bytes that are not UTF-8 are replaced, and content_is_binary says so.

        workspace_id: The workspace, by identity or by name.
        path: File of the disk; a relative one is under /workspace.
        offset: Where to begin: next_offset of the last read; 0 to 9007199254740991.
        max_bytes: How much at the most; 1 to 1048576.
        Returns: A file's content, or a part of it.
        """
        return self._call("read_workspace_disk", {"workspace_id": workspace_id, "path": path,
            "offset": offset, "max_bytes": max_bytes})

    def connect_host(self, host: str, *, installed_package: bool = False, mode: str | None = None,
            profile: str | None = None, environment: str | None = None,
            network_policy: str | None = None, project_path: str | PathLike[str] | None = None,
            repo_url: str | None = None, repo_ref: str | None = None,
            no_project_source: bool = False) -> HostChange:
        """Register pyro with a chat host, by the host's own command.

        For all projects of this user. What else the host has configured stays; a registration that
        is another is made right, and what was there is said.

        host: Which host: claude-code or codex.
        installed_package: Register plain pyro, to be found in PATH, instead of the path of this
            program.
        mode: Tools and texts for one kind of task: repro-fix, inspect, cold-start or review-eval.
        profile: Which tools: vm-run, workspace-core (the default) or workspace-full.
        environment: What workspace_create runs when it is not told.
        network_policy: Network of workspaces where the model chooses none: off (the default),
            egress or egress+published-ports.
        project_path: Fill workspaces from this project: of a Git checkout the tracked files.
        repo_url: Fill workspaces from a clean clone.
        repo_ref: Branch, tag or commit of the clone.
        no_project_source: Start workspaces empty, also inside a Git checkout.
        Returns: A chat host that starts pyro now.
        """
        return self._call("connect_host", {"host": host, "installed_package": installed_package,
            "mode": mode, "profile": profile, "environment": environment,
            "network_policy": network_policy, "project_path": project_path, "repo_url": repo_url,
            "repo_ref": repo_ref, "no_project_source": no_project_source})

    def print_host_config(self, host: str, *, output_path: str | PathLike[str] | None = None,
            installed_package: bool = False, mode: str | None = None, profile: str | None = None,
            environment: str | None = None, network_policy: str | None = None,
            project_path: str | PathLike[str] | None = None, repo_url: str | None = None,
            repo_ref: str | None = None, no_project_source: bool = False) -> HostConfig:
        """Print the configuration with which a chat host starts pyro.

        With --output it is merged into a file, where everything else stays, comments too.

        host: Which host: opencode.
        output_path: Merge it into this file, which is made if it is missing.
        installed_package: Plain pyro, to be found in PATH, instead of the path of this program.
        mode: Tools and texts for one kind of task: repro-fix, inspect, cold-start or review-eval.
        profile: Which tools: vm-run, workspace-core (the default) or workspace-full.
        environment: What workspace_create runs when it is not told.
        network_policy: Network of workspaces where the model chooses none: off (the default),
            egress or egress+published-ports.
        project_path: Fill workspaces from this project: of a Git checkout the tracked files.
        repo_url: Fill workspaces from a clean clone.
        repo_ref: Branch, tag or commit of the clone.
        no_project_source: Start workspaces empty, also inside a Git checkout.
        Returns: Configuration for a chat host.
        """
        return self._call("print_host_config", {"host": host, "output_path": output_path,
            "installed_package": installed_package, "mode": mode, "profile": profile,
            "environment": environment, "network_policy": network_policy,
            "project_path": project_path, "repo_url": repo_url, "repo_ref": repo_ref,
            "no_project_source": no_project_source})

    def doctor_host(self, *, installed_package: bool = False, mode: str | None = None,
            profile: str | None = None, environment: str | None = None,
            network_policy: str | None = None, project_path: str | PathLike[str] | None = None,
            repo_url: str | None = None, repo_ref: str | None = None,
            no_project_source: bool = False,
            config_path: str | PathLike[str] | None = None) -> HostList:
        """Say for each chat host whether it starts pyro as it should.

        Give it the options that connect was given. Exits with 1 when a host starts something else.

        installed_package: Expect plain pyro, to be found in PATH, instead of the path of this
            program.
        mode: Tools and texts for one kind of task: repro-fix, inspect, cold-start or review-eval.
        profile: Which tools: vm-run, workspace-core (the default) or workspace-full.
        environment: What workspace_create runs when it is not told.
        network_policy: Network of workspaces where the model chooses none: off (the default),
            egress or egress+published-ports.
        project_path: Fill workspaces from this project: of a Git checkout the tracked files.
        repo_url: Fill workspaces from a clean clone.
        repo_ref: Branch, tag or commit of the clone.
        no_project_source: Start workspaces empty, also inside a Git checkout.
        config_path: Configuration file of OpenCode to examine, instead of those it reads here.
        Returns: The chat hosts of this machine.
        """
        return self._call("doctor_host", {"installed_package": installed_package, "mode": mode,
            "profile": profile, "environment": environment, "network_policy": network_policy,
            "project_path": project_path, "repo_url": repo_url, "repo_ref": repo_ref,
            "no_project_source": no_project_source, "config_path": config_path})

    def repair_host(self, host: str, *, installed_package: bool = False, mode: str | None = None,
            profile: str | None = None, environment: str | None = None,
            network_policy: str | None = None, project_path: str | PathLike[str] | None = None,
            repo_url: str | None = None, repo_ref: str | None = None,
            no_project_source: bool = False,
            config_path: str | PathLike[str] | None = None) -> HostChange:
        """Make a chat host start pyro as it should, whatever it starts now.

        What else its configuration says stays, comments too. A file of OpenCode that cannot be read
        is kept beside the new one.

        host: Which host: claude-code, codex or opencode.
        installed_package: Register plain pyro, to be found in PATH, instead of the path of this
            program.
        mode: Tools and texts for one kind of task: repro-fix, inspect, cold-start or review-eval.
        profile: Which tools: vm-run, workspace-core (the default) or workspace-full.
        environment: What workspace_create runs when it is not told.
        network_policy: Network of workspaces where the model chooses none: off (the default),
            egress or egress+published-ports.
        project_path: Fill workspaces from this project: of a Git checkout the tracked files.
        repo_url: Fill workspaces from a clean clone.
        repo_ref: Branch, tag or commit of the clone.
        no_project_source: Start workspaces empty, also inside a Git checkout.
        config_path: Configuration file of OpenCode to repair, instead of the one it reads.
        Returns: A chat host that starts pyro now.
        """
        return self._call("repair_host", {"host": host, "installed_package": installed_package,
            "mode": mode, "profile": profile, "environment": environment,
            "network_policy": network_policy, "project_path": project_path, "repo_url": repo_url,
            "repo_ref": repo_ref, "no_project_source": no_project_source,
            "config_path": config_path})

    def prepare(self, environment: str = "debian:12", network: bool = False,
            force: bool = False) -> Prepared:
        """Install an environment and prove that the everyday loop works.

        Installs it if it is missing, then creates, uses, resets and deletes a throw-away workspace
        and records how that went. As long as nothing it depends on changes, the next call only
        reads the record.

        environment: Environment to prepare.
        network: Prove outbound network too.
        force: Prove it again even if an earlier proof holds.
        Returns: The everyday loop, proved.
        """
        return self._call("prepare", {"environment": environment, "network": network,
            "force": force})

    def doctor(self, *, platform: str = "linux-x86_64", environment: str | None = None) -> Doctor:
        """Examine this machine and say what works and what to mend.

        For every FAIL it names the one command or change that mends it. It ends with 0 also where
        something fails: runtime_ok says whether guests can run.

        platform: Guest platform to examine for.
        environment: Also examine the everyday loop with this environment.
        Returns: What this machine can do, and what to mend.
        """
        return self._call("doctor", {"platform": platform, "environment": environment})

    def demo(self, *, network: bool = False) -> Demo:
        """Create, start, use and delete a VM, and print what happened.

        Installs debian:12 first if it is missing.

        network: Also probe outbound network.
        Returns: Proof that create, start, exec and delete work.
        """
        return self._call("demo", {"network": network})

    def demo_ollama(self, *, base_url: str | None = None, model: str | None = None,
            verbose: bool = False) -> DemoOllama:
        """Let a language model answer a question by running a command in a VM.

        Talks to Ollama, or whatever else has OpenAI's chat completions. A model that makes no valid
        call of the tool is told so; in the end the command runs without it.

        base_url: The server's address (default $OLLAMA_BASE_URL, or http://localhost:11434/v1).
        model: Name of the model (default $OLLAMA_MODEL, or llama3.2:3b).
        verbose: Show all that is sent and received.
        Returns: What a model did with the tool vm_run.
        """
        return self._call("demo_ollama", {"base_url": base_url, "model": model, "verbose": verbose})
