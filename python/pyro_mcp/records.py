# made by make gen from the rows in ops/; do not edit
# pylint: disable=too-many-lines
"""What operations take and return: plain dictionaries of these types."""
from __future__ import annotations

from typing import NotRequired, TypedDict


class Environment(TypedDict):
    """A guest environment: what it is and whether it is installed."""

    name: str
    # Stable name, such as debian:12
    version: str
    # Version of this definition in the catalog
    description: str
    # What it is for
    distribution: str
    # Name of the distribution
    distribution_version: str
    # Release of the distribution
    default_packages: list[str]
    # Packages on top of the minimal system
    platform: str
    # Guest platform, linux-x86_64
    installed: bool
    # All artifacts are present and match their digests
    install_dir: str | None
    # Where the artifacts are; null when not installed
    cache_dir: str
    # Where environments are kept
    source: str
    # What it is assembled from
    reason: str | None
    # Why an install that is on disk does not count
    disk_bytes: int | None
    # Disk space that the install occupies


class EnvironmentList(TypedDict):
    """The catalog."""

    catalog_version: str
    # Version of the catalog
    environments: list[Environment]
    # Every environment of the catalog


class Pruned(TypedDict):
    """What a prune removed."""

    deleted_environment_dirs: list[str]
    # Directories that were removed
    count: int
    # How many directories
    freed_bytes: int
    # Disk space that became free


class Cleanup(TypedDict):
    """What happened to the VM after its command."""

    deleted: bool
    # The VM, its disk and its processes are gone
    reason: str
    # Why it was deleted
    vm_id: str
    # Which VM


class Run(TypedDict):
    """The outcome of one command in a VM of its own."""

    vm_id: str
    # The VM that ran it
    environment: str
    # Environment of the VM
    command: str | list[str]
    # The command as it was given
    stdout: str
    # Standard output; the middle is cut out when it is long
    stderr: str
    # Standard error; the middle is cut out when it is long
    stdout_bytes: int
    # Bytes the command wrote to standard output
    stderr_bytes: int
    # Bytes the command wrote to standard error
    stdout_truncated: bool
    # stdout is not all of it
    stderr_truncated: bool
    # stderr is not all of it
    exit_code: int
    # Exit status; 124 timed out, 126 not executable, 127 not found, 128+n signal n
    duration_ms: int
    # How long the command ran, in milliseconds
    execution_mode: str
    # guest_serial: in a guest; host_compat: on the host
    accel: str | None
    # kvm or tcg; null for host_compat
    timed_out: bool
    # The command was killed at its timeout
    cleanup: Cleanup
    # What happened to the VM afterwards


class Vm(TypedDict):
    """A virtual machine."""

    vm_id: str
    # Its identity
    environment: str
    # What it runs
    state: str
    # stopped, started or failed
    reason: str | None
    # Why it failed
    vcpu_count: int
    # Virtual CPUs
    mem_mib: int
    # Memory in MiB
    created_at: float
    # Seconds since the epoch
    expires_at: float
    # When it is removed unasked, in seconds since the epoch
    network_enabled: bool
    # It has outbound network
    allow_host_compat: bool
    # It may fall back to the host
    execution_mode: str | None
    # guest_serial or host_compat; null before the first start
    accel: str | None
    # kvm or tcg; null before the first start


class VmList(TypedDict):
    """All virtual machines of this user."""

    count: int
    # How many
    vms: list[Vm]
    # Newest first


class VmDeleted(TypedDict):
    """A VM that is gone."""

    vm_id: str
    # Which VM
    deleted: bool
    # True


class VmNetwork(TypedDict):
    """Network of a VM."""

    vm_id: str
    # Which VM
    network_enabled: bool
    # It has outbound network
    policy: str
    # off or egress
    guest_ip: str | None
    # Address in the guest
    gateway_ip: str | None
    # Gateway the guest sees
    reason: str | None
    # Why it has none now, though it is enabled


