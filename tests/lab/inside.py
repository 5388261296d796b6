# SPDX-License-Identifier: Apache-2.0
"""Runs tests where KVM runs Linux: in the outer system, or right on the host.

usage: inside.py PLAN.json

The plan says what to run with what. Results go, one JSON object a line, to plan["results"];
a line for people goes to standard output as each test ends.
"""

import fcntl
import json
import os
import shutil
import sys
import time

import cases
import vmm

# Nested virtualisation under TCG makes a guest's kernel fail now and then, whatever the VMM: it loses
# a port access (the first of these lines), hands the guest a register of the outer system's kernel,
# or leaves a processor standing. A failed test is repeated when a guest's kernel reported such a
# thing in it, and counted; a test that goes on failing fails.
TCG_SIGNATURE = "PCI: Fatal: No config space access function found"
TCG_SIGNS = (TCG_SIGNATURE, "Kernel panic - not syncing", "BUG: ", "Oops: ",
             "rcu_preempt detected stalls", "rcu_sched detected stalls")
TCG_STATUSES = (3, 5, 6)    # of alcor: reset (by panic=-1), triple fault, KVM gave up
TCG_REPEATS = 3


class Test:
    """What a test may use: files of its own, and guests that end with it."""

    def __init__(self, plan, name, log_folder):
        self.plan = plan
        self.vmm = {"alcor": vmm.Alcor, "qemu": vmm.Qemu}[plan["vmm"]](plan)
        self.folder = os.path.join(plan["work"], name)
        self.log_folder = log_folder
        self.guests = []
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        os.makedirs(log_folder, exist_ok=True)

    def asset(self, kernel, name):
        """A local copy, made once: the shared folder is slow, and its files are not ours."""
        source = os.path.join(self.plan["assets"], kernel, name)
        if not self.plan["copy_assets"]:
            return source
        copy = os.path.join(self.plan["work"], f"{kernel}-{name}")
        if not os.path.exists(copy):
            copy_sparse(source, copy + ".part")
            os.rename(copy + ".part", copy)
        return copy

    def disk(self, name, size, random=False):
        path = os.path.join(self.folder, name + ".img")
        with open(path, "wb") as f:
            if random:
                f.write(os.urandom(size))
            f.truncate(size)
        return path

    def boot(self, test, *args, kernel="6.12", image="vmlinux", cpus=1, memory=256, disks=(),
             options=(), on_reset="exit", writable_root=False, tty=False):
        root = self.asset(kernel, "root.img")
        cmdline = f"{vmm.CMDLINE} alcor.test={test}"
        if args:
            cmdline += " alcor.args=" + ",".join(map(str, args))
        if writable_root:
            copy = os.path.join(self.folder, "root.img")
            copy_sparse(root, copy)
            root_disk, cmdline = {"path": copy}, cmdline + " rw"
        else:
            root_disk, cmdline = {"path": root, "readonly": "on"}, cmdline + " ro"
        argv = self.plan["prefix"] + self.vmm.command(
            self.asset(kernel, image), self.asset(kernel, "initramfs.cpio"), cmdline, cpus,
            memory, [root_disk, *disks], [*options, "--on-reset", on_reset])
        log = os.path.join(self.log_folder, f"console-{len(self.guests)}.log")
        guest = vmm.Guest(argv, self.vmm.env, log, tty)
        self.guests.append(guest)
        return guest

    def close(self):
        for guest in self.guests:
            guest.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def hit_tcg(self):
        return any(any(sign in guest.text for sign in TCG_SIGNS)
                   or guest.process.poll() in TCG_STATUSES for guest in self.guests)


def copy_sparse(source, target):
    """Copies a file and keeps its zero blocks holes."""
    with open(source, "rb") as src, open(target, "wb") as dst:
        while block := src.read(1 << 20):
            if block.strip(b"\0"):
                dst.write(block)
            else:
                dst.seek(len(block), os.SEEK_CUR)
        dst.truncate(dst.tell())


def run_once(plan, name, log_folder):
    """(None or why it failed, whether TCG is to blame)"""
    test = Test(plan, name, log_folder)
    try:
        cases.CASES[name][0](test)
        return None, False
    except vmm.Failed as failed:
        return str(failed), plan["nested"] and test.hit_tcg()
    except OSError as error:
        return f"{type(error).__name__}: {error}", False
    finally:
        test.close()


def run(plan, name):
    start, hits = time.monotonic(), 0
    while True:
        log_folder = os.path.join(plan["logs"], name + (f".tcg{hits}" if hits else ""))
        why, tcg = run_once(plan, name, log_folder)
        if not tcg or hits == TCG_REPEATS:
            break
        hits += 1
    return {"test": name, "why": why, "tcg": hits, "seconds": round(time.monotonic() - start, 1)}


def keep_kvm_busy():
    """Holds a virtual machine with a vCPU as long as we live.

    The first and last of them make the kernel patch its own running code, and the emulated
    machine with two processors does not always survive that (an int3 without an owner).
    """
    kvm_create_vm, kvm_create_irqchip, kvm_create_vcpu = 0xAE01, 0xAE60, 0xAE41
    machine = fcntl.ioctl(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC), kvm_create_vm, 0)
    fcntl.ioctl(machine, kvm_create_irqchip, 0)
    fcntl.ioctl(machine, kvm_create_vcpu, 0)


def main():
    with open(sys.argv[1]) as f:
        plan = json.load(f)
    if plan["nested"]:
        keep_kvm_busy()
    os.makedirs(plan["work"], exist_ok=True)
    with open(plan["results"], "a") as results:
        for name in plan["tests"]:
            result = run(plan, name)
            results.write(json.dumps(result) + "\n")
            results.flush()
            os.fsync(results.fileno())
            word = "FAIL" if result["why"] else "ok"
            print(f"lab: {word:4} {name} ({result['seconds']} s)"
                  + (f" [{result['tcg']} x TCG]" if result["tcg"] else "")
                  + (f": {result['why']}" if result["why"] else ""), flush=True)


if __name__ == "__main__":
    main()
