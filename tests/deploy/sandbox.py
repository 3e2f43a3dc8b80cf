"""Runs a command under the restrictions of a file in deploy/, on a machine without systemd and without a container engine.

    sandbox.py unit FILE --app DIR --state DIR [--set NAME=value ...] [-- COMMAND ...]
    sandbox.py service COMPOSE NAME [--app DIR] [--volume NAME=DIR ...] [--set NAME=value ...] [-- COMMAND ...]
    sandbox.py net -- COMMAND ...

Without COMMAND it runs what the file starts. The command replaces this process, so that its pid and signals are the command's own. Needs root.
A setting that this program does not know is an error: it would not be tested.
"""
import argparse
import ctypes
import errno
import fcntl
import json
import os
import pwd
import random
import re
import resource
import shlex
import shutil
import socket
import struct
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER = 0x00020000, 0x04000000, 0x10000000
NAMESPACES = 0x7E020080  # all of the CLONE_NEW* flags
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 8192, 16384, 1 << 18
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 24, 47, 4
IMAGE_USER = 1654  # APP_UID of Microsoft's images


def call(function, *arguments):
    result = function(*arguments)
    if result < 0:
        code = ctypes.get_errno() or -result
        raise OSError(code, f"{function.__name__}{arguments}: {os.strerror(code)}")
    return result


# Mounts.

def mount(source, target, kind=None, flags=0, data=None):
    call(libc.mount, *(text.encode() if text else None for text in (source, target, kind)), ctypes.c_ulong(flags), data.encode() if data else None)


def attributes(target, add=0, remove=0, recursive=False):
    class Attributes(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]
    wanted = Attributes(add, remove, 0, 0)
    call(libc.syscall, 442, -100, target.encode(), 0x8000 if recursive else 0, ctypes.byref(wanted), ctypes.sizeof(wanted))  # mount_setattr


def tmpfs(target, mode="1777", owner=0, flags=MS_NOSUID | MS_NODEV):
    mount("tmpfs", target, "tmpfs", flags, f"mode={mode},uid={owner},gid={owner}")


def bind(source, target, writable=False):
    if not os.path.exists(target):
        if os.path.isdir(source):
            os.makedirs(target)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            open(target, "x").close()
    mount(source, target, None, MS_BIND | MS_REC)
    attributes(target, 0 if writable else MS_RDONLY, MS_RDONLY if writable else 0, recursive=True)


def opened(path):
    """A name for what is at this path now, for `bind` after the path has got another meaning."""
    return f"/proc/self/fd/{os.open(path, os.O_PATH)}"


def devices():
    """A /dev without the machine's devices."""
    tmpfs("/tmp", "0755")
    os.mkdir("/tmp/dev")
    tmpfs("/tmp/dev", "0755", flags=MS_NOSUID | MS_NOEXEC)
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        open(f"/tmp/dev/{name}", "x").close()
        mount(f"/dev/{name}", f"/tmp/dev/{name}", None, MS_BIND)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"/tmp/dev/{name}")
    os.mkdir("/tmp/dev/shm")
    tmpfs("/tmp/dev/shm")
    mount("/tmp/dev", "/dev", None, MS_MOVE)
    call(libc.umount2, b"/tmp", 2)


def private_mounts():
    call(libc.unshare, CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)


# System calls.

class Filter:
    """A seccomp filter by libseccomp, which also gives systemd's its form."""
    library = None

    class Comparison(ctypes.Structure):
        _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]

    ALLOW, KILL = 0x7FFF0000, 0x80000000
    LESS, EQUAL, GREATER, MASKED = 2, 4, 6, 7

    @staticmethod
    def refuse(code):
        return 0x00050000 | code

    def __init__(self, default):
        library = Filter.library = Filter.library or ctypes.CDLL("libseccomp.so.2")
        library.seccomp_init.restype = library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
        self.default = default
        self.context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action, names, *comparisons):
        for name in names:
            number = self.library.seccomp_syscall_resolve_name(name.encode())
            if number < 0 or action == self.default:  # not on this architecture, or what happens anyway
                continue
            rules = (Filter.Comparison * max(1, len(comparisons)))(*(Filter.Comparison(*comparison) for comparison in comparisons))
            call(self.library.seccomp_rule_add_array, self.context, ctypes.c_uint32(action), number, len(comparisons), rules)

    def load(self):
        call(self.library.seccomp_load, self.context)

    @staticmethod
    def name(number):
        text = Filter.library.seccomp_syscall_resolve_num_arch(0, number)
        return ctypes.cast(text, ctypes.c_char_p).value.decode() if text else None


