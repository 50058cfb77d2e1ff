"""The life of one VM, step by step, with what happens told as it happens."""
import sys

from pyro_mcp import Pyro, PyroError

pyro = Pyro(on_phase=lambda operation, detail: print(f"[{operation}] {detail}", file=sys.stderr),
            on_output=lambda stream, data: (sys.stdout, sys.stderr)[stream - 1].buffer.write(data))

vm = pyro.create_vm(environment="debian:12", vcpu_count=2)
try:
    pyro.start_vm(vm["vm_id"])
    print(pyro.status_vm(vm["vm_id"])["state"], flush=True)
    run = pyro.exec_vm(vm["vm_id"], command="uname -s; nproc")  # and deletes the VM
    print("exit", run["exit_code"])
except PyroError:
    pyro.delete_vm(vm["vm_id"])
    raise
