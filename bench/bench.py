#!/usr/bin/python3
"""bench.py accept|relay [options] - Mansio beside Postfix, in one run, on one journalled loop file system.

  accept   4 KiB messages into the queue, nothing delivered (Postfix: HOLD; Mansio: queue { deliver = no })
  relay    accept and relay by SMTP to a sink

Both run in a network namespace with only loopback, each in a cgroup of its own; the peers take turns inside every
repetition. "CPU ms" is user + system time of all processes of the MTA per message (syslogd not counted; Mansio writes
its own log file, which is counted). Needs root. See bench/README.md.
"""
import argparse, json, os, pathlib, shutil, signal, statistics, struct, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BENCH = pathlib.Path(os.environ.get('MANSIO_BENCH', '/var/tmp/mansio-bench'))
BIN = pathlib.Path(os.environ.get('MANSIO_BUILD', ROOT / 'build/release')) / 'bin'
TOOLS = pathlib.Path(os.environ.get('MANSIO_TOOLS', ROOT / 'build/check')) / 'bench'
FS = BENCH / 'fs'
sys.path.insert(0, str(ROOT / 'tests/system'))
import netns  # noqa: E402


def sh(*cmd, **kw):
    return subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL, **kw)


# ---- machine ----
def cgroup_root():
    return pathlib.Path('/sys/fs/cgroup') if pathlib.Path('/sys/fs/cgroup/cgroup.controllers').exists() else pathlib.Path('/sys/fs/cgroup/unified')


class Group:
    def __init__(self, name):
        self.path = cgroup_root() / f'mansio-bench-{name}'
        self.path.mkdir(exist_ok=True)

    def popen(self, cmd, **kw):
        def enter():
            (self.path / 'cgroup.procs').write_text(str(os.getpid()))
        return subprocess.Popen(cmd, preexec_fn=enter, **kw)

    def pids(self):
        return [int(p) for p in (self.path / 'cgroup.procs').read_text().split()]

    def cpu(self):
        for line in (self.path / 'cpu.stat').read_text().splitlines():
            if line.startswith('usage_usec'):
                return int(line.split()[1]) / 1e6

    def end(self):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            for _ in range(100):
                pids = self.pids()
                if not pids:
                    return
                for p in pids:
                    try:
                        os.kill(p, sig)
                    except ProcessLookupError:
                        pass
                time.sleep(0.1)


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


def wait_port(port):
    import socket
    for _ in range(300):
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f'bench: port {port} never opened')