def sets():
    """What `systemd-analyze syscall-filter` prints: each set's names, with those of the sets in it."""
    lists, current = {}, None
    for line in subprocess.run(["systemd-analyze", "syscall-filter"], check=True, capture_output=True, text=True).stdout.splitlines():
        line = re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip()
        if line.startswith("@"):
            current = lists.setdefault(line, [])
        elif line.startswith("    ") and current is not None and not line.strip().startswith("#"):
            current.append(line.strip())

    def names(entry):
        return {entry} if not entry.startswith("@") else {name for inner in lists[entry] for name in names(inner)}
    return names


def system_call_filter(values, error, names):
    """The first list says whether it allows or denies, and what happens to the rest; later ones add to it or take away."""
    listed, allows = set(), None
    for value in values:
        denies, entries = value.startswith("~"), value.lstrip("~").split()
        if allows is None:
            allows = not denies
            listed = names("@default") if allows else set()
        found = {name for entry in entries for name in names(entry)}
        listed = listed - found if denies == allows else listed | found
    refused = Filter.KILL if error is None else Filter.refuse(error)
    if not allows:
        result = Filter(Filter.ALLOW)
        result.add(refused, listed)
        return result
    result = Filter(refused)
    result.add(Filter.ALLOW, listed)
    # What systemd does not know yet is answered as by an older kernel.
    known = names("@known")
    result.add(Filter.refuse(errno.ENOSYS), {name for name in map(Filter.name, range(1024)) if name and name not in known})
    return result


def without(names, code=errno.EPERM):
    result = Filter(Filter.ALLOW)
    result.add(Filter.refuse(code), names)
    return result


def address_families(families):
    allowed = sorted(getattr(socket, name) for name in families)
    result, refused = Filter(Filter.ALLOW), Filter.refuse(errno.EAFNOSUPPORT)
    result.add(refused, ["socket"], (0, Filter.LESS, allowed[0], 0))
    result.add(refused, ["socket"], (0, Filter.GREATER, allowed[-1], 0))
    for family in set(range(allowed[0], allowed[-1])) - set(allowed):
        result.add(refused, ["socket"], (0, Filter.EQUAL, family, 0))
    return result


def no_namespaces():
    result = without(["unshare", "setns"])
    result.add(Filter.refuse(errno.ENOSYS), ["clone3"])
    for bit in range(32):
        if NAMESPACES >> bit & 1:
            result.add(Filter.refuse(errno.EPERM), ["clone"], (0, Filter.MASKED, 1 << bit, 1 << bit))
    return result


def no_realtime():
    result = Filter(Filter.ALLOW)
    for policy in (1, 2, 6):
        result.add(Filter.refuse(errno.EPERM), ["sched_setscheduler"], (1, Filter.EQUAL, policy, 0))
    result.add(Filter.refuse(errno.EPERM), ["sched_setscheduler"], (1, Filter.GREATER, 6, 0))
    return result


def no_set_ids():
    result = without(["openat2"], errno.ENOSYS)
    for bit in (0o4000, 0o2000):
        for names, argument in ((["chmod", "fchmod", "mkdir", "mknod", "creat"], 1), (["fchmodat", "fchmodat2", "mkdirat", "mknodat", "open"], 2), (["openat"], 3)):
            result.add(Filter.refuse(errno.EPERM), names, (argument, Filter.MASKED, bit, bit))
    return result


# Who the command is.