class Reaped(TypedDict):
    """VMs that were past their time or whose owner had died."""

    deleted_vm_ids: list[str]
    # Which VMs
    count: int
    # How many


class WorkspaceSeed(TypedDict):
    """What a workspace was filled with when it was made."""

    mode: str
    # empty, directory or tar_archive
    seed_path: str | None
    # Directory or archive on the host; null for empty
    origin_kind: str
    # empty, manual_seed_path, project_path or repo_url: who chose the seed
    origin_ref: str | None
    # What was chosen: a path or an address
    entry_count: int
    # Files, directories and links that were taken
    bytes_written: int
    # Bytes of file content that were taken
    skipped_count: int
    # Files of a project that could not be taken
    skipped: list[str]
    # The first of these, by name


class WorkspaceSecret(TypedDict):
    """A secret of a workspace, without its value."""

    name: str
    # Its name, as the guest sees it
    source_kind: str
    # literal or file


class WorkspaceReset(TypedDict):
    """What a workspace was reset to."""

    snapshot_name: str
    # Which snapshot
    kind: str
    # baseline or named
    reset_at: float
    # Seconds since the epoch


class Workspace(TypedDict):
    """A workspace: one persistent sandbox."""

    workspace_id: str
    # Its identity
    name: str | None
    # Its unique name, which may stand for the identity
    labels: dict[str, str]
    # Labels, by key
    environment: str
    # What it runs
    state: str
    # started, stopped or failed
    reason: str | None
    # Why it failed
    next_step: str | None
    # What to do when it is not started
    vcpu_count: int
    # Virtual CPUs
    mem_mib: int
    # Memory in MiB
    created_at: float
    # Seconds since the epoch
    expires_at: float
    # When it is removed unasked, in seconds since the epoch
    last_activity_at: float
    # When something last changed in it, in seconds since the epoch; reading changes nothing
    network_policy: str
    # off, egress or egress+published-ports
    allow_host_compat: bool
    # It may fall back to the host
    execution_mode: str | None
    # guest_serial or host_compat
    accel: str | None
    # kvm or tcg; null for host_compat
    workspace_path: str
    # Its working directory in the guest, /workspace
    workspace_seed: WorkspaceSeed
    # What it was made from
    secrets: list[WorkspaceSecret]
    # Its secrets, without their values
    command_count: int
    # Commands run since the last reset
    service_count: int
    # Services started since the last reset
    running_service_count: int
    # Of these, those that run now
    running_shell_count: int
    # Shells that run now
    reset_count: int
    # How often it was reset
    last_reset_at: float | None
    # When, in seconds since the epoch
    workspace_reset: NotRequired[WorkspaceReset]
    # Only from a reset: to what


class WorkspaceList(TypedDict):
    """All workspaces of this user."""

    count: int
    # How many
    workspaces: list[Workspace]
    # The most recently active first


class WorkspaceDeleted(TypedDict):
    """A workspace that is gone."""

    workspace_id: str
    # Which workspace
    deleted: bool
    # True


class WorkspaceExec(TypedDict):
    """The outcome of one command in a workspace."""

    workspace_id: str
    # The workspace that ran it
    sequence: int
    # Its number in the workspace's history
    state: str
    # finished, running: the wait ran out, cancelled, or interrupted: the machine ended under it
    command: str | list[str]
    # The command as it was given
    cwd: str
    # Where it ran
    stdout: str
    # Standard output; the middle is cut out when it is long
    stderr: str
    # Standard error; the middle is cut out when it is long
    stdout_bytes: int
    # Bytes the command wrote to standard output
    stderr_bytes: int
    # Bytes the command wrote to standard error
    stdout_truncated: bool
    # stdout is not all of it
    stderr_truncated: bool
    # stderr is not all of it
    exit_code: int | None
    # Exit status; 124 timed out, 126 not executable, 127 not found, 128+n signal n; null if it did
    # not end by itself, or runs
    duration_ms: int | None
    # How long the command ran, in milliseconds, so far if it runs; null if nobody saw its end
    execution_mode: str
    # guest_serial: in a guest; host_compat: on the host
    timed_out: bool
    # The command was killed at its timeout
    next_step: str | None
    # The command that waits for it; null if it has ended
    warning: str | None
    # How soon the workspace is removed, if soon, and what keeps it


