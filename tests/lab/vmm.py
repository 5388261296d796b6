# SPDX-License-Identifier: Apache-2.0
"""The VMMs under test as command lines, and one running guest."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import termios
import threading
import time

# Dead time of a virtual machine under TCG; harmless elsewhere.
CMDLINE = ("console=ttyS0 root=/dev/vda quiet panic=-1 nokaslr mitigations=off no_timer_check "
           "tsc=reliable cryptomgr.notests random.trust_cpu=on rodata=off audit=0 nowatchdog "
           "lsm=landlock i8042.noaux i8042.nokbd initcall_blacklist=cmos_init,jent_mod_init,"
           "load_system_certificate_list,init_encrypted")


class Failed(Exception):
    """The test's verdict, with the reason."""


class Alcor:
    name = "alcor"

    def __init__(self, plan):
        self.binary = plan["alcor"]
        self.env = dict(os.environ, ALCOR_PLUGIN_DIR=plan["plugins"])
        if plan.get("libraries"):
            self.env["LD_LIBRARY_PATH"] = plan["libraries"]

    def command(self, kernel, initramfs, cmdline, cpus, memory, disks, options):
        how = "--pvh" if kernel.endswith("vmlinux") else "-k"
        argv = [self.binary, "boot", how, kernel, "-i", initramfs, "-c", cmdline,
                "--memory", f"size={memory}M", "--cpu", f"count={cpus}"]
        for disk in disks:
            argv += ["--blk", "file," + ",".join(f"{k}={v}" for k, v in disk.items())]
        return argv + list(options)


class Qemu:
    """Stands in for alcor to check the lab itself; knows only what those checks use."""
    name = "qemu"
    options = {
        "--entropy": ["-device", "virtio-rng-pci"],
        "--pvpanic": ["-device", "pvpanic-pci", "-action", "panic=shutdown"],
        "--on-reset": None,
    }

    def __init__(self, plan):
        self.binary = plan["qemu"]
        self.firmware = plan["qemu_firmware"]
        self.env = dict(os.environ)
        if plan.get("libraries"):
            self.env["LD_LIBRARY_PATH"] = plan["libraries"]

    def command(self, kernel, initramfs, cmdline, cpus, memory, disks, options):
        argv = [self.binary, "-L", self.firmware,
                "-M", "q35,accel=kvm,sata=off,usb=off,smbus=off,vmport=off", "-cpu", "host",
                "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
                "-m", str(memory), "-smp", str(cpus), "-kernel", kernel, "-initrd", initramfs,
                "-append", cmdline]
        for i, disk in enumerate(disks):
            drive = f"if=none,id=d{i},format=raw,file={disk['path']},discard=unmap"
            drive += f",aio={disk.get('api', 'threads')},readonly={disk.get('readonly', 'off')}"
            drive += f",cache.direct={disk.get('direct', 'off')}"
            device = f"virtio-blk-pci,drive=d{i},packed={disk.get('packed', 'off')}"
            device += f",num-queues={disk.get('queues', 1)}"
            if "serial" in disk:
                device += f",serial={disk['serial']}"
            argv += ["-drive", drive, "-device", device]
        words = iter(options)
        for word in words:
            if word == "--on-reset":
                argv += ["-no-reboot"] if next(words) == "exit" else []
            else:
                argv += self.options[word]
        return argv


class Guest:
    """A VMM process whose console is read by a thread of ours."""

    def __init__(self, argv, env, log, tty=False):
        self.text = ""
        self.changed = threading.Condition()
        self.ended = False
        self.terminal = None
        self.log = open(log, "wb")
        with open(log + ".command", "w") as f:
            f.write(" ".join(f"'{a}'" if " " in a else a for a in argv) + "\n")
        self.errors_path = log + ".stderr"
        with open(self.errors_path, "wb") as errors:
            if tty:
                self.input, self.terminal = pty.openpty()
                self.settings_before = self.terminal_settings()
                self.output = self.input
                self.process = subprocess.Popen(
                    argv, env=env, stdin=self.terminal, stdout=self.terminal, stderr=errors,
                    start_new_session=True,
                    preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            else:
                self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE,
                                                stdout=subprocess.PIPE, stderr=errors)
                self.input = self.process.stdin.fileno()
                self.output = self.process.stdout.fileno()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.output, 65536)
            except OSError:
                data = b""
            with self.changed:
                if not data:
                    self.ended = True
                    self.changed.notify_all()
                    return
                self.log.write(data)
                self.log.flush()
                self.text += data.decode("utf-8", "replace").replace("\r", "")
                self.changed.notify_all()

    def expect(self, pattern, timeout):
        """Waits until a whole line of the console has the pattern and returns the match."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                match = re.search(pattern, self.text[:self.text.rfind("\n") + 1], re.M)
                if match:
                    return match
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    why = f"ran for {timeout} s"
                    if self.ended:
                        why = f"ended with status {self.final_status()}"
                    raise Failed(f"the guest {why} without /{pattern}/; {self.last_words()}")
                self.changed.wait(min(left, 0.5) if self.terminal is not None else left)
                if self.terminal is not None and self.process.poll() is not None:
                    self.ended = True

    def expect_verdict(self, timeout):
        verdict = self.expect(r"verdict: (ok|FAIL.*)$", timeout).group(1)
        if verdict != "ok":
            raise Failed(f"in the guest: {verdict}")

    def expect_status(self, want, timeout=30):
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"the VMM did not end in {timeout} s; {self.last_words()}") from None
        if want is not None and status != want:
            raise Failed(f"exit status {status}, not {want}; {self.last_words()}")

    def final_status(self):
        """Of a process whose console is closed, and which is therefore about to end."""
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            return "none yet"

    def last_words(self):
        with open(self.errors_path, errors="replace") as f:
            errors = f.read().strip()
        lines = [line for line in self.text.splitlines() if line.strip()]
        return f"console: {' | '.join(lines[-3:])!r}; stderr: {errors[-400:]!r}"

    def type(self, text):
        os.write(self.input, text.encode())

    def terminal_settings(self):
        return termios.tcgetattr(self.terminal)

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def close(self):
        self.kill()
        self.process.wait()
        if self.terminal is not None:
            os.close(self.terminal)
        self.reader.join(5)
        if self.terminal is not None:
            os.close(self.input)
        else:
            self.process.stdin.close()
            self.process.stdout.close()
        self.log.close()
