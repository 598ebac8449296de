"""machine.py - the machine below a measurement: control groups, the loop file system, counters of the kernel, memory."""
import atexit, collections, os, pathlib, shutil, signal, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BENCH = pathlib.Path(os.environ.get('MANSIO_BENCH', '/var/tmp/mansio-bench'))
BUILD = pathlib.Path(os.environ.get('MANSIO_BUILD', ROOT / 'build/release'))
CHECK = pathlib.Path(os.environ.get('MANSIO_TOOLS', ROOT / 'build/check'))
TOOLS = CHECK / 'bench'
FS = BENCH / 'fs'
sys.path.insert(0, str(ROOT / 'tests/system'))


def sh(*cmd, **kw):
    return subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL, **kw)


def cgroup_root():
    unified = pathlib.Path('/sys/fs/cgroup/unified')
    return unified if (unified / 'cgroup.controllers').exists() else pathlib.Path('/sys/fs/cgroup')


class Group:
    """A control group that all processes of one mail transfer agent are born into."""

    def __init__(self, name):
        self.name = f'mansio-bench-{os.getpid()}-{name}'
        self.path = cgroup_root() / self.name
        self.path.mkdir(exist_ok=True)
        atexit.register(self.end)       # whatever ends the run: nothing stays behind

    def popen(self, cmd, **kw):
        def enter():
            (self.path / 'cgroup.procs').write_text(str(os.getpid()))
        return subprocess.Popen([str(c) for c in cmd], preexec_fn=enter, **kw)

    def pids(self):
        return [int(p) for p in (self.path / 'cgroup.procs').read_text().split()]

    def cpu(self):
        """Seconds of user and system time of all processes that are or were in it."""
        for line in (self.path / 'cpu.stat').read_text().splitlines():
            if line.startswith('usage_usec'):
                return int(line.split()[1]) / 1e6

    def peak(self):
        """The high-water marks of resident memory in KiB: the highest of each kind of process."""
        out = collections.defaultdict(int)
        for pid in self.pids():
            try:
                name = pathlib.Path(f'/proc/{pid}/comm').read_text().strip()
                fields = dict(line.split(':', 1) for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines())
                out[name] = max(out[name], int(fields['VmHWM'].split()[0]))
            except (OSError, KeyError):
                pass                    # it ended between two looks
        return dict(out)

    def pid_of(self, name):
        return next(p for p in self.pids() if pathlib.Path(f'/proc/{p}/comm').read_text().strip() == name)

    def end(self):
        if not self.path.exists():
            return
        for sig in (signal.SIGTERM, signal.SIGKILL):
            for _ in range(100):
                pids = self.pids()
                if not pids:
                    break
                for p in pids:
                    try:
                        os.kill(p, sig)
                    except ProcessLookupError:
                        pass
                time.sleep(0.05)
        for _ in range(100):
            try:
                return self.path.rmdir()
            except OSError:
                time.sleep(0.05)


def make_fs():
    """A journalled ext4 on a loop file: a file system as servers have it, wherever the bench runs."""
    FS.mkdir(parents=True, exist_ok=True)
    if os.path.ismount(FS):
        return
    image = BENCH / 'fs.img'
    if not image.exists():
        sh('fallocate', '-l', '8G', str(image))
        sh('mkfs.ext4', '-q', '-F', str(image))
    sh('mount', '-o', 'loop', str(image), str(FS))
    atexit.register(lambda: subprocess.run(['umount', str(FS)], stderr=subprocess.DEVNULL))


def busy():
    """CPU seconds used and available on the whole machine, to tell how quiet it was."""
    w = [int(x) for x in open('/proc/stat').readline().split()[1:9]]
    return (sum(w) - w[3] - w[4]) / 100, sum(w) / 100


class Counting:
    """System calls of a group, counted by the kernel's tracepoints (perf stat): nothing is stopped or slowed as by strace.
    As a context; afterwards .calls and .syncs."""
    EVENTS = ('raw_syscalls:sys_enter', 'syscalls:sys_enter_fsync', 'syscalls:sys_enter_fdatasync')

    def __init__(self, group):
        self.group = group
        self.file = f'/dev/shm/mansio-bench-perf.{os.getpid()}'

    def __enter__(self):
        self.proc = subprocess.Popen(['perf', 'stat', '-a', '-x', ',', '-o', self.file, '-e', ','.join(self.EVENTS), '-G', ','.join([self.group.name] * 3)])
        for _ in range(200):            # it writes the head of its file when the counters run
            if os.path.exists(self.file):
                break
            time.sleep(0.01)
        time.sleep(0.1)
        return self

    def __exit__(self, *exc):
        self.proc.send_signal(signal.SIGINT)
        self.proc.wait()
        found = {}
        for line in open(self.file):
            w = line.split(',')
            if len(w) > 2 and w[2] in self.EVENTS:
                found[w[2]] = int(w[0]) if w[0].isdigit() else None
        os.unlink(self.file)
        if None in found.values() or len(found) != 3:
            sys.exit(f'bench: perf counted nothing: {found}')
        self.calls = found[self.EVENTS[0]]
        self.syncs = found[self.EVENTS[1]] + found[self.EVENTS[2]]


class Syncs:
    """fsync and fdatasync of a group, by process name: .by_name after the context."""

    def __init__(self, group):
        self.group = group
        self.file = f'/dev/shm/mansio-bench-syncs.{os.getpid()}'

    def __enter__(self):
        self.proc = subprocess.Popen(['perf', 'record', '-q', '-a', '-o', self.file, '-e', ','.join(Counting.EVENTS[1:]), '-G', ','.join([self.group.name] * 2)],
                                     stderr=subprocess.DEVNULL)
        time.sleep(1)
        return self

    def __exit__(self, *exc):
        self.proc.send_signal(signal.SIGINT)
        self.proc.wait()
        out = subprocess.run(['perf', 'script', '-i', self.file, '-F', 'comm'], capture_output=True, text=True).stdout
        self.by_name = dict(collections.Counter(line.strip().split('/')[0] for line in out.splitlines() if line.strip()))
        os.unlink(self.file)


def describe():
    """What a result has to say about where it comes from."""
    run = lambda *cmd: subprocess.run(cmd, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    memory = int(open('/proc/meminfo').readline().split()[1]) / 2**20
    model = next((line.split(':', 1)[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')), 'unknown processor')
    return dict(cpu=f'{os.cpu_count()} x {model}', memory=f'{memory:.0f} GiB', kernel=os.uname().release,
                system=f'Debian {pathlib.Path("/etc/debian_version").read_text().strip()}', load=os.getloadavg()[0],
                commit=run('git', 'rev-parse', '--short=10', 'HEAD'))


def free_space():
    return shutil.disk_usage(FS).free