class WorkspaceCommand(TypedDict):
    """A command in the history of a workspace."""

    sequence: int
    # Its number, from 1
    state: str
    # running, finished, cancelled, or interrupted: the machine ended under it
    command: str | list[str]
    # The command as it was given
    cwd: str
    # Where it ran
    started_at: float
    # Seconds since the epoch
    exit_code: int | None
    # Exit status; null if it did not finish
    stdout: str
    # Standard output; the middle is cut out when it is long
    stderr: str
    # Standard error; the middle is cut out when it is long
    stdout_bytes: int
    # Bytes the command wrote to standard output
    stderr_bytes: int
    # Bytes the command wrote to standard error
    stdout_truncated: bool
    # stdout is not all of it
    stderr_truncated: bool
    # stderr is not all of it
    duration_ms: int | None
    # How long it ran, in milliseconds
    execution_mode: str
    # guest_serial or host_compat
    timed_out: bool
    # It was killed at its timeout
    next_offset: int | None
    # Where the next read of its output begins; null: that was all


class WorkspaceLogs(TypedDict):
    """The commands of a workspace since its last reset."""

    workspace_id: str
    # Which workspace
    count: int
    # How many commands
    entries: list[WorkspaceCommand]
    # The oldest first


class WorkspaceCancelled(TypedDict):
    """A command that was told to end."""

    workspace_id: str
    # Which workspace
    sequence: int
    # Which command
    cancelled: bool
    # True; false: it had ended already


class WorkspaceSynced(TypedDict):
    """What was imported into a workspace."""

    workspace_id: str
    # Which workspace
    source_path: str
    # Where it came from on the host
    mode: str
    # directory or tar_archive
    destination: str
    # The directory in the guest
    entry_count: int
    # Files, directories and links that were written
    bytes_written: int
    # Bytes of file content that were written


class FileEntry(TypedDict):
    """A file, directory or link."""

    path: str
    # Its path in the guest
    artifact_type: str
    # file, directory, symlink, or other: a device, a pipe
    size_bytes: int
    # Its size
    link_target: str | None
    # Where a symlink points, else null


class FileList(TypedDict):
    """What a directory holds."""

    workspace_id: str
    # Which workspace
    path: str
    # The directory, or the one file
    artifact_type: str
    # What that is
    count: int
    # How many entries
    entries: list[FileEntry]
    # Sorted by path


class FileRead(TypedDict):
    """A file's content, or a part of it."""

    workspace_id: str
    # Which workspace
    path: str
    # Which file
    size_bytes: int
    # Its size
    offset: int
    # Which of its bytes content begins with
    max_bytes: int
    # How much was asked for at the most
    truncated: bool
    # There is more behind content
    next_offset: int | None
    # Where that begins; null: content goes to the end
    content_is_binary: bool
    # content is not UTF-8; other bytes were replaced in it
    content: str
    # Its content, from offset on


class FileWritten(TypedDict):
    """A file that was written."""

    workspace_id: str
    # Which workspace
    path: str
    # Which file
    size_bytes: int
    # Its size now
    bytes_written: int
    # How much was written


class PatchSummary(TypedDict):
    """What a patch did, in numbers of files."""

    total: int
    # All of them
    added: int
    # New ones
    modified: int
    # Changed ones
    deleted: int
    # Removed ones
    renamed: int
    # Renamed ones, changed or not


class PatchEntry(TypedDict):
    """A file that a patch touched."""

    path: str
    # Its path under /workspace
    status: str
    # added, modified, deleted or renamed


