# SPDX-License-Identifier: Apache-2.0
"""The manual pages: well-formed, and about the options that there are."""

import os
import re
import subprocess

PAGES = {"alcor.1": ["--help"], "alcor-boot.1": ["boot", "--help"]}


class Failed(Exception):
    """The verdict, with the reason."""


def options_of_help(opts, args):
    text = subprocess.run([opts.alcor, *args], capture_output=True, check=True, text=True,
                          timeout=60).stdout
    found = set()
    for line in text.splitlines():
        if re.match(r"  (    --|-\w, --)", line):
            names = re.match(r" +((?:--?[\w-]+(?:, )?)+)", line).group(1)
            found.update(names.strip(", ").split(", "))
    if not found:
        raise Failed(f"no options in the help of {args}")
    return found


def options_of_page(path):
    """Those of the items of lists: `.It Fl k , Fl -kernel Ar path`."""
    found = set()
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.startswith(".It Fl "):
                found.update("-" + name for name in re.findall(r"Fl ([\w-]+)", line))
    return found


def check_options(opts):
    for page, args in PAGES.items():
        real = options_of_help(opts, args)
        written = options_of_page(os.path.join(opts.docs, page))
        if real != written:
            raise Failed(f"{page}: not documented {sorted(real - written)}, "
                         f"not there {sorted(written - real)}")


def lint(opts):
    for page in PAGES:
        result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning",
                                 os.path.join(opts.docs, page)], capture_output=True, text=True,
                                check=False, timeout=60)
        if result.returncode or result.stdout:
            raise Failed(f"{page}: {result.stdout}{result.stderr}")
