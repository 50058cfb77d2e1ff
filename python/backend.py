#!/usr/bin/env python3
"""Makes the wheel of pyro_mcp, for pip (PEP 517) and as a program: backend.py DIRECTORY

The package is Python only, so a wheel is a zip file of it and three files about it, and needs no
other package to be made. The same source makes the same bytes.
"""
import base64
import hashlib
import os
import re
import sys
import tomllib
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))


def read(path):
    with open(os.path.join(HERE, path), "rb") as file:
        return file.read()


def about():
    """The files of the dist-info directory, without RECORD."""
    project = tomllib.loads(read("pyproject.toml").decode())["project"]
    version = re.search(rb'^VERSION = "(.*)"', read("pyro_mcp/_methods.py"), re.M)[1].decode()
    folder = f"{project['name'].replace('-', '_')}-{version}"
    return folder, {
        "METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
                    f"Summary: {project['description']}\nLicense: {project['license']}\n"
                    f"Requires-Python: {project['requires-python']}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: pyro\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Called by pip; returns the name of the wheel."""
    del config_settings, metadata_directory
    folder, texts = about()
    files = {f"pyro_mcp/{name}": read(f"pyro_mcp/{name}")
             for name in sorted(os.listdir(f"{HERE}/pyro_mcp")) if name.endswith((".py", ".typed"))}
    files |= {f"{folder}.dist-info/{name}": text.encode() for name, text in texts.items()}
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},"
        f"{len(data)}\n" for name, data in files.items())
    files[f"{folder}.dist-info/RECORD"] = f"{record}{folder}.dist-info/RECORD,,\n".encode()
    wheel = f"{folder}-py3-none-any.whl"
    os.makedirs(wheel_directory, exist_ok=True)
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = 0o100644 << 16, zipfile.ZIP_DEFLATED
            out.writestr(info, data)
    return wheel


if __name__ == "__main__":
    print(os.path.join(sys.argv[1], build_wheel(sys.argv[1])))