class PatchApplied(TypedDict):
    """A patch that was applied."""

    workspace_id: str
    # Which workspace
    changed: bool
    # It changed something
    summary: PatchSummary
    # In numbers
    entries: list[PatchEntry]
    # Each file, in the patch's order


class DiffSummary(TypedDict):
    """How a workspace differs from its baseline, in numbers of entries."""

    total: int
    # All of them
    added: int
    # New ones
    modified: int
    # Changed ones
    deleted: int
    # Removed ones
    type_changed: int
    # Those that became something else, such as a symlink
    renamed: int
    # Renamed ones, changed or not
    text_patched: int
    # Those whose change is text in the patch
    non_text: int
    # Those whose change is not


class DiffEntry(TypedDict):
    """Something that differs from the baseline."""

    path: str
    # Its path under /workspace
    status: str
    # added, modified, deleted, type_changed or renamed
    artifact_type: str
    # file, directory, symlink or other
    old_path: str | None
    # Where a renamed file was
    is_text: bool
    # Its change is text in the patch


class WorkspaceDiff(TypedDict):
    """How a workspace differs from its baseline."""

    workspace_id: str
    # Which workspace
    changed: bool
    # There is a difference
    summary: DiffSummary
    # In numbers
    entries: list[DiffEntry]
    # Sorted by path
    patch: str | None
    # A unified diff that git apply takes on the seed
    patch_omitted: str | None
    # Why there is no patch


class WorkspaceExport(TypedDict):
    """What was copied out of a workspace."""

    workspace_id: str
    # Which workspace
    workspace_path: str
    # What was copied
    output_path: str
    # Where it is on the host
    artifact_type: str
    # file, directory or symlink
    entry_count: int
    # Files, directories and links
    bytes_written: int
    # Bytes of file content


class Snapshot(TypedDict):
    """A checkpoint of a workspace."""

    snapshot_name: str
    # Its name
    kind: str
    # baseline or named
    created_at: float
    # Seconds since the epoch


class SnapshotCreated(TypedDict):
    """A checkpoint that was made."""

    workspace_id: str
    # Which workspace
    snapshot: Snapshot
    # The checkpoint


class SnapshotList(TypedDict):
    """The checkpoints of a workspace."""

    workspace_id: str
    # Which workspace
    count: int
    # How many
    snapshots: list[Snapshot]
    # The baseline first, then by age


class SnapshotDeleted(TypedDict):
    """A checkpoint that is gone."""

    workspace_id: str
    # Which workspace
    snapshot_name: str
    # Which checkpoint
    deleted: bool
    # True


class DiskExport(TypedDict):
    """The disk of a workspace, as a file."""

    workspace_id: str
    # Which workspace
    output_path: str
    # Where it is on the host
    disk_format: str
    # ext4: a raw file system
    size_bytes: int
    # Its size, most of it holes
    bytes_written: int
    # What it occupies


class SecretSource(TypedDict):
    """A secret: a name, and either its value or a file that holds it."""

    name: str
    # Made of 1 to 64 letters, digits and underscores
    value: NotRequired[str | None]
    # Its value
    file_path: NotRequired[str | None]
    # File of the host that holds its value


class Shell(TypedDict):
    """A terminal session in a workspace."""

    workspace_id: str
    # Which workspace
    shell_id: str
    # Its identity
    cwd: str
    # Where it began
    cols: int
    # Width of the terminal
    rows: int
    # Height of the terminal
    state: str
    # running or stopped
    started_at: float
    # Seconds since the epoch
    ended_at: float | None
    # Seconds since the epoch; null while it runs
    exit_code: int | None
    # Exit status; null while it runs


class ShellList(TypedDict):
    """The shells of a workspace."""

    workspace_id: str
    # Which workspace
    count: int
    # How many
    shells: list[Shell]
    # The oldest first


