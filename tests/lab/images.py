# SPDX-License-Identifier: Apache-2.0
"""Builds what the lab boots, from unpacked Debian kernels and files of the host's own packages.

In CACHE/lab: l1/ with the kernel and the initramfs of the outer system, and a folder for each
guest kernel with vmlinuz (bzImage), vmlinux (ELF with a PVH note), initramfs.cpio and root.img.
"""

import fcntl
import glob
import hashlib
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
CACHE = os.environ.get("ALCOR_CACHE") or os.path.join(REPO, ".cache")
GUEST_KERNELS = ("6.1", "6.12")

GUEST_EARLY_MODULES = ("virtio_pci", "virtio_blk", "ext4")
GUEST_LATE_MODULES = ("virtio-rng", "evdev", "button", "pvpanic-pci")
# Loaded by `load NAME` in the tests that need them.
GUEST_TEST_MODULES = {"net": ("virtio_net",), "balloon": ("virtio_balloon",),
                      "console": ("virtio_console",), "fs": ("virtiofs",),
                      "vsock": ("vmw_vsock_virtio_transport",)}
L1_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "virtio_blk", "crc32c_generic",
              "ext4", "tun", "ccp", "irqbypass", "kvm", "kvm-amd", "kvm-intel")
GUEST_TOOLS = ("/usr/bin/fio", "/usr/bin/socat", "/usr/sbin/blkdiscard")
PYTHON = "/usr/bin/python3"
PYTHON_LEAVE_OUT = ("test", "tests", "idlelib", "lib2to3", "tkinter", "ensurepip", "distutils",
                    "pydoc_data", "turtledemo", "venv", "unittest", "dist-packages")


