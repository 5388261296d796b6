# SPDX-License-Identifier: Apache-2.0
"""What users get wrong, and what they are told; {d} is the directory of files.make_all()."""

import dataclasses

NUMBER = ("is not a number (decimal, 0x, 0o or 0b, and perhaps one of the suffixes k, m, g, t)")


@dataclasses.dataclass
class Case:
    name: str
    args: list
    status: int
    error: str = ""         # the only line on standard error, without "alcor: "
    out: tuple = ()         # parts of standard output
    kvm: bool = False       # whether it gets as far as opening /dev/kvm
    root: bool = False      # whether only root can run it
    lock: str = ""          # file that another process has locked meanwhile
    nobody: bool = False    # run as another user, from a copied installation
    env: dict = dataclasses.field(default_factory=dict)
    notices: tuple = ()     # lines that come before the error


def boot(*args):
    return ["boot", "--pvh", "{d}/vmlinux", *args]


def usage(name, args, error, **more):
    return Case(name, args, 2, error, **more)


def fails(name, args, error, **more):
    return Case(name, args, 1, error, **more)


def passes(name, args, **more):
    return Case(name, args, 0, kvm=True, **more)


def bad_option(name, error, *args):
    return usage(name, boot(*args), error)


COMMANDS = [
    usage("command-unknown", ["bot"], "unknown command 'bot'; did you mean 'boot'?"),
    usage("command-strange", ["frobnicate"], "unknown command 'frobnicate'; see 'alcor --help'"),
    usage("program-option", ["--bogus"], "unknown option '--bogus'; see 'alcor --help'"),
    usage("program-option-late", ["plugin", "list", "--version"],
          "unknown option '--version'; see 'alcor plugin --help'"),
    usage("program-level", ["-l", "loud", "boot"],
          "--log-level loud: 'loud' is none of: error warn info debug"),
    usage("environment-level", ["plugin", "list"],
          "environment variable ALCOR_LOG: 'loud' is none of: error warn info debug",
          env={"ALCOR_LOG": "loud"}),
    usage("plugin-no-command", ["plugin"], "no command behind 'plugin'; there is 'plugin list'"),
    usage("plugin-command", ["plugin", "load"],
          "unknown command 'plugin load'; there is 'plugin list'"),
    usage("help-unknown", ["help", "bolt"], "help bolt: no plugin serves the class 'bolt'"),
    usage("help-class-near", ["help", "blkk"],
          "help blkk: no plugin serves the class 'blkk'; did you mean 'blk'?"),
    usage("help-keyword-near", ["help", "blk/flie"],
          "help blk/flie: no plugin serves 'flie' of class blk; did you mean 'file'?"),
    usage("help-two", ["help", "boot", "blk"],
          "unexpected argument 'blk'; see 'alcor help help'"),
]