# ---- peers ----
class Postfix:
    name, port = 'postfix', 2525
    root = FS / 'root-postfix'

    def prepare(self):
        if not (self.root / 'usr/sbin/postfix').exists():
            mirror = subprocess.run(['apt-get', 'indextargets', '--format', '$(SITE)', 'Created-By: Packages'], capture_output=True, text=True).stdout.split()[0]
            sh('debootstrap', '--variant=minbase', '--include=rsyslog,postfix', 'bookworm', str(self.root), mirror, stderr=subprocess.DEVNULL)
        etc = self.root / 'etc/postfix'
        (self.root / 'etc/hosts').write_text('127.0.0.1 localhost mail.bench.test\n')
        (etc / 'main.cf').write_text('''compatibility_level = 3.6
myhostname = mail.bench.test
mydestination = localhost.bench.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
default_process_limit = 300
smtpd_client_connection_count_limit = 0
smtpd_recipient_restrictions = check_recipient_access hash:/etc/postfix/hold, permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = none
smtp_tls_security_level = none
in_flow_delay = 0
default_destination_concurrency_limit = 100
initial_destination_concurrency = 50
transport_maps = hash:/etc/postfix/transport
maximal_queue_lifetime = 5d
''')
        (etc / 'hold').write_text('hold.test HOLD\n')
        (etc / 'transport').write_text('relay.test smtp:[127.0.0.1]:2600\nhold.test discard:\n')
        master = etc / 'master.cf.debian'
        if not master.exists():
            shutil.copy(etc / 'master.cf', master)
        lines = []
        for line in master.read_text().splitlines():
            w = line.split()
            if w[:2] == ['smtp', 'inet']:
                line = f'127.0.0.1:{self.port} inet n - n - - smtpd'
            elif w and line[0].isalpha() and len(w) > 7 and w[4] == 'y':
                w[4] = 'n'
                line = ' '.join(w)
            lines.append(line)
        (etc / 'master.cf').write_text('\n'.join(lines) + '\n')
        for m in ('hold', 'transport'):
            sh('chroot', str(self.root), 'postmap', f'hash:/etc/postfix/{m}')
        (self.root / 'etc/rsyslog-bench.conf').write_text('module(load="imuxsock" SysSock.Use="on")\nmodule(load="builtin:omfile" Template="RSYSLOG_TraditionalFileFormat")\n*.* -/var/log/mail.log\n')

    def start(self, relay):
        self.group, self.log = Group('postfix'), Group('postfix-log')
        for f in ('run/rsyslogd.pid', 'dev/log', 'var/log/mail.log'):
            (self.root / f).unlink(missing_ok=True)
        self.log.popen(['chroot', str(self.root), 'rsyslogd', '-n', '-f', '/etc/rsyslog-bench.conf'], stderr=subprocess.DEVNULL)
        for _ in range(100):
            if (self.root / 'dev/log').exists():
                break
            time.sleep(0.05)
        self.group.popen(['chroot', str(self.root), 'postfix', 'start'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait()
        wait_port(self.port)

    def rcpt(self, relay):
        return 'a@relay.test' if relay else 'a@hold.test'

    def stop(self):
        subprocess.run(['chroot', str(self.root), 'postfix', 'stop'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.group.end()
        self.log.end()
        subprocess.run(['chroot', str(self.root), 'postsuper', '-d', 'ALL'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Mansio:
    name, port = 'mansio', 2526
    dir = FS / 'mansio'

    def prepare(self):
        sh('sh', str(ROOT / 'etc/create-users.sh'))

    def start(self, relay):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir()
        conf = self.dir / 'mansio.conf'
        conf.write_text(f'''hostname = mail.bench.test
domains = [ bench.test ]
listen smtp {{ address = [ "127.0.0.1:{self.port}" ] max_sessions_per_client = 20000 max_sessions = 20000 max_commands = 1000000 }}
relay {{ from = [ 127.0.0.0/8 ] }}
route relay.test {{ via = "127.0.0.1:2600" max_connections = 100 }}
queue {{ directory = "{self.dir}/spool" {"" if relay else "deliver = no"} }}
processes {{ runtime = "{self.dir}/run" state = "{self.dir}/state" }}
dns {{ servers = [ "127.0.0.1:9" ] timeout = 1s }}
log {{ to = "{self.dir}/log" }}
''')
        conf.chmod(0o644)
        self.group = Group('mansio')
        r, w = os.pipe()
        self.proc = self.group.popen([str(BIN / 'mtad'), '-c', str(conf), '-F', '--ready-fd', str(w)], pass_fds=[w], stderr=open(self.dir / 'err', 'w'))
        os.close(w)
        if not os.read(r, 4096):
            sys.exit(f'bench: mansio did not start: {(self.dir / "err").read_text()}')
        os.close(r)

    def rcpt(self, relay):
        return 'a@relay.test'

    def stop(self):
        self.proc.terminate()
        self.proc.wait(60)
        self.group.end()


# ---- measuring ----
class Sink:
    def __init__(self):
        self.file = f'/dev/shm/mansio-bench-sink.{os.getpid()}'
        self.proc = subprocess.Popen([str(TOOLS / 'bench-sink'), '2600', self.file])
        wait_port(2600)
        self.base = self.read()[0]

    def read(self):
        return struct.unpack('QQd', open(self.file, 'rb').read(24))

    def wait(self, n, limit=300):
        end = time.monotonic() + limit
        while self.read()[0] - self.base < n:
            if time.monotonic() > end:
                print(f'bench: the sink has only {self.read()[0] - self.base} of {n}', file=sys.stderr)
                break
            time.sleep(0.005)
        return self.read()[2]

    def end(self):
        self.proc.terminate()
        self.proc.wait()
        os.unlink(self.file)


def busy():
    """CPU seconds used and available on the whole machine, to tell how quiet it was."""
    w = [int(x) for x in open('/proc/stat').readline().split()[1:9]]
    return (sum(w) - w[3] - w[4]) / 100, sum(w) / 100


def measure(peer, relay, n, c, size, many):
    sink = Sink() if relay else None
    cmd = [str(TOOLS / 'bench-source'), '-p', str(peer.port), '-c', str(c), '-n', str(n), '-l', str(size), '-f', 'from@bench.test', '-t', peer.rcpt(relay)]
    if many:
        cmd.append('-d')
    b0, cpu0, t0 = busy(), peer.group.cpu(), time.monotonic()
    src = subprocess.run(cmd, capture_output=True, text=True)
    if src.returncode:
        sys.exit(f'bench: {peer.name}: the generator failed: {src.stdout} {src.stderr}')
    done, refused, seconds, p50, p99 = src.stdout.split()
    end = sink.wait(n) if sink else time.monotonic()
    wall = end - t0 if sink else float(seconds)
    cpu = peer.group.cpu() - cpu0
    b1 = busy()
    row = dict(peer=peer.name, relay=relay, c=c, size=size, many=many, n=int(done), refused=int(refused), rate=round(n / wall, 1),
               cpu_ms=round(cpu / n * 1000, 4), p50_ms=float(p50), p99_ms=float(p99), sessions_out=sink.read()[1] if sink else 0,
               machine_busy=round((b1[0] - b0[0]) / max(b1[1] - b0[1], 0.01), 2))
    if sink:
        sink.end()
    return row


def table(rows, peers):
    print(f'\n{"case":34} {"peer":8} {"CPU ms/msg":>24} {"msg/s":>24} {"p50 ms":>7} {"p99 ms":>7} {"busy":>5}')
    cases = []
    for r in rows:
        key = (r['relay'], r['size'], r['c'], r['many'])
        if key not in cases:
            cases.append(key)
    for key in cases:
        med = {}
        for p in peers:
            mine = [r for r in rows if (r['relay'], r['size'], r['c'], r['many']) == key and r['peer'] == p.name]
            f = lambda k: statistics.median(r[k] for r in mine)
            rng = lambda k: f'{f(k):.4g} [{min(r[k] for r in mine):.4g}-{max(r[k] for r in mine):.4g}]'
            med[p.name] = (f('cpu_ms'), f('rate'))
            name = f'{"relay" if key[0] else "accept"} {key[1] // 1024}K c={key[2]} {"many/conn" if key[3] else "1/conn"}'
            print(f'{name:34} {p.name:8} {rng("cpu_ms"):>24} {rng("rate"):>24} {f("p50_ms"):7.2f} {f("p99_ms"):7.2f} {f("machine_busy"):5.2f}')
        if len(med) == 2:
            a, b = med['mansio'], med['postfix']
            print(f'{"":34} ratio    CPU 1/{b[0] / a[0]:.1f}, rate x{a[1] / b[1]:.1f}')


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('what', choices=['accept', 'relay'])
    ap.add_argument('-n', type=int, default=0, help='messages per run')
    ap.add_argument('-c', type=int, nargs='*', default=None, help='clients')
    ap.add_argument('-l', type=int, default=4096, help='bytes per message')
    ap.add_argument('--reps', type=int, default=3)
    ap.add_argument('--peers', default='postfix,mansio')
    ap.add_argument('--one', action='store_true', help='only one message per connection (default: both ways for accept)')
    a = ap.parse_args()
    if os.getuid() != 0:
        sys.exit('bench: needs root (cgroups, a loop file system, a network namespace)')
    relay = a.what == 'relay'
    peers = [{'postfix': Postfix, 'mansio': Mansio}[p]() for p in a.peers.split(',')]
    make_fs()
    for p in peers:
        p.prepare()
    netns.enter()
    cases = [(c, m) for c in (a.c or ([50] if relay else [1, 20, 100])) for m in ([False] if a.one else [True] if relay else [False, True])]
    rows = []
    for rep in range(a.reps):
        for p in peers:
            p.start(relay)
            measure(p, relay, 500, 20, a.l, True)     # warm-up: processes exist, caches are filled
            for c, many in cases:
                n = a.n or (1500 if c == 1 else 10000 if relay or many else 6000)
                row = measure(p, relay, n, c, a.l, many)
                rows.append(row)
                print(json.dumps(row), flush=True)
            p.stop()
    table(rows, peers)


if __name__ == '__main__':
    main()