def map_users(users):
    """A user namespace with these users under their own numbers. The map is written by a child that stayed outside."""
    ready, done = os.pipe(), os.pipe()
    target = os.getpid()
    child = os.fork()
    if child == 0:
        os.read(ready[0], 1)
        for kind in ("uid", "gid"):
            with open(f"/proc/{target}/{kind}_map", "w", encoding="utf-8") as file:
                file.write("".join(f"{user} {user} 1\n" for user in users))
        os.write(done[1], b".")
        os._exit(0)
    call(libc.unshare, CLONE_NEWUSER)
    os.write(ready[1], b".")
    os.read(done[0], 1)
    os.waitpid(child, 0)
    for descriptor in ready + done:
        os.close(descriptor)


def become(user, groups=()):
    os.setgroups(list(groups))
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def last_capability():
    with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as file:
        return int(file.read())


def drop_capabilities(last, kept=()):
    for capability in set(range(last + 1)) - set(kept):
        call(libc.prctl, PR_CAPBSET_DROP, capability, 0, 0, 0)
    call(libc.prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


# The unit.

# Not carried out: what only a service manager does. The suite sends the unit's KillSignal itself and measures against TimeoutStopSec.
MANAGER = {"Type", "Restart", "RestartSec", "KillSignal", "TimeoutStopSec", "RemoveIPC", "EnvironmentFile"}
EXACTLY = {  # settings of which only this value is known here
    "DynamicUser": "yes", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "ProtectSystem": "strict", "ProtectHome": "yes",
    "PrivateTmp": "yes", "PrivateDevices": "yes", "PrivateUsers": "yes", "ProtectClock": "yes", "ProtectHostname": "yes", "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes", "ProtectControlGroups": "yes", "ProtectProc": "invisible", "ProcSubset": "pid",
    "RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes", "SystemCallArchitectures": "native",
}
TAKEN = {"ExecStart", "Environment", "StateDirectory", "StateDirectoryMode", "UMask", "LimitNOFILE", "RestrictAddressFamilies", "SystemCallFilter", "SystemCallErrorNumber"}


def read_unit(path):
    settings, section = {}, None
    for line in open(path, encoding="utf-8").read().replace("\\\n", " ").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line.strip() and line[0] not in "#;":
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value.strip().replace("%S", "/var/lib"))
    for name, values in settings.items():
        if name in EXACTLY and values != [EXACTLY[name]] or name not in EXACTLY and name not in MANAGER | TAKEN:
            raise SystemExit(f"sandbox.py does not know {name}={' '.join(values)}: teach it, or it goes untested")
    return settings


