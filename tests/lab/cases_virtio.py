# SPDX-License-Identifier: Apache-2.0
"""Tests of the virtio family beyond disks: network, shared folder, sockets, balloon, console."""

import functools
import hashlib
import http.server
import os
import re
import shutil
import socket
import stat
import subprocess
import threading
import time
import urllib.request

from cases import BOOT, MIB, case, finish, sha256
from vmm import Failed


def serve_folder(folder, address):
    """An HTTP server on a port of its own, in a thread; returns it."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer((address, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def random_file(t, size):
    path = os.path.join(t.folder, "data")
    with open(path, "wb") as f:
        f.write(os.urandom(size))
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(url, want):
    with urllib.request.urlopen(url, timeout=BOOT) as answer:
        got = hashlib.sha256(answer.read()).hexdigest()
    if got != want:
        raise Failed(f"{url} brought other data")


@case("net-user", only_alcor=True, packed="off")
@case("net-user-packed", only_alcor=True, packed="on")
def net_user(t, packed):
    data = random_file(t, 8 * MIB)
    server = serve_folder(t.folder, "127.0.0.1")
    port = free_port()
    guest = t.boot("net", "dhcp", "10.0.2.2", server.server_address[1], options=[
        "--net", f"user,hostfwd=tcp:127.0.0.1:{port}-:8080,packed={packed}"])
    got = guest.expect("^guest: fetched ([0-9a-f]{64})$|^verdict: FAIL.*$", 2 * BOOT).group(1)
    server.shutdown()
    if got != sha256(data):
        raise Failed("the guest fetched other data")
    fetch(f"http://127.0.0.1:{port}/data", got)
    guest.type("\n")
    finish(guest)


def net_tap_with(t, options, tap, cpus=1):
    if os.geteuid() != 0:
        raise Failed("making a tap needs root")
    data = random_file(t, 8 * MIB)
    guest = t.boot("net", "10.77.0.2/24", "10.77.0.1", "8000", cpus=cpus,
                   options=["--net", f"tap,{options}"])
    guest.expect("^guest: ready$", BOOT)
    mtu = re.search(r"mtu=(\d+)", options).group(1)
    for words in (f"addr add 10.77.0.1/24 dev {tap}", f"link set {tap} mtu {mtu} up"):
        subprocess.run(["ip", *words.split()], check=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=t.folder)
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("10.77.0.1", 8000), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    guest.type("\n")
    got = guest.expect("^guest: fetched ([0-9a-f]{64})$|^verdict: FAIL.*$", 2 * BOOT).group(1)
    server.shutdown()
    if got != sha256(data):
        raise Failed("the guest fetched other data")
    fetch("http://10.77.0.2:8080/data", got)
    guest.type("\n")
    finish(guest)
    if os.path.exists(f"/sys/class/net/{tap}"):
        raise Failed("the tap is still there")


@case("net-tap", only_alcor=True)
def net_tap(t):
    net_tap_with(t, "if=labtap0,mtu=1500", "labtap0")


@case("net-tap-jumbo-queues", only_alcor=True)
def net_tap_jumbo(t):
    net_tap_with(t, "if=labtap1,mtu=9000,queue_pairs=2", "labtap1", cpus=2)


def tree_of(root):
    """What a folder holds: type, mode, size, target and content of everything below it."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            kind = stat.S_IFMT(status.st_mode)
            content = os.readlink(path) if stat.S_ISLNK(kind) else \
                sha256(path) if stat.S_ISREG(kind) else ""
            found[os.path.relpath(path, root)] = (oct(status.st_mode), content)
    return found


@case("fs", only_alcor=True, packed="off")
@case("fs-packed", only_alcor=True, packed="on")
def shared_folder(t, packed):
    share = os.path.join(t.folder, "share")
    shutil.copytree(os.path.dirname(os.path.abspath(__file__)), os.path.join(share, "from-host"),
                    ignore=shutil.ignore_patterns("__*"))
    os.symlink("/etc/passwd", os.path.join(share, "outside"))
    with open(os.path.join(share, "big"), "wb") as f:
        f.write(os.urandom(8 * MIB))
    guest = t.boot("fs", sha256(os.path.join(share, "big")), options=[
        "--fs", f"dir,path={share},tag=share,packed={packed}"])
    finish(guest, 2 * BOOT)
    tree = tree_of(share)
    copied = {k: v for k, v in tree.items() if k.startswith("copy")}
    wanted = {k.replace("from-host", "copy", 1): v for k, v in tree.items()
              if k.startswith("from-host")}
    if copied != wanted:
        raise Failed(f"the guest's copy differs: {set(copied.items()) ^ set(wanted.items())}")
    if tree.get("big2", ("", ""))[1] != tree["big"][1]:
        raise Failed("the guest's copy of the large file differs")
    if tree.get("link", ("", ""))[1] != "copy/run" or "gone" in tree:
        raise Failed(f"link, rename or removal went wrong: {sorted(tree)}")