OPTIONS = [
    bad_option("option-unknown", "unknown option '--entropyy'; did you mean '--entropy'?",
               "--entropyy"),
    bad_option("option-abbreviated", "unknown option '--ent'; did you mean '--entropy'?", "--ent"),
    bad_option("option-short", "unknown option '-x'; see 'alcor boot --help'", "-x"),
    bad_option("option-no-value", "--memory needs a value, --memory [size=]SIZE[,PARAMETERS]",
               "--memory"),
    bad_option("option-for-value", "--cmdline needs a value, --cmdline TEXT", "-c", "--entropy"),
    bad_option("option-flag-value", "--entropy takes no value", "--entropy=on"),
    bad_option("option-twice", "--pvh is given twice", "--pvh", "{d}/reset"),
    bad_option("option-alias-twice", "--cmdline is given twice", "--cmd-line", "a", "-c", "b"),
    bad_option("option-flag-twice", "--pvpanic is given twice", "--pvpanic", "--pvpanic"),
    bad_option("option-stray", "unexpected argument 'vmlinuz'; see 'alcor boot --help'", "vmlinuz"),
    bad_option("option-dashes", "unknown option '--'; see 'alcor boot --help'", "--"),
    usage("payload-none", ["boot", "--entropy"], "nothing to boot: give --kernel or --pvh"),
    bad_option("firmware", "--firmware /fw: firmware is not supported by this version",
               "-f", "/fw"),
    bad_option("log-level", "--log-level 9: '9' is none of: error warn info debug", "-l", "9"),
    bad_option("on-reset", "--on-reset reboot: 'reboot' is neither restart nor exit",
               "--on-reset", "reboot"),
    bad_option("on-panic", "--on-panic : '' is neither restart nor exit", "--on-panic="),
    bad_option("grace-word", f"--grace 10s: '10s' {NUMBER}", "--grace", "10s"),
    bad_option("grace-large", "--grace 1g: 1g is above the maximum, 1000000", "--grace", "1g"),
    bad_option("hypervisor", "--hypervisor hvf: key 'type', column 1: 'hvf' is none of: kvm",
               "--hypervisor", "hvf"),
    bad_option("object-name", "--object x,y: 'x' is not a name of the form id_NAME",
               "-o", "x,y"),
    bad_option("object-twice", "--object id_a,2: 'id_a' is defined twice",
               "-o", "id_a,1", "-o", "id_a,2"),
    bad_option("object-none", "--memory id_mem: no object 'id_mem'; did you mean 'id_men'?",
               "--memory", "id_mem", "-o", "id_men,size=1g"),
    bad_option("object-inside",
               "--memory id_m: object 'id_m': unknown key 'siez' for memory, at column 1; "
               "did you mean 'size'?", "--memory", "id_m", "-o", "id_m,siez=1g"),
    bad_option("control-characters", "unexpected argument 'a?[31mb?c'; see 'alcor boot --help'",
               "a\x1b[31mb\nc"),
]

MACHINE = [
    bad_option("cpu-zero", "--cpu 0: key 'count', column 1: 0 is below the minimum, 1",
               "--cpu", "0"),
    bad_option("cpu-many",
               "--cpu count=2000: key 'count', column 7: 2000 is above the maximum, 1024",
               "--cpu", "count=2000"),
    bad_option("cpu-negative", f"--num-cpu -1: '-1' {NUMBER}", "--num-cpu", "-1"),
    bad_option("cpu-product",
               "--cpu 4,sockets=3: count=4 is not sockets=3 times cores=1 times threads=1",
               "-p", "4,sockets=3"),
    bad_option("cpu-topology",
               "--cpu count=8,sockets=2,cores=2: count=8 is not sockets=2 times cores=2 times "
               "threads=1", "-p", "count=8,sockets=2,cores=2"),
    bad_option("memory-zero", "--memory 0: key 'size', column 1: 0 is below the minimum, 1M",
               "-m", "0"),
    bad_option("memory-small", "--memory size=64k: key 'size', column 6: 64k is below the "
               "minimum, 1M", "-m", "size=64k"),
    bad_option("memory-unaligned", "--memory 1048577: the size, 1048577, is no multiple of the "
               "page size, 4096", "-m", "1048577"),
    bad_option("memory-overflow", "--memory 16777216T: key 'size', column 1: 16777216T does not "
               "fit into 64 bits", "-m", "16777216T"),
    bad_option("memory-beyond", "--memory 5000T: key 'size', column 1: 5000T is above the "
               "maximum, 4096T", "-m", "5000T"),
    bad_option("memory-text", f"--memory lots: key 'size', column 1: 'lots' {NUMBER}",
               "-m", "lots"),
    bad_option("memory-plus", f"--memory +1G: key 'size', column 1: '+1G' {NUMBER}", "-m", "+1G"),
    bad_option("memory-empty", f"--memory size=: key 'size', column 6: '' {NUMBER}",
               "-m", "size="),
    bad_option("memory-unit", f"--memory 512MB: key 'size', column 1: '512MB' {NUMBER}",
               "-m", "512MB"),
    bad_option("memory-key", "--memory siez=1g: unknown key 'siez' for memory, at column 1; did "
               "you mean 'size'?", "-m", "siez=1g"),
    bad_option("memory-twice", "--memory size=1g,size=2g: key 'size' is given twice, again at "
               "column 9", "-m", "size=1g,size=2g"),
    bad_option("memory-bool", "--memory 1g,thp=yes: key 'transparent_hugepage', column 8: 'yes' "
               "is none of on, off, true, false", "-m", "1g,thp=yes"),
    bad_option("memory-element", "--memory 1g,,thp=on: empty element at column 4",
               "-m", "1g,,thp=on"),
    bad_option("memory-quote", "--memory \"1g: the quote at column 1 is not closed", "-m", "\"1g"),
    bad_option("memory-no-path", "--memory 1g,backend=file: backend=file needs path=",
               "-m", "1g,backend=file"),
    bad_option("mem-size", f"--mem-size size=1g: 'size=1g' {NUMBER}", "--mem-size", "size=1g"),
    fails("memory-too-large", boot("-m", "4096T"),
          "--memory: memory size 4096 TiB needs guest addresses up to ..., this host reaches up to ...",
          kvm=True),
    fails("memory-too-small", boot("-m", "1M"),
          "--pvh {d}/vmlinux: a segment of the kernel needs 0x100000-0x10003f, which is not RAM of "
          "this machine (more --memory may help)", kvm=True),
    fails("memory-file", boot("-m", "64M,backend=file,path={d}/absent/m"),
          "--memory: {d}/absent/m: No such file or directory", kvm=True),
    fails("kvm-absent", boot("--hypervisor", "kvm,dev_kvm={d}/absent"),
          "{d}/absent: not there; load the module ..."),
    fails("kvm-null", boot("--hypervisor", "kvm,dev_kvm=/dev/null"), "/dev/null: not a KVM device"),
    fails("kvm-denied", boot(), "/dev/kvm: no permission; join the group that owns it",
          nobody=True, root=True),
]