class ShellRead(TypedDict):
    """Output of a shell."""

    workspace_id: str
    # Which workspace
    shell_id: str
    # Which shell
    state: str
    # running or stopped
    exit_code: int | None
    # Exit status; null while it runs
    cursor: int
    # Where output begins in the stream of all the shell printed
    next_cursor: int
    # Where it ends: the cursor of the next read
    output: str
    # What was printed between the two
    plain: bool
    # output is rendered as a person would see it
    truncated: bool
    # More was printed, behind next_cursor
    skipped_bytes: int
    # Bytes between the cursor asked for and cursor, which are kept no longer


class ShellWritten(TypedDict):
    """Input that a shell was given."""

    workspace_id: str
    # Which workspace
    shell_id: str
    # Which shell
    input_bytes: int
    # How much, the newline included


class Readiness(TypedDict):
    """How to find out whether a service is ready."""

    type: str
    # file, tcp, http or command
    path: NotRequired[str | None]
    # file: exists; relative to /workspace
    address: NotRequired[str | None]
    # tcp: HOST:PORT accepts a connection
    url: NotRequired[str | None]
    # http: answers a GET with a status of 200 to 299
    command: NotRequired[str | list[str] | None]
    # command: ends with 0


class PortMapping(TypedDict):
    """A port of the guest that is to be reached from the host."""

    host_port: NotRequired[int | None]
    # Port on 127.0.0.1; a free one is chosen without it
    guest_port: int
    # Port in the guest


class PublishedPort(TypedDict):
    """A port of a service, as it is reached from the host."""

    host: str
    # 127.0.0.1
    host_port: int
    # Port there
    guest_port: int
    # Port in the guest
    protocol: str
    # tcp


class Service(TypedDict):
    """A long-running process of a workspace."""

    workspace_id: str
    # Which workspace
    service_name: str
    # Its name
    state: str
    # running, failed, exited or stopped
    command: str | list[str]
    # The command as it was given
    cwd: str
    # Where it runs
    started_at: float
    # Seconds since the epoch
    ended_at: float | None
    # Seconds since the epoch; null while it runs
    exit_code: int | None
    # Exit status; null while it runs
    pid: int | None
    # Its first process in the guest; null when it has ended
    readiness: NotRequired[Readiness]
    # How it was found to be ready
    ready_at: float | None
    # When it was ready, in seconds since the epoch
    stop_reason: str | None
    # Why it ended
    published_ports: list[PublishedPort]
    # Its ports on the host while it runs


class ServiceList(TypedDict):
    """The services of a workspace."""

    workspace_id: str
    # Which workspace
    count: int
    # How many
    running_count: int
    # Of these, those that run now
    services: list[Service]
    # Sorted by name


class ServiceLogs(TypedDict):
    """What a service printed."""

    workspace_id: str
    # Which workspace
    service_name: str
    # Which service
    state: str
    # running, failed, exited or stopped
    stdout: str
    # The last lines of standard output
    stderr: str
    # The last lines of standard error
    tail_lines: int | None
    # How many lines at the most; null: all that are kept
    truncated: bool
    # Earlier lines are left out, or kept no longer


class SummarySession(TypedDict):
    """The time that a summary is about."""

    started_at: float
    # When the workspace was made or last reset, in seconds since the epoch
    last_activity_at: float
    # When something last changed
    reset_count: int
    # How often it was reset in all


class SummaryCommand(TypedDict):
    """A command, in short."""

    sequence: int
    # Its number in the history
    state: str
    # running, finished, cancelled or interrupted
    command: str | list[str]
    # The command as it was given
    exit_code: int | None
    # Exit status; null if it did not finish
    duration_ms: int | None
    # How long it ran, in milliseconds
    timed_out: bool
    # It was killed because its time was over


class SummaryCommands(TypedDict):
    """What was run."""

    total: int
    # How many commands
    failed: int
    # How many did not end with 0
    last: list[SummaryCommand]
    # The last of them, the oldest first


