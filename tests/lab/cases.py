# SPDX-License-Identifier: Apache-2.0
"""The lab's tests. Each starts guests through `t` and raises Failed when something is wrong."""

import hashlib
import itertools
import os
import signal
import time

from vmm import Failed

BOOT = 100  # seconds that a boot and a short test may take under TCG
MIB = 1 << 20

CASES = {}


def case(name, only_alcor=False, **arguments):
    """Registers a function as test `name`; arguments are passed on to it."""
    def register(function):
        CASES[name] = (lambda t: function(t, **arguments), only_alcor)
        return function
    return register


def sha256(path, length=None):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read() if length is None else f.read(length)).hexdigest()


def finish(guest, timeout=BOOT, status=0):
    guest.expect_verdict(timeout)
    guest.expect_status(status)


# Boot: two kernels, one to four vCPUs, little and much memory.

def boot(t, kernel, image, cpus, memory):
    finish(t.boot("machine", cpus, memory, kernel=kernel, image=image, cpus=cpus, memory=memory))


for _kernel, _cpus, _memory in itertools.product(("6.1", "6.12"), (1, 2, 4), (256, 6144)):
    case(f"boot-{_kernel}-{_cpus}cpu-{_memory}M",
         kernel=_kernel, image="vmlinuz", cpus=_cpus, memory=_memory)(boot)
for _kernel in ("6.1", "6.12"):
    case(f"boot-{_kernel}-pvh", kernel=_kernel, image="vmlinux", cpus=2, memory=512)(boot)


@case("inventory-6.1", kernel="6.1")
@case("inventory-6.12", kernel="6.12")
def inventory(t, kernel):
    finish(t.boot("inventory", kernel=kernel, cpus=2, options=["--entropy", "--pvpanic"]))


@case("rng")
def rng(t):
    finish(t.boot("rng", options=["--entropy"]))


@case("root-read-write")
def root_read_write(t):
    finish(t.boot("hello", writable_root=True))


# Life cycle.

@case("reboot")
def reboot(t):
    disk = t.disk("mark", MIB)
    guest = t.boot("reboot", disks=[{"path": disk}], on_reset="restart")
    guest.expect("^guest: rebooting$", BOOT)
    finish(guest)


@case("on-reset-exit", only_alcor=True)
def on_reset_exit(t):
    guest = t.boot("reset", on_reset="exit")
    guest.expect("^guest: rebooting$", BOOT)
    guest.expect_status(3)


@case("guest-panic", only_alcor=True)
def guest_panic(t):
    guest = t.boot("panic", options=["--pvpanic"])
    guest.expect("^guest: panicking$", BOOT)
    guest.expect_status(4)


@case("power-button", only_alcor=True)
def power_button(t):
    guest = t.boot("button", options=["--grace", "60"])
    guest.expect("^guest: ready$", BOOT)
    guest.kill(signal.SIGTERM)
    guest.expect("^guest: power button pressed$", 30)
    guest.expect_status(0)


@case("grace-runs-out", only_alcor=True)
def grace_runs_out(t):
    guest = t.boot("stubborn", options=["--grace", "2"])
    guest.expect("^guest: ready$", BOOT)
    start = time.monotonic()
    guest.kill(signal.SIGTERM)
    guest.expect_status(7)
    took = time.monotonic() - start
    if took < 1.9:
        raise Failed(f"ended after {took:.1f} s, within the grace time of 2 s")


@case("second-sigterm", only_alcor=True)
def second_sigterm(t):
    guest = t.boot("stubborn", options=["--grace", "600"], tty=True)
    guest.expect("^guest: ready$", BOOT)
    if guest.terminal_settings() == guest.settings_before:
        raise Failed("the terminal is not raw while the guest runs")
    guest.kill(signal.SIGTERM)
    # The first must have been taken before the second: equal pending signals are one.
    time.sleep(0.5)
    guest.kill(signal.SIGTERM)
    guest.expect_status(7, timeout=10)
    if guest.terminal_settings() != guest.settings_before:
        raise Failed("the terminal is not as it was")