def run_unit(options):
    unit = read_unit(options.file)
    names = sets()  # before /tmp and /proc are others
    user = random.randrange(61184, 65520)
    state = unit["StateDirectory"][0]
    os.makedirs(options.state, exist_ok=True)
    for folder, folders, files in os.walk(options.state):
        for name in [folder, *(os.path.join(folder, name) for name in folders + files)]:
            os.chown(name, user, user, follow_symlinks=False)
    os.chmod(options.state, int(unit["StateDirectoryMode"][0], 8))
    program = unit["ExecStart"][0].split()[0]

    private_mounts()
    app, kept = opened(options.app), opened(options.state)
    runtime = None if os.path.exists(program) else opened(os.path.dirname(os.path.realpath(shutil.which("dotnet"))))
    if "ProtectHostname" in unit:
        call(libc.unshare, CLONE_NEWUTS)
    if "ProtectSystem" in unit:
        attributes("/", MS_RDONLY, recursive=True)
    # The files that the unit names are where it names them.
    tmpfs("/opt", "0755")
    bind(app, "/opt/secure-messaging")
    if runtime:
        bind(runtime, "/opt/dotnet")
    attributes("/opt", MS_RDONLY)
    tmpfs("/var/lib", "0755")
    os.makedirs("/var/lib/private", 0o755)
    bind(kept, f"/var/lib/private/{state}", writable=True)
    os.symlink(f"private/{state}", f"/var/lib/{state}")
    attributes("/var/lib", MS_RDONLY)
    if "PrivateDevices" in unit:
        devices()
    if "ProtectHome" in unit:
        for home in ("/home", "/root", "/run/user"):
            if os.path.isdir(home):
                tmpfs(home, "0000")
                attributes(home, MS_RDONLY)
    if "PrivateTmp" in unit:
        tmpfs("/tmp")
        tmpfs("/var/tmp")
    last = last_capability()
    hidden = [f"hidepid={unit['ProtectProc'][0]}"] if "ProtectProc" in unit else []
    hidden += [f"subset={unit['ProcSubset'][0]}"] if "ProcSubset" in unit else []
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, ",".join(hidden) or None)
    if "PrivateUsers" in unit:
        map_users([0, user])
    if "CapabilityBoundingSet" in unit:
        drop_capabilities(last)
    files = int(unit["LimitNOFILE"][0])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = files if most == resource.RLIM_INFINITY else min(files, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    os.umask(int(unit["UMask"][0], 8))
    become(user)
    if "NoNewPrivileges" in unit:
        call(libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    filters = []
    for setting, group in (("ProtectClock", "@clock"), ("ProtectKernelModules", "@module"), ("PrivateDevices", "@raw-io")):
        if setting in unit:
            filters.append(without(names(group)))
    if "ProtectHostname" in unit:
        filters.append(without(["sethostname", "setdomainname"]))
    if "ProtectKernelLogs" in unit:
        filters.append(without(["syslog"]))
    if "RestrictAddressFamilies" in unit:
        filters.append(address_families(unit["RestrictAddressFamilies"][0].split()))
    if "RestrictNamespaces" in unit:
        filters.append(no_namespaces())
    if "RestrictRealtime" in unit:
        filters.append(no_realtime())
    if "RestrictSUIDSGID" in unit:
        filters.append(no_set_ids())
    if "LockPersonality" in unit:
        fixed = Filter(Filter.ALLOW)
        for less_or_more in (Filter.LESS, Filter.GREATER):
            fixed.add(Filter.refuse(errno.EPERM), ["personality"], (0, less_or_more, 0, 0))
        filters.append(fixed)
    if "SystemCallFilter" in unit:
        code = unit.get("SystemCallErrorNumber")
        filters.append(system_call_filter(unit["SystemCallFilter"], getattr(errno, code[0]) if code else None, names))

    # What systemd gives to every service, and nothing of ours.
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8", "STATE_DIRECTORY": f"/var/lib/{state}"}
    for line in unit.get("Environment", []):
        environment |= dict(pair.split("=", 1) for pair in shlex.split(line))
    environment |= dict(pair.split("=", 1) for pair in options.set)  # what its EnvironmentFile says
    command = options.command or shlex.split(unit["ExecStart"][0])
    if runtime and command[0] == program:
        command[0] = "/opt/dotnet/dotnet"
    os.chdir("/")
    for each in filters:
        each.load()
    os.execvpe(command[0], command, environment)


# A service of the compose file: what a container engine sets up, with this machine's /usr in place of an image's.

ENGINE_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)  # what engines leave to a container that drops none
SERVICE = {"image", "build", "restart", "entrypoint", "command", "environment", "secrets", "volumes", "networks", "depends_on", "read_only", "tmpfs", "cap_drop",
           "security_opt", "stop_grace_period", "ports", "ulimits", "user", "shm_size", "healthcheck"}


def last_stage(dockerfile):
    stage = {}
    for line in open(dockerfile, encoding="utf-8").read().replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stage = {"ENV": {}, "USER": "0"}
        elif word == "ENV":
            stage["ENV"] |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word in ("ENTRYPOINT", "CMD"):
            stage[word] = json.loads(rest)
        elif word in ("USER", "WORKDIR"):
            stage[word] = rest.strip().replace("$APP_UID", str(IMAGE_USER))
    return stage


def run_service(options):
    import yaml  # Debian's python3-yaml
    folder = os.path.dirname(os.path.abspath(options.file))
    with open(options.file, encoding="utf-8") as file:
        compose = yaml.safe_load(file)
    service = compose["services"][options.name]
    if unknown := set(service) - SERVICE:
        raise SystemExit(f"sandbox.py does not know {unknown}: teach it, or it goes untested")
    variables = dict(pair.split("=", 1) for pair in options.set)

    def expanded(text):
        return re.sub(r"\$\$|\$\{(\w+)[^}]*\}", lambda match: variables[match[1]] if match[1] else "$", str(text))
    image = last_stage(os.path.join(folder, "Dockerfile")) if "build" in service or service["image"] == "secure-messaging" else {"ENV": {}, "USER": "0"}
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"} | image["ENV"]
    environment |= {name: expanded(value) for name, value in service.get("environment", {}).items()}
    user = str(service.get("user", image["USER"]))
    user = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    command = options.command or [expanded(word) for word in [*service.get("entrypoint", image.get("ENTRYPOINT", [])), *service.get("command", image.get("CMD", []))]]
    named = dict(pair.split("=", 1) for pair in options.volume)
    last = last_capability()

    private_mounts()
    sources = {}  # opened before anything covers them
    for volume in service.get("volumes", []):
        source, target, *mode = expanded(volume).split(":")
        source = named.get(source) or os.path.join(folder, source)
        sources[target] = (opened(source), "ro" not in mode)
    for secret in service.get("secrets", []):
        sources[f"/run/secrets/{secret}"] = (opened(os.path.join(folder, compose["secrets"][secret]["file"])), False)
    if options.app:
        sources[image["WORKDIR"]] = (opened(options.app), False)
    for target, source in named.items():
        if target.startswith("/"):
            sources[target] = (opened(source), True)
    root = "/mnt"
    tmpfs(root, "0755")
    for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif os.path.isdir(f"/{name}"):
            bind(f"/{name}", f"{root}/{name}")
    for name in ("etc", "proc", "dev", "tmp", "run", "var"):
        os.mkdir(f"{root}/{name}")
    for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ssl", "alternatives"):
        if os.path.isdir(f"/etc/{name}"):
            shutil.copytree(f"/etc/{name}", f"{root}/etc/{name}", symlinks=True, ignore_dangling_symlinks=True, ignore=shutil.ignore_patterns("private"))
        elif os.path.exists(f"/etc/{name}"):
            shutil.copy(f"/etc/{name}", f"{root}/etc/{name}")
    with open(f"{root}/etc/hosts", "w", encoding="utf-8") as hosts:
        hosts.write("".join(f"127.0.0.1 {name}\n" for name in ["localhost", *compose["services"]]))
    for entry in service.get("tmpfs", []):
        target, _, settings = entry.partition(":")
        settings = dict(pair.split("=") for pair in settings.split(",") if pair)
        os.makedirs(root + target, exist_ok=True)
        tmpfs(root + target, settings.get("mode", "1777"), int(settings.get("uid", 0)))
    for target, (source, writable) in sorted(sources.items()):
        bind(source, root + target, writable)
    devices()
    mount("/dev", f"{root}/dev", None, MS_BIND | MS_REC)
    mount("proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if service.get("read_only"):
        attributes(root, MS_RDONLY)
    os.chroot(root)
    os.chdir(image.get("WORKDIR", "/"))

    files = service.get("ulimits", {}).get("nofile")
    if files:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = files if most == resource.RLIM_INFINITY else min(files, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    drop_capabilities(last, () if service.get("cap_drop") == ["ALL"] else ENGINE_CAPABILITIES)
    if user:
        become(user)
    if "no-new-privileges:true" in service.get("security_opt", []):
        call(libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.execvpe(command[0], command, environment)


def run_net(options):
    """A network of its own with the loopback device alone, so that the ports are those of the file."""
    call(libc.unshare, 0x40000000)
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running
    os.execvp(options.command[0], options.command)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    unit = kinds.add_parser("unit")
    unit.add_argument("file")
    unit.add_argument("--app", required=True)
    unit.add_argument("--state", required=True)
    unit.set_defaults(run=run_unit)
    service = kinds.add_parser("service")
    service.add_argument("file")
    service.add_argument("name")
    service.add_argument("--app")
    service.add_argument("--volume", action="append", default=[], metavar="NAME=DIR")
    service.set_defaults(run=run_service)
    net = kinds.add_parser("net")
    net.set_defaults(run=run_net)
    for kind in (unit, service):
        kind.add_argument("--set", action="append", default=[], metavar="NAME=value")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:end])
    options.command = sys.argv[end + 1:]
    options.run(options)


main()