@case("fs-read-only", only_alcor=True)
def shared_folder_read_only(t):
    share = os.path.join(t.folder, "share")
    os.makedirs(share)
    with open(os.path.join(share, "file"), "w") as f:
        f.write("as it was\n")
    before = tree_of(share)
    finish(t.boot("fs-read-only", options=[
        "--fs", f"dir,path={share},tag=share,readonly=on"]))
    if tree_of(share) != before:
        raise Failed("the guest changed what is read-only")


def connect_vsock(path, port):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(BOOT)
    client.connect(path)
    client.sendall(f"CONNECT {port}\n".encode())
    answer = b""
    while not answer.endswith(b"\n"):
        byte = client.recv(1)
        if not byte:
            raise Failed(f"connection to port {port} was closed")
        answer += byte
    if not re.match(rb"OK \d+\n$", answer):
        raise Failed(f"answered {answer!r}")
    return client


def read_all(s):
    data = b""
    while block := s.recv(65536):
        data += block
    return data


@case("vsock", only_alcor=True, packed="off")
@case("vsock-packed", only_alcor=True, packed="on")
def vsock(t, packed):
    path = os.path.join(t.folder, "vsock")
    data = os.urandom(2 * MIB)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path + "_6000")
    listener.listen()
    listener.settimeout(BOOT)
    guest = t.boot("vsock", options=["--vsock", f"uds,cid=3,path={path},packed={packed}"])
    guest.expect("^guest: listening$", BOOT)
    # host to guest: the guest echoes
    client = connect_vsock(path, 5000)
    sender = threading.Thread(target=lambda: (client.sendall(data),
                                              client.shutdown(socket.SHUT_WR)))
    sender.start()
    echoed = read_all(client)
    sender.join()
    if echoed != data:
        raise Failed(f"{len(echoed)} of {len(data)} bytes came back, or other ones")
    # guest to host: the guest sends a file that both know
    guest.type("\n")
    peer, _ = listener.accept()
    peer.settimeout(BOOT)
    sent = hashlib.sha256(read_all(peer)).hexdigest()
    if guest.expect("^guest: sent ([0-9a-f]{64})$", BOOT).group(1) != sent:
        raise Failed("the guest's file arrived damaged")
    peer.close()
    finish(guest)
    if os.path.exists(path):
        raise Failed("the socket is still there")


def resident_kib(guest):
    with open(f"/proc/{guest.process.pid}/status") as f:
        return int(re.search(r"VmRSS:\s*(\d+)", f.read()).group(1))


@case("balloon", only_alcor=True)
def balloon(t):
    guest = t.boot("balloon", options=["--balloon", "target=64M,free_page_reporting=on"])
    guest.expect("^guest: inflated$", BOOT)
    guest.type("\n")
    guest.expect("^guest: filled$", BOOT)
    filled = resident_kib(guest)
    guest.type("\n")
    guest.expect("^guest: freed$", BOOT)
    deadline = time.monotonic() + BOOT
    while resident_kib(guest) > filled - 48 * 1024:
        if time.monotonic() > deadline:
            raise Failed(f"{filled} KiB were resident, and {resident_kib(guest)} still are")
        time.sleep(0.5)
    guest.type("\n")
    finish(guest)


@case("virtio-console", only_alcor=True)
def virtio_console(t):
    log = os.path.join(t.folder, "hvc")
    path = os.path.join(t.folder, "port")
    guest = t.boot("hvc", options=["--device", f"hvc/file,path={log},port=lab:socket:{path}"])
    guest.expect("^guest: ready$", BOOT)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(BOOT)
    client.connect(path)
    client.sendall(b"ping\n")
    answer = client.makefile("rb").readline()
    if answer != b"pong\n":
        raise Failed(f"the port answered {answer!r}")
    finish(guest)
    with open(log, "rb") as f:
        text = f.read()
    if b"written to hvc0" not in text or text.count(b"\n") < 200:
        raise Failed(f"hvc0 has {text[-200:]!r}")


@case("vsock-parallel", only_alcor=True)
def vsock_parallel(t):
    path = os.path.join(t.folder, "vsock")
    guest = t.boot("vsock-parallel", options=["--vsock", f"uds,cid=3,path={path}"])
    guest.expect("^guest: listening$", BOOT)
    wrong = {}

    def stream(number):
        start = time.monotonic()
        try:
            echo(number)
        except (OSError, Failed) as error:
            wrong[number] = f"{error} after {time.monotonic() - start:.0f} s"

    def echo(number):
        data = bytes([number]) * MIB
        client = connect_vsock(path, 5000)
        sender = threading.Thread(target=lambda: (client.sendall(data),
                                                  client.shutdown(socket.SHUT_WR)))
        sender.start()
        got = read_all(client)
        sender.join()
        if got != data:
            raise Failed(f"{len(got)} of {len(data)} bytes came back, or other ones")

    # one that never reads and one that leaves: the others must not notice
    stuck, gone = connect_vsock(path, 5000), connect_vsock(path, 5000)
    stuck.setblocking(False)
    try:
        while stuck.send(bytes(65536)):
            pass
    except BlockingIOError:
        pass
    gone.sendall(b"x" * 1000)
    gone.close()
    threads = [threading.Thread(target=stream, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stuck.close()
    if wrong:
        raise Failed(f"streams: {wrong}")
    guest.type("\n")
    finish(guest)
