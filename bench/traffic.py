"""traffic.py - one measurement: the generator, the sink, and what they and the kernel say about a peer."""
import os, resource, signal, struct, subprocess, sys, time

from machine import TOOLS, Counting, Syncs, busy
from peers import SINK_PORT, USERS, wait_port


class Sink:
    """bench-sink, and its counters in shared memory."""

    def __init__(self, port=SINK_PORT):
        self.file = f'/dev/shm/mansio-bench-sink.{os.getpid()}.{port}'
        self.proc = subprocess.Popen([str(TOOLS / 'bench-sink'), str(port), self.file])
        wait_port(port)
        self.base, self.sessions, _ = self.read()

    def read(self):
        with open(self.file, 'rb') as f:
            return struct.unpack('QQd', f.read(24))

    def got(self):
        return self.read()[0] - self.base

    def last(self):
        """When the last message came, CLOCK_MONOTONIC."""
        return self.read()[2]

    def end(self):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait()
        os.unlink(self.file)


def generator(port, rcpt, n, c, size, many):
    """Runs bench-source: messages, refused, seconds, p50 ms, p99 ms and its own CPU seconds."""
    cmd = [TOOLS / 'bench-source', '-p', port, '-c', c, '-n', n, '-l', size, '-f', 'from@bench.test', '-t', rcpt, '-u', USERS, *(['-d'] if many else [])]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run([str(w) for w in cmd], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if p.returncode:
        sys.exit(f'bench: the generator failed: {" ".join(map(str, cmd))}: {p.stdout} {p.stderr}')
    done, refused, seconds, p50, p99 = p.stdout.split()
    if int(refused):
        sys.exit(f'bench: {refused} of {n} messages were refused')
    return dict(n=int(done), seconds=float(seconds), p50_ms=float(p50), p99_ms=float(p99),
                generator_cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def ceiling(n, c, size, many):
    """Messages per second that the generator reaches against a server that only says yes (bench-sink)."""
    sink = Sink(SINK_PORT + 1)
    try:
        return n / generator(SINK_PORT + 1, 'a@null.test', n, c, size, many)['seconds']
    finally:
        sink.end()


def wait_count(what, count, n, limit=600):
    end = time.monotonic() + limit
    while count() < n:
        if time.monotonic() > end:
            sys.exit(f'bench: {what}: only {count()} of {n} arrived')
        time.sleep(0.02)


def sample(peer, n, c, size, many, counting=False, syncs=False):
    """Sends n messages through a peer and waits until all are where its mode brings them."""
    relay, boxes = peer.mode == 'relay', peer.mode == 'maildir'
    sink = Sink() if relay else None
    before = peer.delivered() if boxes else 0
    watch = Counting(peer.group) if counting else Syncs(peer.group) if syncs else None
    if watch:
        watch.__enter__()
    b0, cpu0, t0 = busy(), peer.group.cpu(), time.monotonic()
    out = generator(peer.port, peer.rcpt(), n, c, size, many)
    wall = out.pop('seconds')
    if relay:
        wait_count(peer.name, sink.got, n)
        wall = sink.last() - t0
    elif boxes:
        wait_count(peer.name, lambda: peer.delivered() - before, n)
        wall = time.monotonic() - t0
    cpu, b1 = peer.group.cpu() - cpu0, busy()
    if watch:
        watch.__exit__()
    out.update(peer=peer.name, c=c, size=size, many=many, rate=n / wall, cpu_ms=cpu / n * 1000, cpu_ns_byte=cpu / n / size * 1e9,
               machine_busy=(b1[0] - b0[0]) / max(b1[1] - b0[1], 0.01), peak_kib=peer.group.peak(), generator_busy=out.pop('generator_cpu') / wall)
    if counting:
        out.update(calls=watch.calls / n, syncs=watch.syncs / n)
    if syncs:
        out.update(syncs_by={k: round(v / n, 3) for k, v in watch.by_name.items()})
    if sink:
        out['sessions_out'] = sink.read()[1] - sink.sessions
        sink.end()
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in out.items()}
