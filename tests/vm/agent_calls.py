"""What the agent promises of terminals, signals and whole trees, of the one that is PID 1."""
from lab import BUILD, Call


def test_terminals(lab):
    """terminals, signals and whole trees in a guest are as they are on a host"""
    vm = lab.create()
    env = {**lab.env, "PYRO_TEST_SOCKET": f"{lab.state}/pyro/vms/{vm}/sock"}
    done = Call([f"{BUILD}/tests/channel/channel_tests", "terminal_test"], env).end(150)
    assert done.code == 0 and done.out.rstrip().endswith(", 0 failed, 0 skipped"), done
    lab.json("vm", "delete", vm)
