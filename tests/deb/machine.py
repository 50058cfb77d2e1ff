"""A fresh Debian 12 below a directory, with namespaces of its own, in which commands run. Its mounts
and processes are gone with the process that made it, whatever ends that."""
import os
import shutil
import subprocess

# As pid 1 it waits for its descriptor 0 to end, and reaps. A new root by pivot_root, since in one by
# chroot an ordinary user may make no user namespaces.
INIT = r"""
set -e
mount --rbind "$1" "$1"
cd "$1"
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
pivot_root . mnt
umount -l /mnt
echo ready
read -r _ || :
"""
APT = ["apt-get", "-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-unsafe-io"]


class Machine:
    def __init__(self, root):
        self.root = root
        self.init = None
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "bookworm", root],
                       check=True, timeout=300)
        shutil.copy("/etc/resolv.conf", f"{root}/etc/resolv.conf")
        self.init = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child",
                                      "bash", "-c", INIT, "init", root], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.init.stdout.readline() == "ready\n"
        with open(f"/proc/{self.init.pid}/task/{self.init.pid}/children", encoding="ascii") as pids:
            self.pid = pids.read().strip()

    def remove(self):
        if self.init:
            self.init.kill()
            self.init.communicate(timeout=60)
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *words, user=None, code=0, seconds=180, **variables):
        """Runs a command in it, with a plain environment; returns what it printed."""
        home = f"/home/{user}" if user else "/root"
        prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}
        env |= {name: value for name, value in os.environ.items() if name.endswith("_proxy")}
        done = subprocess.run(["nsenter", f"--target={self.pid}", "--mount", "--pid", "--root", f"--wdns={home}",
                               "timeout", "--kill-after=5", str(seconds), *prefix, *words],
                              env=env | variables, stdin=subprocess.DEVNULL, text=True, timeout=seconds + 10,
                              capture_output=True, check=False)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout[-2000:]}\n" \
            f"stderr: {done.stderr[-2000:]}"
        return done.stdout

    def apt(self, *words):
        return self.run(*APT, *words, seconds=300)