KERNELS = [
    fails("kernel-absent", ["boot", "-k", "{d}/absent"],
          "--kernel {d}/absent: open: No such file or directory"),
    fails("kernel-before-machine", ["boot", "-k", "{d}/absent", "--hypervisor",
                                    "kvm,dev_kvm={d}/absent2"],
          "--kernel {d}/absent: open: No such file or directory"),
    fails("kernel-empty", ["boot", "-k", "{d}/empty"], "--kernel {d}/empty: is empty"),
    fails("kernel-no-path", ["boot", "-k", ""], "--kernel : open: No such file or directory"),
    fails("kernel-random", ["boot", "-k", "{d}/random"],
          "--kernel {d}/random: is neither a bzImage nor an ELF kernel"),
    fails("kernel-no-note", ["boot", "-k", "{d}/no-note"],
          "--kernel {d}/no-note: is an ELF file without a PVH entry note ..."),
    fails("kernel-outside", ["boot", "-k", "{d}/outside"],
          "--kernel {d}/outside: has its PVH entry at 0x5000000, outside of its segments"),
    fails("kernel-aarch64-elf", ["boot", "-k", "{d}/aarch64"],
          "--kernel {d}/aarch64: is an aarch64 ELF file; this machine is x86_64"),
    fails("kernel-aarch64-image", ["boot", "-k", "{d}/Image"],
          "--kernel {d}/Image: is an aarch64 kernel Image; this machine is x86_64"),
    fails("kernel-gzip", ["boot", "-k", "{d}/gzip"],
          "--kernel {d}/gzip: is gzip-compressed data; decompress it first"),
    fails("kernel-truncated", ["boot", "-k", "{d}/cut"],
          "--kernel {d}/cut: is truncated: a segment of 64 bytes at offset 176 is missing (the "
          "file has 200)"),
    fails("kernel-header-cut", ["boot", "-k", "{d}/cut-header"],
          "--kernel {d}/cut-header: is truncated: 64 bytes at offset 0 are missing (the file "
          "has 40)"),
    fails("kernel-setup-only", ["boot", "-k", "{d}/bzImage"],
          "--kernel {d}/bzImage: is truncated..."),
    fails("kernel-directory", ["boot", "-k", "{d}/directory"],
          "--kernel {d}/directory: is a directory, not a regular file"),
    fails("kernel-fifo", ["boot", "-k", "{d}/fifo"],
          "--kernel {d}/fifo: is a pipe, not a regular file"),
    fails("kernel-initramfs", ["boot", "-k", "{d}/initramfs"],
          "--kernel {d}/initramfs: is a cpio archive (an initramfs?)"),
    fails("pvh-absent", ["boot", "--pvh", "{d}/absent"],
          "--pvh {d}/absent: open: No such file or directory"),
    fails("pvh-bzimage", ["boot", "--pvh", "{d}/bzImage"],
          "--pvh {d}/bzImage: is a bzImage, not an ELF file; use --kernel"),
    fails("initramfs-absent", boot("-i", "{d}/absent"),
          "--initramfs {d}/absent: open: No such file or directory"),
    fails("initramfs-directory", boot("-i", "{d}/directory"),
          "--initramfs {d}/directory: is a directory, not a regular file"),
    fails("initramfs-large", boot("-i", "{d}/large", "-m", "256M"),
          "--initramfs {d}/large: the initramfs has 3221225472 bytes, which do not fit beside the "
          "kernel into ...", kvm=True),
    fails("cmdline-long", boot("-c", "x" * 100000),
          "--cmdline: 100000 bytes are too many, this kernel takes at most 4095"),
]