class ReviewEvent(TypedDict):
    """Something that was done to a workspace from outside."""

    kind: str
    # sync_push, file_write, patch_apply, export, snapshot_create, snapshot_delete, shell_open,
    # shell_close, service_start, service_stop, service_exit or service_fail
    at: float
    # When, in seconds since the epoch
    path: str | None
    # Which file, directory or snapshot
    detail: str | None
    # More about it, such as where it came from or went


class SummaryChanges(TypedDict):
    """How the workspace differs from its baseline."""

    available: bool
    # It could be found out now: the workspace is started
    reason: str | None
    # Why it could not
    changed: bool
    # There is a difference
    summary: DiffSummary
    # In numbers
    entries: list[DiffEntry]
    # The first of them, sorted by path


class ServiceBrief(TypedDict):
    """A service, in short."""

    service_name: str
    # Its name
    state: str
    # running, failed, exited or stopped


class SummaryServices(TypedDict):
    """What was served."""

    current: list[ServiceBrief]
    # Services that are known now
    events: list[ReviewEvent]
    # What happened to them


class SummaryArtifacts(TypedDict):
    """What left the workspace."""

    exports: list[ReviewEvent]
    # The oldest first


class SummarySnapshots(TypedDict):
    """Checkpoints."""

    named_count: int
    # Those that exist beside the baseline
    events: list[ReviewEvent]
    # The oldest first


class WorkspaceSummary(TypedDict):
    """A review of what pyro saw since the last reset."""

    workspace_id: str
    # Which workspace
    name: str | None
    # Its name
    environment: str
    # What it runs
    state: str
    # started, stopped or failed
    session: SummarySession
    # Which time this is about
    outcome: str
    # One sentence: how the last command went and what changed
    commands: SummaryCommands
    # What was run
    edits: list[ReviewEvent]
    # Imports, file writes and patches, oldest first
    changes: SummaryChanges
    # What differs from the baseline
    services: SummaryServices
    # What was served
    shells: list[Shell]
    # Shells that are open
    artifacts: SummaryArtifacts
    # What was exported
    snapshots: SummarySnapshots
    # Checkpoints


class KvmStatus(TypedDict):
    """What /dev/kvm is worth on this machine."""

    exists: bool
    # The device file is there
    readable: bool
    # This user may read it
    writable: bool
    # This user may write it
    usable: bool
    # A probe guest ran correctly in it
    reason: str | None
    # Why it is not usable


class Capabilities(TypedDict):
    """What pyro can do on this machine."""

    vm_boot: bool
    # Guests can boot
    guest_exec: bool
    # Commands can run in guests
    guest_network: bool
    # Guests can be given outbound network


class Networking(TypedDict):
    """Outbound network for guests."""

    available: bool
    # passt is there
    reason: str | None
    # Why not


class DoctorCatalog(TypedDict):
    """Environments on this machine."""

    version: str
    # Version of the catalog
    cache_dir: str
    # Where environments are kept
    installed: list[str]
    # Names of those installed


class DailyLoop(TypedDict):
    """Whether the everyday start will be quick and sure."""

    environment: str
    # Which environment
    status: str
    # COLD, WARM or STALE
    installed: bool
    # The environment is installed
    network_prepared: bool
    # Outbound network was proved too
    prepared_at: float | None
    # When it was last proved, in seconds since the epoch
    manifest_path: str
    # Where the proof is recorded
    reason: str | None
    # Why it is not WARM
    cache_dir: str
    # Where environments are kept


class Issue(TypedDict):
    """Something that does not work here, and what mends it."""

    check: str
    # What was looked at
    message: str
    # What is wrong
    fix: str
    # The command or change that mends it


