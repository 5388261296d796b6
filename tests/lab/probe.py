# SPDX-License-Identifier: Apache-2.0
"""Finds out whether this machine's /dev/kvm can run Linux: by running one, with QEMU."""

import os
import subprocess
import sys

import images
import l1
import vmm

LIMIT = 20


def kvm_runs_linux(assets):
    """(whether, a sentence that says why)"""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False, "/dev/kvm cannot be opened"
    plan = {"qemu": l1.QEMU, "qemu_firmware": l1.QEMU_FIRMWARE}
    folder = os.path.join(assets, "6.12")
    argv = vmm.Qemu(plan).command(
        os.path.join(folder, "vmlinuz"), os.path.join(folder, "initramfs.cpio"),
        vmm.CMDLINE + " ro alcor.test=hello", 1, 256,
        [{"path": os.path.join(folder, "root.img"), "readonly": "on"}], ["--on-reset", "exit"])
    try:
        done = subprocess.run(["/usr/bin/setpriv", "--pdeathsig", "KILL", *argv],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return False, f"/dev/kvm did not run Linux within {LIMIT} s"
    if b"verdict: ok" in done.stdout:
        return True, "/dev/kvm runs Linux"
    return False, "/dev/kvm cannot run Linux"


if __name__ == "__main__":
    runs, sentence = kvm_runs_linux(images.build())
    print(f"probe: {sentence}")
    sys.exit(0 if runs else 1)