DEVICES = [
    bad_option("net-key", "--net tap,mca=1: unknown key 'mca' for net/tap, at column 5; did you "
               "mean 'mac'?", "--net", "tap,mca=1"),
    bad_option("net-bare-value", "--net if_name=t0,mtu=1: key 'mtu', column 16: 1 is below the "
               "minimum, 68", "--net", "if_name=t0,mtu=1"),
    bad_option("class-fs", "--fs vu,socket=/s,tag=t: no plugin serves 'vu' of class fs",
               "--fs", "vu,socket=/s,tag=t"),
    bad_option("class-vsock", "--vsock vhost,cid=3: no plugin serves 'vhost' of class vsock",
               "--vsock", "vhost,cid=3"),
    bad_option("class-vsock-twice", "--vsock is given twice", "--vsock", "a", "--vsock", "b"),
    bad_option("balloon-key", "--balloon targt=1G: unknown key 'targt' for balloon/virtio, at "
               "column 1; did you mean 'target'?", "--balloon", "targt=1G"),
    bad_option("balloon-value", "--balloon virtio,stats=100000: key 'stats', column 14: 100000 is "
               "above the maximum, 86400",
               "--balloon", "virtio,stats=100000"),
    bad_option("class-fw-cfg", "--fw-cfg name=a,string=b: no plugin serves the class 'fw-cfg'",
               "--fw-cfg", "name=a,string=b"),
    bad_option("class-vfio", "--vfio-cdev path=/v: no plugin serves the class 'vfio'",
               "--vfio-cdev", "path=/v"),
    bad_option("class-coco", "--coco sev,policy=1: no plugin serves the class 'coco'",
               "--coco", "sev,policy=1"),
    bad_option("class-near", "--device blq/file,path=/a: no plugin serves the class 'blq'; did "
               "you mean 'blk'?", "--device", "blq/file,path=/a"),
    bad_option("device-form", "--device blk: 'blk' is not of the form CLASS/KEYWORD",
               "--device", "blk"),
    bad_option("device-keyless", "--device blk/: no keyword; see 'alcor help blk'",
               "--device", "blk/"),
    bad_option("device-classless", "--device path=/a: the first element must be a CLASS/KEYWORD",
               "--device", "path=/a"),
    bad_option("keyword-near", "--blk flie,path=/a: no plugin serves 'flie' of class blk; did you "
               "mean 'file'?", "--blk", "flie,path=/a"),
    bad_option("keyword-vu", "--blk vu,sokcet=/s: no plugin serves 'vu' of class blk",
               "--blk", "vu,sokcet=/s"),
    bad_option("keyword-alone", "--blk flie: no plugin serves 'flie' of class blk; did you mean "
               "'file'?", "--blk", "flie"),
    bad_option("keyword-empty", "--blk : no keyword; see 'alcor help blk'", "--blk", ""),
    bad_option("keyword-fs", "--fs socket=/s: the first element must be a keyword",
               "--fs", "socket=/s"),
    bad_option("console-unknown", "--console stido: no plugin serves 'stido' of class console; "
               "did you mean 'stdio'?", "--console", "stido"),
    bad_option("plugin-unknown", "--blk file@virtio-blq,path=/a: no plugin 'virtio-blq'; did you "
               "mean 'virtio-blk'?", "--blk", "file@virtio-blq,path=/a"),
    bad_option("plugin-other", "--blk file@uart,path=/a: plugin uart (...) does not serve blk/file",
               "--blk", "file@uart,path=/a"),
    bad_option("plugin-empty", "--blk file@,path=/a: no plugin behind the '@'",
               "--blk", "file@,path=/a"),
    bad_option("blk-key", "--blk file,path=/a,raedonly=on: unknown key 'raedonly' for blk/file, "
               "at column 14; did you mean 'readonly'?",
               "--blk", "file,path=/a,raedonly=on"),
    bad_option("blk-bare-key", "--blk path=/a,readOnly=on: unknown key 'readOnly' for blk/file, "
               "at column 9; did you mean 'readonly'?",
               "--blk", "path=/a,readOnly=on"),
    # The working directory has a file of that name, too.
    bad_option("blk-missing", "--blk file: key 'path' is missing for blk/file", "--blk", "file"),
    bad_option("blk-twice", "--blk file,path=/a,path=/b: key 'path' is given twice, again at "
               "column 14", "--blk", "file,path=/a,path=/b"),
    bad_option("blk-two-paths", "--blk file,/a,/b: '/b' at column 9 has no key, and 'path' is "
               "given already", "--blk", "file,/a,/b"),
    bad_option("blk-no-value", "--blk file,/a,readonly: key 'readonly' at column 9 has no value; "
               "write readonly=VALUE", "--blk", "file,/a,readonly"),
    bad_option("blk-bool", "--blk file,/a,readonly=1: key 'readonly', column 18: '1' is none of "
               "on, off, true, false", "--blk", "file,/a,readonly=1"),
    bad_option("blk-packed", "--blk file,/a,packed=2: key 'packed', column 16: '2' is none of "
               "on, off, true, false", "--blk", "file,/a,packed=2"),
    bad_option("blk-queues", "--blk file,/a,queues=0: key 'queues', column 16: 0 is below the "
               "minimum, 1", "--blk", "file,/a,queues=0"),
    bad_option("id-twice", "--blk file,/b,id=x: id 'x' is taken by --blk file,/a,id=x",
               "--blk", "file,/a,id=x", "--blk", "file,/b,id=x"),
    bad_option("entropy-later-wrong", "--blk file,/a,x=1: unknown key 'x' for blk/file, "
               "at column 9; it knows path, readonly, ...",
               "--entropy", "--blk", "file,/a,x=1"),
]


