# SPDX-License-Identifier: Apache-2.0
"""The outer system: Debian under QEMU's TCG with nested virtualisation, for one job."""

import os
import shutil
import signal
import subprocess
import sys
import threading

import images

QEMU = "/usr/bin/qemu-system-x86_64"
QEMU_FIRMWARE = "/usr/share/qemu"
SCRATCH_SIZE = 8 << 30
CMDLINE = ("console=ttyS0 quiet panic=-1 nokaslr mitigations=off tsc=reliable nowatchdog audit=0 "
           "cryptomgr.notests random.trust_cpu=on")


# TCG does not intercept a nested guest's XSETBV: KVM then reports a wrong size of the extended
# state, and Linux complains. So nested guests make do with SSE.
CPU = "max,-la57,-xsave"


def stage_alcor(job, program, plugins):
    """Copies the program, its plugins and the libraries of both into the job.

    Returns where the outer system finds them, as a plan has it.
    """
    os.makedirs(os.path.join(job, "bin"))
    shutil.copy(program, os.path.join(job, "bin", "alcor"))
    shutil.copytree(plugins, os.path.join(job, "plugins"))
    found = [os.path.join(folder, name) for folder, _, names in os.walk(plugins)
             for name in names if name.endswith(".so")]
    stage_libraries(job, program, *found)
    return {"vmm": "alcor", "alcor": "/job/bin/alcor", "plugins": "/job/plugins",
            "libraries": "/job/libs"}


def stage_qemu(job):
    """The same for QEMU."""
    os.makedirs(os.path.join(job, "bin"))
    shutil.copy(QEMU, os.path.join(job, "bin", "qemu"))
    os.makedirs(os.path.join(job, "firmware"))
    for folder in (QEMU_FIRMWARE, "/usr/share/seabios"):
        for name in ("bios-256k.bin", "linuxboot_dma.bin", "kvmvapic.bin", "pvh.bin"):
            if os.path.exists(os.path.join(folder, name)):
                shutil.copy(os.path.join(folder, name), os.path.join(job, "firmware"))
    stage_libraries(job, QEMU)
    return {"vmm": "qemu", "qemu": "/job/bin/qemu", "qemu_firmware": "/job/firmware",
            "libraries": "/job/libs"}


def stage_libraries(job, *programs):
    os.makedirs(os.path.join(job, "libs"))
    for library in images.libraries(*programs):
        shutil.copy(library, os.path.join(job, "libs"))


def stage_start(job, script):
    """The program that the outer system runs; when it ends, the system powers off."""
    path = os.path.join(job, "start")
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + script)
    os.chmod(path, 0o755)


def command(assets, job, serial):
    scratch = os.path.join(job, "scratch.img")
    images.make_ext4(scratch, SCRATCH_SIZE)
    share = "local,mount_tag={},path={},security_model=none,multidevs=remap"
    # setpriv: QEMU ends with us, even if we are killed
    return [
        "/usr/bin/setpriv", "--pdeathsig", "KILL",
        QEMU, "-M", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", CPU,
        "-m", "4096", "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot", *serial,
        "-kernel", os.path.join(assets, "l1", "vmlinuz"),
        "-initrd", os.path.join(assets, "l1", "initramfs.cpio"), "-append", CMDLINE,
        "-virtfs", share.format("assets", assets) + ",readonly=on",
        "-virtfs", share.format("job", job),
        "-drive", f"if=virtio,format=raw,file={scratch},cache=unsafe,discard=unmap"]


def run(assets, job, seconds, on_line):
    """Boots the outer system, which runs JOB/start; on_line gets its console line by line.

    Returns whether it ended by itself. What the job achieved is for its own files to say.
    """
    argv = command(assets, job, ["-serial", "stdio"])
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    late = threading.Event()

    def stop():
        late.set()
        process.kill()

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        for line in process.stdout:
            on_line(line.decode("utf-8", "replace").rstrip())
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    return not late.is_set()


def run_on_terminal(assets, job):
    """The same with our own standard input and output as the job's, without a limit of time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    argv = command(assets, job, ["-chardev", "stdio,id=tty,signal=off", "-serial", "chardev:tty"])
    sys.stdout.flush()
    with subprocess.Popen(argv) as process:
        try:
            process.wait()
        finally:
            process.kill()
