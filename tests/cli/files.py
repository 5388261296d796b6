# SPDX-License-Identifier: Apache-2.0
"""Good and bad files for the tests: kernels, images, plugins."""

import os
import struct
import subprocess

SDK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sdk/include")

# 32-bit: writes SLP_EN with S5 to the sleep control register, then waits.
POWER_OFF = bytes.fromhex("66ba0006 b034 ee f4 ebfd")
# The same with the value of a reset at the reset register.
RESET = bytes.fromhex("66ba0406 b072 ee f4 ebfd")
# Loads an empty interrupt table and divides by zero.
TRIPLE_FAULT = bytes.fromhex("0f011d20001000 31c0 f7f0")

LOAD = 0x100000


def elf_kernel(code=POWER_OFF, machine=62, note=True, entry=LOAD, cut=None):
    """An ELF executable of one segment, with a note that tells its PVH entry."""
    code = code.ljust(64, b"\0")
    xen = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry) if note else b""
    headers = 64 + 2 * 56
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    ehdr = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, LOAD, 64, 0, 0, 64, 56,
                               2 if note else 1, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 7, headers, LOAD, LOAD, len(code), len(code), 4096)
    notes = struct.pack("<IIQQQQQQ", 4, 4, headers + len(code), 0, 0, len(xen), len(xen), 4)
    data = (ehdr + load + notes)[:headers].ljust(headers, b"\0") + code + xen
    return data[:cut] if cut else data


def bzimage():
    """The beginning of one: a set-up header and nothing else."""
    data = bytearray(1024)
    data[0x1f1] = 1
    data[0x1fe:0x202] = b"\x55\xaa\xeb\x6a"
    data[0x202:0x206] = b"HdrS"
    data[0x206:0x208] = b"\x0f\x02"
    data[0x211] = 1
    data[0x236:0x238] = b"\x01\x00"
    data[0x1f4:0x1f8] = b"\x00\x01\x00\x00"
    return bytes(data)


def arm64_image():
    return bytes(56) + b"ARM\x64" + bytes(1024)


PLUGIN = r"""
#include <errno.h>
#include <alcor/plugin.h>
%(note)s
static int create(struct alcor_dev *dev, void **ret_priv)
{
	%(create)s;
	*ret_priv = dev;
	return 0;
}
static void destroy(void *priv)
{
}
static const struct alcor_dev_ops ops = {
	.struct_size = sizeof(ops), .create = create, .destroy = destroy,
};
static const struct alcor_param params[] = {
	{ .name = "path", .help = "a path", .type = ALCOR_PARAM_PATH,
	  .flags = ALCOR_PARAM_POSITIONAL },
	{ .name = "number", .alias = "n", .help = "a number", .dflt = "3", .min = 1, .max = 9,
	  .type = ALCOR_PARAM_U64 },
	{ .name = "password", .help = "a secret", .type = ALCOR_PARAM_STR,
	  .flags = ALCOR_PARAM_SECRET },
	{ .name = "needed", .help = "a word", .choices = "yes|no", .type = ALCOR_PARAM_ENUM,
	  .flags = ALCOR_PARAM_REQUIRED },
	{ .name = "old", .help = "of former times", .type = ALCOR_PARAM_BOOL,
	  .flags = ALCOR_PARAM_DEPRECATED },
};
static const struct alcor_claim claims[] = { {
	.dev_class = "misc", .keyword = "%(keyword)s", .summary = "a device that does nothing",
	.params = params, .n_params = %(n_params)s, .param_size = sizeof(params[0]), .ops = &ops,
} };
static const struct alcor_plugin plugin = {
	.struct_size = sizeof(plugin), .abi_major = ALCOR_ABI_MAJOR,
	.abi_minor = ALCOR_ABI_MINOR, .name = "%(name)s", .version = "1.0",
	.license = "Apache-2.0", .claims = claims, .n_claims = 1,
	.claim_size = sizeof(claims[0]),
};
ALCOR_PLUGIN_EXPORT const struct alcor_plugin *%(entry)s(void)
{
	return %(result)s;
}
"""

NOTE = (r'ALCOR_PLUGIN_NOTE("name=%(name)s\0" "version=1.0\0" "license=Apache-2.0\0"'
        r' "abi=%(abi)s\0" "claim=misc/%(noted)s%(end)s");')