def image(name, args, error, **more):
    return fails(name, boot("--blk", *args), error, kvm=True, **more)


IMAGES = [
    image("image-absent", ["file,path={d}/absent.img"],
          "--blk file,path={d}/absent.img: open: No such file or directory"),
    image("image-bare-absent", ["{d}/absent.img"],
          "--blk {d}/absent.img: open: No such file or directory",
          notices=("--blk without a keyword is deprecated, write --blk "
                   "file,path=\"{d}/absent.img\"",)),
    image("image-directory", ["file,path={d}/directory"],
          "--blk file,path={d}/directory: open: Is a directory"),
    image("image-fifo", ["file,path={d}/fifo"],
          "--blk file,path={d}/fifo: neither a file nor a block device"),
    image("image-empty", ["file,path={d}/empty"], "--blk file,path={d}/empty: the image is empty"),
    image("image-odd", ["file,path={d}/odd.img"],
          "--blk file,path={d}/odd.img: the size, 1000 bytes, is not a multiple of 512 bytes"),
    image("image-locked", ["file,path={d}/disk.img"],
          "--blk file,path={d}/disk.img: locked by another process", lock="{d}/disk.img"),
    image("image-locked-readonly", ["file,path={d}/disk.img,readonly=on"],
          "--blk file,path={d}/disk.img,readonly=on: locked by another process",
          lock="{d}/disk.img"),
    image("image-twice", ["file,path={d}/disk.img", "--blk", "file,{d}/disk.img"],
          "--blk file,{d}/disk.img: locked by another process"),
]


