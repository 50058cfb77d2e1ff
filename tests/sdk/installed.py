"""What is promised of the library and the headers as they are installed, and of the wheel."""
import os
import re
import subprocess
import sys

import place


def preprocessed(directory, *options):
    """The declarations of pyro.h, as the compiler sees them."""
    text = subprocess.run(["cc", "-E", "-P", *options, f"{directory}/pyro.h"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return "".join(text.split())


def test_headers_alike(_):
    """the installed headers declare what those of the source expand to"""
    root = place.ROOT
    wanted = preprocessed(f"{root}/include", f"-I{root}/include", f"-I{root}")
    assert preprocessed(f"{place.prefix()}/include", f"-I{place.prefix()}/include") == wanted
    assert len(wanted) > 10000


def test_headers_documented(_):
    """in the installed headers every function and every field of an operation is explained"""
    with open(f"{place.prefix()}/include/pyro/ops.h", encoding="utf-8") as file:
        text = file.read()
    blocks = re.findall(r"^struct pyro_\w+ \{\n(.*?)^\};", text, re.M | re.S)
    for block in blocks:
        fields = [line for line in re.sub(r"/\*.*?\*/", "", block, flags=re.S).split("\n")
                  if line.strip() and not re.search(r" has_\w+;|_count;", line)]
        assert len(fields) <= block.count("/*"), block
    assert len(blocks) > 100 and "ops.def\"" not in text
    assert len(re.findall(r"\*/\nstruct pyro_\w+_args;\nint pyro_", text)) > 50


def test_exports(_):
    """the library exports what the headers declare, by one version, and nothing else"""
    library = f"{place.library_dir()}/libpyro.so"
    names = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library], text=True,
                           check=True, stdout=subprocess.PIPE).stdout.split("\n")
    exported = {line.split()[2] for line in names if line and " A " not in line}
    text = subprocess.run(["cc", "-E", "-P", f"-I{place.prefix()}/include",
                           f"{place.prefix()}/include/pyro.h"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    declared = set(re.findall(r"\b(pyro_\w+)\s*\((?=[^*])", text))
    assert exported == {f"{name}@@LIBPYRO_0" for name in declared}, (
        sorted(exported ^ {f"{name}@@LIBPYRO_0" for name in declared}))


def test_soname(_):
    """a program that links the library needs libpyro.so.0"""
    text = place.run("objdump", "-p", f"{place.library_dir()}/libpyro.so")
    assert re.search(r"SONAME +libpyro\.so\.0\n", text), text


def test_version(_):
    """the header, the library's package file and the Python package have one version"""
    with open(f"{place.ROOT}/include/pyro.h", encoding="utf-8") as file:
        version = re.search(r'PYRO_VERSION "(.*)"', file.read())[1]
    env = place.installed_env(os.environ)
    assert place.run("pkg-config", "--modversion", "libpyro", env=env) == f"{version}\n"
    code = "import pyro_mcp; print(pyro_mcp.__version__)"
    assert place.run(sys.executable, "-c", code, env=env) == f"{version}\n"


def test_c_call(lab):
    """a C program compiled against the installed library gets results and errors"""
    source, program = f"{lab.dir}/call.c", f"{lab.dir}/call"
    with open(source, "w", encoding="utf-8") as file:
        file.write(r"""
#include <pyro.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
	const char *const command[] = {"echo hello", NULL};
	struct pyro *p = pyro_new();
	struct pyro_error err;
	struct pyro_run run;
	char *json;
	if (pyro_run_in_vm(p, &(struct pyro_run_in_vm_args){.environment = "debian:12",
			   .command = command, .allow_host_compat = true}, &run, &err) < 0)
		return puts(err.message), 1;
	fputs(run.stdout, stdout);
	pyro_run_done(&run);
	if (pyro_call_json(p, "list_vms", NULL, &json, &err) < 0)
		return puts(err.message), 1;
	puts(json);
	free(json);
	if (pyro_call_json(p, "status_vm", "{\"vm_id\":\"vm-x\"}", &json, &err) < 0)
		puts(pyro_code_name(err.code));
	if (pyro_call_json(p, "status_vm", "[]", &json, &err) < 0)
		puts(pyro_code_name(err.code));
	pyro_free(p);
	return 0;
}
""")
    place.compile_c(source, program)
    env = {**place.installed_env(os.environ), **lab.env, "LD_LIBRARY_PATH": place.library_dir()}
    out = place.run(program, env=env).split("\n")
    assert out == ["hello", '{"count":0,"vms":[]}', "not_found", "invalid_argument", ""], out


def test_examples_compile(lab):
    """the examples in C compile against the installed library without a warning"""
    folder = f"{place.ROOT}/examples/c"
    for name in os.listdir(folder):
        place.compile_c(f"{folder}/{name}", f"{lab.dir}/program")


def test_cxx(lab):
    """a program in C++ compiles against the installed library and gets results and errors"""
    source, program = f"{lab.dir}/call.cc", f"{lab.dir}/call"
    with open(source, "w", encoding="utf-8") as file:
        file.write(r"""
#include <pyro.h>
#include <cstdio>
int main()
{
	pyro_run_in_vm_args args = {};
	const char *const command[] = {"echo hello", nullptr};
	pyro *p = pyro_new();
	pyro_error err;
	pyro_run run;
	args.environment = "debian:12";
	args.command = command;
	args.allow_host_compat = true;
	if (pyro_run_in_vm(p, &args, &run, &err) < 0)
		return std::puts(err.message), 1;
	std::fputs(run.stdout, stdout);
	pyro_run_done(&run);
	args.environment = "no such";
	if (pyro_run_in_vm(p, &args, &run, &err) < 0)
		std::puts(pyro_code_name(err.code));
	pyro_free(p);
	return 0;
}
""")
    place.compile_cxx(source, program)
    env = {**place.installed_env(os.environ), **lab.env, "LD_LIBRARY_PATH": place.library_dir()}
    assert place.run(program, env=env).split("\n")[0] == "hello"


def test_types(_):
    """the package, and the examples that use it, have sound types"""
    command = ["mypy", "--cache-dir", "/dev/null", "--config-file", f"{place.ROOT}/python/pyproject.toml"]
    files = [f"{folder}/{name}" for folder in (f"{place.ROOT}/python/pyro_mcp",
                                               f"{place.ROOT}/examples/python")
             for name in sorted(os.listdir(folder)) if name.endswith(".py")]
    env = {**os.environ, "MYPYPATH": f"{place.ROOT}/python:{place.ROOT}/examples/python"}
    place.run(*command, "--ignore-missing-imports", *files, env=env)
    with open(f"{place.directory}/wrong.py", "w", encoding="utf-8") as file:
        file.write("from pyro_mcp import Pyro\nPyro().status_vm('vm-1')['no_such']\n")
    done = subprocess.run([*command, f"{place.directory}/wrong.py"], env=env, text=True, check=False,
                          stdout=subprocess.PIPE)
    assert 'no key "no_such"' in done.stdout, done.stdout


def test_prefix(lab):
    """the installed package finds the library that was installed with it"""
    env = {**lab.env, "PYTHONPATH": place.package_dir(), "PYTHONDONTWRITEBYTECODE": "1"}
    code = "from pyro_mcp import _found; print(_found.path)"
    assert place.run(sys.executable, "-c", code, env=env) == f"{place.library_dir()}/libpyro.so.0\n"


def test_other_version(lab):
    """the package refuses a library of another version, and says which both are"""
    path = f"{lab.dir}/libpyro.so.0"
    with open(f"{place.library_dir()}/libpyro.so.0", "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(data.replace(b"\x000.1.0\0", b"\x000.0.9\0"))
    env = {**lab.env, **place.python_env({}), "PYRO_LIBRARY": path}
    done = subprocess.run([sys.executable, "-c", "import pyro_mcp"], env=env, text=True,
                          capture_output=True, check=False)
    assert "version 0.0.9" in done.stderr and "hint: " in done.stderr, done.stderr


def test_build_tree(lab):
    """the package finds the library of the build tree whose program is in PATH"""
    os.symlink(f"{place.BUILD}/src/cli/pyro", f"{lab.dir}/pyro")
    env = {**lab.env, **place.python_env({}), "PATH": f"{lab.dir}:/usr/bin:/bin"}
    del env["PYRO_LIBRARY"]
    out = place.run(sys.executable, "-c", "from pyro_mcp import _found; print(_found.path)", env=env)
    assert out == f"{place.BUILD}/src/api/libpyro.so.0\n", out


def test_wheel(lab):
    """pip installs the wheel without a network, and the package finds the installed library"""
    code = "import pyro_mcp; from pyro_mcp import _found; print(_found.path, pyro_mcp.__file__)\n" \
           "print(pyro_mcp.Pyro().list_vms()['count'])"
    env = {**place.installed_env(lab.env)}
    del env["PYTHONPATH"], env["LD_LIBRARY_PATH"]  # as where nobody told the loader: beside the program pyro
    out = place.run(place.python(), "-c", code, env=env, cwd=lab.dir)
    library, package, count = out.split()
    assert os.path.basename(library) == "libpyro.so.0" and count == "0", out
    assert package.startswith(place.directory), out
    assert os.path.exists(f"{os.path.dirname(package)}/py.typed")


def test_no_library(lab):
    """without the library the package says what is missing and what to do"""
    env = {**lab.env, "PYRO_LIBRARY": f"{lab.dir}/none.so"}
    done = subprocess.run([place.python(), "-c", "import pyro_mcp"], env=env, text=True,
                          capture_output=True, check=False)
    assert done.returncode and "none.so" in done.stderr and "hint: " in done.stderr, done.stderr