# What the macro cannot make: a text that does not end with a NUL.
OPEN_NOTE = r"""
__asm__(".pushsection .note.alcor, \"a\", @note\n"
	".balign 4\n.long 6, 8, 1\n.asciz \"alcor\"\n.balign 4\n.ascii \"name=bad\"\n"
	".popsection");
"""


def build_plugin(path, name="bad", keyword="bad", **change):
    """A plugin that serves misc/KEYWORD, or, with changes, one that cannot."""
    words = {"name": name, "noted": keyword, "keyword": keyword, "abi": '" ALCOR_ABI_STRING "',
             "end": r"\0", "entry": "alcor_plugin_entry_1", "result": "&plugin", "create": "",
             "n_params": "0", "note": NOTE}
    words.update(change)
    if words["note"] == NOTE:
        words["note"] = NOTE % words
    subprocess.run(["gcc", "-shared", "-fPIC", "-fvisibility=hidden", "-O1", "-D_GNU_SOURCE",
                    "-Wno-missing-prototypes", f"-I{SDK}", "-x", "c", "-", "-o", path],
                   input=(PLUGIN % words).encode(), check=True)


def write(path, data, mode=0o644):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def sparse(path, size):
    with open(path, "wb") as f:
        f.truncate(size)


def make_plugins(top):
    """One directory a kind; the file is always alcor-bad.so."""
    def place(kind):
        os.mkdir(f"{top}/{kind}", 0o755)
        return f"{top}/{kind}/alcor-bad.so"

    good = place("good")
    build_plugin(good)
    with open(good, "rb") as f:
        data = f.read()
    write(place("empty"), b"")
    write(place("text"), b"#!/bin/sh\nexit 0\n" * 20)
    write(place("truncated"), data[:100])
    write(place("cut-note"), data[:data.index(b"license=")])
    write(place("machine"), data[:18] + b"\xb7\0" + data[20:])
    write(place("class32"), data[:4] + b"\1" + data[5:])
    build_plugin(place("no-note"), note="")
    build_plugin(place("open-note"), note=OPEN_NOTE)
    build_plugin(place("bad-entry"), end=r"\0" "nonsense" r"\0")
    build_plugin(place("abi"), abi="0.99")
    build_plugin(place("name"), name="other")
    build_plugin(place("no-entry"), entry="another_entry")
    build_plugin(place("null"), result="NULL")
    build_plugin(place("claims"), noted="other")
    os.mkfifo(place("fifo"))
    os.mkdir(place("directory"))
    os.symlink("nowhere", place("dangling"))
    write(place("writable"), data, 0o666)
    build_plugin(place("failing"), create='return alcor_error(dev, -EIO, "no such luck")')
    os.mkdir(f"{top}/twins", 0o755)
    for name in ("twin-a", "twin-b"):
        build_plugin(f"{top}/twins/alcor-{name}.so", name, "twin")
    os.mkdir(f"{top}/params", 0o755)
    build_plugin(f"{top}/params/alcor-table.so", "table", "table", n_params="5")


def make_all(top):
    files = {
        "vmlinux": elf_kernel(), "reset": elf_kernel(RESET), "crash": elf_kernel(TRIPLE_FAULT),
        "no-note": elf_kernel(note=False), "aarch64": elf_kernel(machine=183),
        "outside": elf_kernel(entry=0x5000000), "cut": elf_kernel(cut=200),
        "cut-header": elf_kernel(cut=40), "Image": arm64_image(), "bzImage": bzimage(),
        "random": bytes((i * 197 + 31) & 0xff for i in range(4096)), "empty": b"",
        "gzip": b"\x1f\x8b\x08" + bytes(1000), "initramfs": b"070701" + bytes(506),
        "odd.img": bytes(1000),
    }
    for name, data in files.items():
        write(f"{top}/{name}", data)
    sparse(f"{top}/disk.img", 1 << 20)
    sparse(f"{top}/a,b=c.img", 1 << 20)
    sparse(f"{top}/q\"u\\o.img", 1 << 20)
    sparse(f"{top}/at@x.img", 1 << 20)
    sparse(f"{top}/large", 3 << 30)
    os.mkdir(f"{top}/directory")
    os.mkfifo(f"{top}/fifo")
    os.mkdir(f"{top}/plugins", 0o755)
    make_plugins(f"{top}/plugins")