def plugin_list(kind, reason):
    """The bad file is listed with its reason, and harms no other."""
    return Case(f"list-{kind}", ["plugin", "list", "--plugin-dir", "{d}/plugins/" + kind,
                                 "--plugin-dir", "{d}/plugins/params"], 0,
                out=(rf"(?m)^bad \S+ unusable \S+ {{d}}/plugins/{kind}/alcor-bad\.so: .*{reason}",
                     r"(?m)^table 1\.0 usable misc/table "))


def plugin_boot(kind, status, error):
    return Case(f"boot-{kind}", boot("--console", "none", "--plugin-dir", "{d}/plugins/" + kind,
                                     "--device", "misc/bad"), status,
                f"--device misc/bad: {error}", kvm=status != 2 and kind == "failing")


def cannot(kind, reason):
    return ("misc/bad is served by {d}/plugins/" + kind +
            "/alcor-bad.so, which cannot be used: " + reason)


PLUGINS = [
    plugin_list("empty", "not an ELF file"),
    plugin_list("text", "not an ELF file"),
    plugin_list("truncated", "(truncated|program headers)"),
    plugin_list("cut-note", "(truncated|no alcor note)"),
    plugin_list("machine", "built for another machine"),
    plugin_list("class32", "not a 64-bit little-endian ELF file"),
    plugin_list("no-note", "no alcor note"),
    plugin_list("open-note", "the last entry is not terminated"),
    plugin_list("bad-entry", "entry 'nonsense' is not KEY=VALUE"),
    plugin_list("abi", "built for plugin ABI 0.99"),
    plugin_list("name", "its name is 'other', so the file must be alcor-other.so"),
    plugin_list("fifo", "not a regular file"),
    plugin_list("directory", "not a regular file"),
    plugin_list("dangling", "open: "),
    plugin_list("writable", "is writable by others"),
    Case("list-good", ["plugin", "list", "--plugin-dir={d}/plugins/good"], 0,
         out=(r"^bad 1\.0 usable misc/bad {d}/plugins/good/alcor-bad\.so\n$",)),
    # Whether the code is right shows when it is run, which a list does not.
    Case("list-null", ["plugin", "list", "--plugin-dir={d}/plugins/null"], 0,
         out=(r"^bad 1\.0 usable misc/bad ",)),
    Case("list-denied", ["plugin", "list", "--plugin-dir={d}/plugins/denied"], 0, nobody=True,
         root=True, out=(r"^bad - unusable - \S+: open: Permission denied\n$",)),
    plugin_boot("empty", 2, "no plugin serves the class 'misc'; there are no usable plugins in "
                "{d}/plugins/empty"),
    plugin_boot("abi", 1, cannot("abi", "built for plugin ABI 0.99, ...")),
    plugin_boot("no-entry", 1, cannot("no-entry", "it does not export alcor_plugin_entry_1()")),
    plugin_boot("null", 1, cannot("null", "its descriptor is NULL")),
    Case("boot-claims", boot("--console", "none", "--plugin-dir", "{d}/plugins/claims",
                             "--device", "misc/other"), 1,
         "--device misc/other: misc/other is served by {d}/plugins/claims/alcor-bad.so, which "
         "cannot be used: its claim misc/bad is not in its note"),
    plugin_boot("failing", 1, "no such luck"),
    usage("twins", boot("--console", "none", "--plugin-dir", "{d}/plugins/twins",
                        "--device", "misc/twin"),
          "--device misc/twin: misc/twin is claimed by two plugins, {d}/plugins/twins/"
          "alcor-twin-a.so and {d}/plugins/twins/alcor-twin-b.so: write twin@twin-a or "
          "twin@twin-b"),
    fails("plugin-dir-absent", boot("--plugin-dir", "{d}/absent"),
          "plugin directory {d}/absent: No such file or directory"),
    fails("plugin-dir-file", boot("--plugin-dir", "{d}/vmlinux"),
          "plugin directory {d}/vmlinux: Not a directory"),
    usage("plugin-dir-empty", boot("--plugin-dir", "{d}/directory"),
          "--console stdio (the default): no plugin serves the class 'console'; there are no "
          "usable plugins in {d}/directory"),
]