@case("console-input")
def console_input(t):
    guest = t.boot("typed")
    guest.expect("^guest: type$", BOOT)
    guest.type("a line of text\n")
    finish(guest)


@case("terminal", only_alcor=True)
def terminal(t):
    guest = t.boot("typed", tty=True)
    guest.expect("^guest: type$", BOOT)
    guest.type("a line of text\r")
    finish(guest)
    if guest.terminal_settings() != guest.settings_before:
        raise Failed("the terminal is not as it was")


# Disks.

@case("disk-read-only-serial")
def disk_read_only(t):
    disk = t.disk("ro", 4 * MIB, random=True)
    before = sha256(disk)
    guest = t.boot("disks", "LAB-0123456789", disks=[
        {"path": disk, "serial": "LAB-0123456789", "readonly": "on"}])
    seen = guest.expect("^guest: sha256 ([0-9a-f]{64})$", BOOT).group(1)
    finish(guest)
    if seen != before:
        raise Failed("the guest read other data than the image has")
    if sha256(disk) != before:
        raise Failed("the image of a read-only disk changed")


@case("discard-io_uring", api="io_uring")
@case("discard-threads", api="threads")
def discard(t, api):
    disk = t.disk("discard", 16 * MIB)
    finish(t.boot("discard", disks=[{"path": disk, "api": api}]))
    # 4 MiB discarded and 2 MiB trimmed must be holes; zeroed blocks may be.
    used = os.stat(disk).st_blocks * 512
    if used > 10 * MIB + MIB // 2:
        raise Failed(f"the image still uses {used} bytes after the discards")
    with open(disk, "rb") as f:
        f.seek(8 * MIB)
        if f.read(4 * MIB).strip(b"\0"):
            raise Failed("discarded blocks of the image are not zero")


def disk_options(packed, queues, api, direct):
    return {"packed": packed, "queues": queues, "api": api, "direct": direct}


def integrity(t, packed, queues, api, direct, cpus=2):
    disk = t.disk("data", 16 * MIB)
    guest = t.boot("integrity", min(queues, cpus), cpus=cpus, disks=[
        {"path": disk, **disk_options(packed, queues, api, direct)}])
    seen = guest.expect("^guest: sha256 ([0-9a-f]{64})$|^verdict: FAIL", 2 * BOOT).group(1)
    finish(guest)
    if seen != sha256(disk):
        raise Failed("the image does not have what the guest wrote and read back")


def durable(t, packed, queues, api, direct):
    disk = t.disk("data", 4 * MIB)
    guest = t.boot("durable", cpus=1, disks=[
        {"path": disk, **disk_options(packed, queues, api, direct)}])
    written = guest.expect("^guest: durable ([0-9a-f]{64})$", BOOT).group(1)
    guest.kill(signal.SIGKILL)
    guest.expect_status(-signal.SIGKILL)
    if sha256(disk, MIB) != written:
        raise Failed("data is missing that was written and flushed before the kill")


for _packed, _queues, _api in itertools.product(("off", "on"), (1, 4), ("io_uring", "threads")):
    _name = f"{'packed' if _packed == 'on' else 'split'}-{_queues}q-{_api}"
    case("integrity-" + _name, packed=_packed, queues=_queues, api=_api, direct="off")(integrity)
    case("durable-" + _name, packed=_packed, queues=_queues, api=_api, direct="off")(durable)
case("integrity-4cpu", packed="on", queues=4, api="io_uring", direct="off", cpus=4)(integrity)
case("integrity-direct", packed="off", queues=1, api="io_uring", direct="on")(integrity)
case("durable-direct", packed="on", queues=1, api="threads", direct="on")(durable)

import cases_virtio  # noqa: E402,F401  registers its tests, with what is above