class Cpio:
    """A cpio archive in the "newc" format that the kernel unpacks; all files belong to root."""

    def __init__(self, path):
        self.out = open(path, "wb")
        self.ino = 0
        self.names = set()

    def entry(self, name, mode, data=b"", rdev=(0, 0)):
        name = name.strip("/")
        if name in self.names:
            return
        self.names.add(name)
        self.ino += 1
        raw = name.encode() + b"\0"
        fields = (self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        self.out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def directory(self, name):
        parent = os.path.dirname(name.strip("/"))
        if parent:
            self.directory(parent)
        self.entry(name, 0o40755)

    def file(self, name, data, mode=0o755):
        self.directory(os.path.dirname(name))
        self.entry(name, 0o100000 | mode, data)

    def copy(self, path, name=None):
        with open(path, "rb") as f:
            self.file(name or path, f.read(), os.stat(path).st_mode & 0o777)

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.out.close()


def libraries(*programs):
    """The shared libraries, by the path under which they are found, that the programs load."""
    found = set()
    for program in programs:
        text = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        for line in text.splitlines():
            if "not found" in line:
                raise RuntimeError(f"{program}: {line.strip()}")
            match = re.search(r"(/\S+) \(0x", line)
            if match:
                found.add(match.group(1))
    return sorted(found)


def extract_vmlinux(bzimage):
    """The ELF kernel inside a bzImage: boot protocol 2.08+ says where the payload is."""
    with open(bzimage, "rb") as f:
        data = f.read()
    if data[0x202:0x206] != b"HdrS":
        raise RuntimeError(f"{bzimage}: not a bzImage")
    start = ((data[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[start + offset:start + offset + length]
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        tool = ["zstd", "-q", "-d", "-c"]
    elif payload.startswith(b"\x02\x21\x4c\x18"):
        tool = ["lz4", "-q", "-d", "-c"]
    else:
        raise RuntimeError(f"{bzimage}: unknown compression {payload[:4].hex()}")
    # The last four bytes are the unpacked size: not part of the stream, so the tool grumbles.
    elf = subprocess.run(tool, input=payload[:-4], stdout=subprocess.PIPE).stdout
    if not elf.startswith(b"\x7fELF") or len(elf) != struct.unpack("<I", payload[-4:])[0]:
        raise RuntimeError(f"{bzimage}: payload does not unpack to an ELF file")
    return elf


class Kernel:
    """An unpacked kernel package."""

    def __init__(self, alias):
        self.root = os.path.join(CACHE, "kernels", alias)
        try:
            with open(os.path.join(self.root, ".complete")) as f:
                self.package = f.read().strip()
        except FileNotFoundError:
            sys.exit(f"lab: no kernel {alias} in {CACHE}: run scripts/setup --lab")
        self.image = glob.glob(os.path.join(self.root, "boot", "vmlinuz-*"))[0]
        self.version = os.path.basename(self.image)[len("vmlinuz-"):]
        lib = "lib" if os.path.isdir(os.path.join(self.root, "lib/modules")) else "usr/lib"
        self.modules = os.path.join(self.root, lib, "modules", self.version)
        if not os.path.exists(os.path.join(self.modules, "modules.dep")):
            subprocess.run(["/sbin/depmod", "-b", os.path.dirname(os.path.dirname(
                os.path.dirname(self.modules))), self.version], check=True)

    def load_order(self, names):
        """Files of the modules and what they depend on, in the order to load them."""
        path, needs = {}, {}
        with open(os.path.join(self.modules, "modules.dep")) as f:
            for line in f:
                file, _, deps = line.partition(":")
                name = os.path.basename(file).split(".")[0].replace("-", "_")
                path[name], needs[name] = file, deps.split()
        with open(os.path.join(self.modules, "modules.builtin")) as f:
            builtin = {os.path.basename(line).split(".")[0].replace("-", "_") for line in f}
        order = []
        for name in (n.replace("-", "_") for n in names):
            if name not in path:
                if name in builtin:
                    continue
                raise RuntimeError(f"{self.package} has no module {name}")
            # modules.dep lists the direct need first and the deepest last
            order += [f for f in reversed(needs[name]) if f not in order]
            if path[name] not in order:
                order.append(path[name])
        return order

    def numbered_modules(self, names):
        """(file name that sorts in load order, uncompressed module) for each."""
        for i, file in enumerate(self.load_order(names)):
            with open(os.path.join(self.modules, file), "rb") as f:
                data = f.read()
            if file.endswith(".xz"):
                data = lzma.decompress(data)
            yield f"{i:02}-{os.path.basename(file).removesuffix('.xz')}", data


def write_busybox(cpio):
    cpio.copy("/bin/busybox", "/bin/busybox")
    cpio.entry("bin/sh", 0o120777, b"busybox")
    for name in ("proc", "sys", "dev", "tmp", "mnt"):
        cpio.directory(name)
    cpio.entry("dev/console", 0o20600, rdev=(5, 1))


def build_guest_initramfs(kernel, path):
    cpio = Cpio(path)
    write_busybox(cpio)
    cpio.copy(os.path.join(HERE, "guest", "initramfs"), "/init")
    cpio.directory("modules")
    for name, data in kernel.numbered_modules(GUEST_EARLY_MODULES):
        cpio.file("modules/" + name, data, 0o644)
    cpio.close()


def build_guest_root(kernel, path):
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as tree:
        for name in ("proc", "sys", "dev", "run", "tmp", "bin", "sbin", "modules", "mnt", "root"):
            os.mkdir(os.path.join(tree, name))
        shutil.copy("/bin/busybox", os.path.join(tree, "bin"))
        applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True,
                                 check=True).stdout.split()
        for applet in set(applets) - {"busybox", "blkdiscard"}:
            os.symlink("busybox", os.path.join(tree, "bin", applet))
        for file in GUEST_TOOLS + tuple(libraries(*GUEST_TOOLS)):
            os.makedirs(os.path.dirname(tree + file), exist_ok=True)
            shutil.copy(file, tree + file)
        for name, data in kernel.numbered_modules(GUEST_LATE_MODULES):
            with open(os.path.join(tree, "modules", name), "wb") as f:
                f.write(data)
        for test, names in GUEST_TEST_MODULES.items():
            os.mkdir(os.path.join(tree, "modules", test))
            for name, data in kernel.numbered_modules(names):
                with open(os.path.join(tree, "modules", test, name), "wb") as f:
                    f.write(data)
        shutil.copy(os.path.join(HERE, "guest", "init"), os.path.join(tree, "sbin", "init"))
        shutil.copytree(os.path.join(HERE, "guest", "tests"), os.path.join(tree, "tests"))
        shutil.copytree(os.path.join(HERE, "guest", "acpi"), os.path.join(tree, "etc", "acpi"))
        make_ext4(path, 160 << 20, tree)


def make_ext4(path, size, tree=None):
    """An ext4 image holding the tree, all of it root's; needs neither root nor a loop device."""
    with open(path, "wb") as f:
        f.truncate(size)
    extra = ["-d", tree] if tree else []
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0",
                    "-E", "root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1",
                    *extra, path], check=True)


def build_l1_initramfs(kernel, path):
    cpio = Cpio(path)
    write_busybox(cpio)
    cpio.copy(os.path.join(HERE, "l1-init"), "/init")
    cpio.directory("modules")
    for name, data in kernel.numbered_modules(L1_MODULES):
        cpio.file("modules/" + name, data, 0o644)
    stdlib = subprocess.run(
        [PYTHON, "-I", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"],
        capture_output=True, text=True, check=True).stdout.strip()
    cpio.copy(os.path.realpath(PYTHON), "/usr/bin/python3")
    for folder, folders, files in os.walk(stdlib):
        folders[:] = sorted(d for d in folders if d not in PYTHON_LEAVE_OUT
                            and not d.startswith("config-"))
        for name in sorted(files):
            cpio.copy(os.path.join(folder, name))
    for library in libraries(PYTHON, *glob.glob(stdlib + "/lib-dynload/*.so")):
        cpio.copy(library)
    cpio.close()


def digest_of_sources(*kernels):
    """Changes with everything the images are made from."""
    digest = hashlib.sha256()
    for kernel in kernels:
        digest.update(kernel.package.encode())
    for file in GUEST_TOOLS + ("/bin/busybox", os.path.realpath(PYTHON)):
        stat = os.stat(file)
        digest.update(f"{file} {stat.st_size} {stat.st_mtime_ns}".encode())
    sources = [os.path.join(HERE, "images.py"), os.path.join(HERE, "l1-init")]
    sources += glob.glob(os.path.join(HERE, "guest", "**"), recursive=True)
    for file in sorted(filter(os.path.isfile, sources)):
        with open(file, "rb") as f:
            digest.update(file.encode() + b"\0" + f.read())
    return digest.hexdigest()


def build(aliases=GUEST_KERNELS):
    """Brings CACHE/lab up to date and returns its path."""
    lab = os.path.join(CACHE, "lab")
    os.makedirs(lab, exist_ok=True)
    with open(os.path.join(lab, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for alias in ("l1",) + tuple(aliases):
            build_one(alias, os.path.join(lab, alias))
    return lab


def build_one(alias, target):
    kernel = Kernel(alias)
    stamp, digest = os.path.join(target, "stamp"), digest_of_sources(kernel)
    if os.path.exists(stamp):
        with open(stamp) as f:
            if f.read() == digest:
                return
    print(f"lab: building the images of {kernel.package}", file=sys.stderr, flush=True)
    # Built aside: an interrupted build leaves nothing that looks complete.
    fresh = tempfile.mkdtemp(dir=os.path.dirname(target), prefix=".new-")
    os.chmod(fresh, 0o755)
    shutil.copy(kernel.image, os.path.join(fresh, "vmlinuz"))
    if alias == "l1":
        build_l1_initramfs(kernel, os.path.join(fresh, "initramfs.cpio"))
    else:
        with open(os.path.join(fresh, "vmlinux"), "wb") as f:
            f.write(extract_vmlinux(kernel.image))
        build_guest_initramfs(kernel, os.path.join(fresh, "initramfs.cpio"))
        build_guest_root(kernel, os.path.join(fresh, "root.img"))
    with open(os.path.join(fresh, "stamp"), "w") as f:
        f.write(digest)
    shutil.rmtree(target, ignore_errors=True)
    os.rename(fresh, target)


if __name__ == "__main__":
    print(build())