TABLE = ["--plugin-dir", "{d}/plugins/params", "--console", "none"]
PARAMS = [
    usage("table-missing", boot(*TABLE, "--device", "misc/table,/a"),
          "--device misc/table: key 'needed' is missing for misc/table"),
    usage("table-choice", boot(*TABLE, "--device", "misc/table,needed=maybe"),
          "--device misc/table: key 'needed', column 19: 'maybe' is none of: yes no"),
    usage("table-bound", boot(*TABLE, "--device", "misc/table,needed=no,n=10"),
          "--device misc/table: key 'number', column 24: 10 is above the maximum, 9"),
    usage("table-secret", boot(*TABLE, "--device", "misc/table,password=hunter2,neded=no"),
          "--device misc/table: unknown key 'neded' for misc/table, at column 29; did you mean "
          "'needed'?"),
    usage("table-empty-path", boot(*TABLE, "--device", "misc/table,path=,needed=no"),
          "--device misc/table: key 'path', column 17: empty path"),
    passes("table-deprecated", boot(*TABLE, "--device", "misc/table,needed=no,old=on"),
           notices=("--device misc/table: key 'old' is deprecated",)),
]

HELP = [
    Case("help-program", ["--help"], 0, out=("^Usage: alcor ", "boot .*boot a virtual machine")),
    Case("help-command", ["help", "boot"], 0, out=("^Usage: alcor boot", "-k, --kernel PATH")),
    Case("help-boot", ["boot", "--help"], 0, out=("^Usage: alcor boot", "--cmd-line TEXT")),
    Case("help-run", ["run", "-h"], 0, out=("^Usage: alcor boot",)),
    Case("help-plugin", ["plugin", "--help"], 0, out=("^Usage: alcor plugin list",)),
    Case("help-class", ["boot", "--help", "blk"], 0,
         out=("^Keywords of class blk:\n  file +.*\\(virtio-blk\\)\n",)),
    Case("help-class-equals", ["boot", "--help=blk"], 0, out=("^Keywords of class blk:\n",)),
    Case("help-memory", ["help", "memory"], 0, out=("size=SIZE .*1M to 4096T, default 1G",)),
    Case("help-table", ["help", "--plugin-dir", "{d}/plugins/params", "misc/table"], 0, out=(
        "^misc/table: a device that does nothing\n\nParameters:\n",
        r"  path=PATH +a path \('path=' may be left out\)\n",
        r"  number=N +a number \(1 to 9, default 3, also n=\)\n",
        r"  password=TEXT +a secret\n", r"  needed=yes\|no +a word \(required\)\n",
        r"  old=on\|off +of former times \(deprecated\)\n", r"  id=TEXT +name ")),
    Case("help-twins", ["help", "--plugin-dir", "{d}/plugins/twins", "misc"], 0,
         out=(r"  twin +a device that does nothing \(twin-a\)\n  twin +.*\(twin-b\)\n",)),
    Case("version", ["--version"], 0, out=(r"^alcor \d+\.\d+\.\d+\n$",)),
    Case("list-stock", ["plugin", "list"], 0, out=(
        r"(?m)^virtio-blk \S+ usable blk/file /\S+/alcor-virtio-blk\.so$",
        r"(?m)^uart \S+ usable console/stdio",)),
]