class Doctor(TypedDict):
    """What this machine can do, and what to mend."""

    platform: str
    # Guest platform, linux-x86_64
    runtime_ok: bool
    # Everything needed to run guests is there
    kvm: KvmStatus
    # Hardware virtualisation
    accel: str
    # The accelerator that will be used: kvm or tcg
    jail: str
    # How QEMU is confined here
    capabilities: Capabilities
    # What pyro can do here
    networking: Networking
    # Outbound network
    catalog: DoctorCatalog
    # Environments
    daily_loop: NotRequired[DailyLoop]
    # Only when an environment was asked for
    project_source: str | None
    # What a workspace started here is seeded from
    issues: list[Issue]
    # Empty when all is well


class PreparedStep(TypedDict):
    """One step of the proof."""

    name: str
    # create, exec, network, reset or delete
    duration_ms: int
    # How long it took, in milliseconds


class Prepared(TypedDict):
    """The everyday loop, proved."""

    environment: str
    # Which environment
    executed: bool
    # The proof ran now; false: an earlier one still holds
    network_prepared: bool
    # Outbound network was proved too
    prepared_at: float
    # Seconds since the epoch
    duration_ms: int
    # How long this call took, in milliseconds
    accel: str
    # kvm or tcg
    manifest_path: str
    # Where the proof is recorded
    steps: list[PreparedStep]
    # What was proved, in this order
    next_step: str
    # A command that makes use of it


class Demo(TypedDict):
    """Proof that create, start, exec and delete work."""

    created: Vm
    # The VM after create
    started: Vm
    # The VM after start
    executed: Run
    # What the command in it said
    deleted: Cleanup
    # The end of the VM
    network_ok: bool
    # The outbound probe succeeded; false when not asked for


class DemoOllama(TypedDict):
    """What a model did with the tool vm_run."""

    base_url: str
    # The server
    model: str
    # The model
    rounds: int
    # How often the model was asked
    tool_calls: int
    # Its calls of vm_run that ran a command
    rejected_calls: int
    # Its calls that were wrong, which it was told
    fallback_used: bool
    # The command ran without it, since no call of it was valid
    answer: str | None
    # Its last word; null when it had none
    executed: Run
    # The last command that ran


class Server(TypedDict):
    """An MCP server that could be started: the process itself, which never returns."""

    program: str
    # The program that the process became


class HostStatus(TypedDict):
    """A chat host, and whether it starts pyro as it should."""

    host: str
    # claude-code, codex or opencode
    status: str
    # ok, drifted (it starts something else), missing (not registered) or unavailable (not
    # installed)
    details: str
    # What is wrong, on one line
    repair_command: str | None
    # The command that makes it right
    expected_command: list[str]
    # What it should start
    configured_command: list[str]
    # What it starts; empty when there is no such program
    expected_environment: dict[str, str]
    # What must be set for the server
    scope: str | None
    # Where it counts, with Claude Code: local or user
    config_path: str | None
    # The file that says so, or would
    program_path: str | None
    # The host's own program; null when it is not in PATH


class HostList(TypedDict):
    """The chat hosts of this machine."""

    ok: bool
    # None has drifted
    hosts: list[HostStatus]
    # One each


class HostChange(TypedDict):
    """A chat host that starts pyro now."""

    host: str
    # claude-code, codex or opencode
    action: str
    # connected, repaired or already connected
    changed: bool
    # Something had to be changed
    status: str
    # ok, or drifted where this project says otherwise
    warning: str | None
    # What this project says, and where
    command: list[str]
    # What it starts
    environment: dict[str, str]
    # What is set for it
    previous_command: list[str]
    # What it started before; empty when there was nothing
    scope: str | None
    # Where it counts, with Claude Code: local or user
    config_path: str
    # The file that says so
    backup_path: str | None
    # Where the file is kept as it was; null when nothing of it was lost
    next_step: str
    # How to use it


class HostConfig(TypedDict):
    """Configuration for a chat host."""

    host: str
    # Which host
    config: str
    # A whole configuration file that has nothing but pyro
    output_path: str | None
    # The file it was merged into
    changed: bool
    # That file had to be changed
    backup_path: str | None
    # Where what was there and could not be read is kept
    next_step: str
    # What to do with it
