"""Who may open /dev/kvm; only where guests are to run under KVM (tests/kvm/run)."""
import json

from host import USER, in_namespace, ordinary_user
from lab import ENVIRONMENT


def run_with_node(lab, owner, mode):
    """Runs a command where /dev/kvm is of that owner and mode."""
    script = f"rm -f $HOME/kvm; mknod $HOME/kvm c 10 232; chown {owner} $HOME/kvm; " \
             f"chmod {mode} $HOME/kvm; mount --bind $HOME/kvm /dev/kvm"
    return json.loads(in_namespace(lab, script, "run", ENVIRONMENT, "--json", "--", "true").stdout)


def test_kvm_of_root(lab):
    """a /dev/kvm that not everybody may open serves root's guests, which are not root themselves"""
    for owner, mode in (("0:0", "600"), ("0:0", "660"), (f"0:{USER + 1}", "660")):
        run = run_with_node(lab, owner, mode)
        assert run["accel"] == "kvm", (owner, mode, run)


def test_kvm_of_group(lab):
    """an ordinary user in the group of /dev/kvm has guests under KVM"""
    ordinary_user(lab)
    lab.pyro[lab.pyro.index("--clear-groups")] = f"--groups={USER + 1}"
    run = run_with_node(lab, f"0:{USER + 1}", "660")
    assert run["accel"] == "kvm", run