NEIGHBOURS = [
    passes("good", boot()),
    passes("good-run", ["run", "-k", "{d}/vmlinux"]),
    passes("good-equals", ["boot", "--kernel={d}/vmlinux", "-ccommand line", "-m=64M"]),
    passes("good-devices", boot("--entropy", "--pvpanic", "--blk", "file,path={d}/disk.img")),
    passes("good-positional", boot("--blk", "file,{d}/disk.img,readonly=on")),
    passes("good-quoted", boot("--blk", "file,path=\"{d}/a,b=c.img\"")),
    passes("good-object", boot("--blk", "file,path=id_p", "-o", "id_p,{d}/a,b=c.img")),
    passes("good-object-list", boot("--blk", "file,id_l", "-o", "id_l,path={d}/disk.img")),
    passes("good-object-whole", boot("--blk", "id_b", "-o", "id_b,file,path={d}/disk.img")),
    passes("good-comma", boot("--blk", "file,path={d}/disk.img,")),
    passes("good-device", boot("--device", "blk/file,path={d}/disk.img,id=root")),
    passes("good-named-plugin", boot("--blk", "file@virtio-blk,path={d}/disk.img")),
    passes("good-two-readers", boot("--blk", "file,{d}/disk.img,readonly=on",
                                    "--blk", "file,{d}/disk.img,readonly=on")),
    passes("good-cpu", boot("--cpu", "count=2,sockets=2")),
    passes("good-num-cpu", boot("--num-cpu", "2")),
    passes("good-memory", boot("-m", "size=64M,backend=memfd,thp=on,prefault=off")),
    passes("good-hex", boot("-m", "0x4000k")),
    passes("good-no-console", boot("--console", "none")),
    passes("good-console-device", boot("--device", "console/stdio")),
    passes("good-twin", boot("--console", "none", "--plugin-dir", "{d}/plugins/twins",
                             "--device", "misc/twin@twin-a")),
    passes("good-initramfs", boot("-i", "{d}/initramfs")),
    passes("good-hypervisor", boot("--hypervisor", "kvm,dev_kvm=/dev/kvm")),
    passes("good-cmdline", boot("-c", "id_x=1 --entropy a,b=c \"d\"")),
    passes("old-mem-size", boot("--mem-size", "64M"),
           notices=("--mem-size is deprecated, write --memory SIZE",)),
    passes("old-mem-size-ignored", boot("--mem-size", "1M", "-m", "64M"),
           notices=("--mem-size 1M is ignored, as --memory is given",
                    "--mem-size is deprecated, write --memory SIZE")),
    passes("old-blk-struct", boot("--blk", "path={d}/disk.img,readonly=true"),
           notices=("--blk without a keyword is deprecated, write --blk "
                    "file,path={d}/disk.img,readonly=true",)),
    passes("old-blk-path", boot("--blk", "{d}/disk.img"),
           notices=("--blk without a keyword is deprecated, write --blk "
                    "file,path=\"{d}/disk.img\"",)),
    passes("old-blk-quotes", boot("--blk", "{d}/q\"u\\o.img"),
           notices=("--blk without a keyword is deprecated, write --blk "
                    "file,path=\"{d}/q\\\"u\\\\o.img\"",)),
    passes("old-blk-at", boot("--blk", "{d}/at@x.img"),
           notices=("--blk without a keyword is deprecated, write --blk "
                    "file,path=\"{d}/at@x.img\"",)),
    passes("old-blk-name", boot("--blk", "bare"),
           notices=("--blk without a keyword is deprecated, write --blk file,path=\"bare\"",)),
    passes("old-pvh", ["boot", "--pvh", "{d}/vmlinux", "-k", "{d}/vmlinux"],
           notices=("--pvh is ignored, as --kernel is given",)),
    Case("quiet-notices", boot("-l", "error", "--mem-size", "64M"), 0, kvm=True),
    Case("end-reset", ["boot", "-k", "{d}/reset", "--on-reset", "exit"], 3, kvm=True),
    Case("end-crash", ["boot", "-k", "{d}/crash"], 5, "vCPU 0: triple fault", kvm=True),
]

ALL = (COMMANDS + OPTIONS + MACHINE + KERNELS + DEVICES + IMAGES + PLUGINS + PARAMS + HELP +
       NEIGHBOURS)
