"""million.py - the row of a large queue: 1,000,000 messages for a thousand destinations that do not answer.

Measured in every repetition: reading the spool (bench-queue-start), a whole start until the first 250, the way of a fresh message to a
destination that lives (from the final dot to the sink, the worst of 20) while nothing else goes on and while the queue is listed over and over,
listings, memory. In the last repetition all
are made due at once (mtactl queue flush --all), and fresh messages are sent
for the ten seconds after it.
"""
import re, resource, shutil, smtplib, statistics, subprocess, sys, threading, time

from machine import BUILD, FS
from peers import Mansio
from traffic import Sink

N = 1_000_000
FRESH = 20
LISTS = {'list': ['queue', 'list'], 'json': ['--json', 'queue', 'list'], 'mailq': ['mailq']}
TEXT = b'From: from@bench.test\r\nSubject: fresh\r\n\r\n' + b'X' * 72 + b'\r\n'


class Large(Mansio):
    dir = FS / 'million'
    boxes = dir / 'boxes'
    keep_spool = True

    def mtactl(self, *words):
        p = subprocess.run([self.build / 'bin/mtactl', '--wait', '300', '-c', self.file, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if p.returncode:
            print(f'bench: mtactl {" ".join(words)}: exit {p.returncode}: {p.stderr.decode()}', file=sys.stderr, flush=True)


def make(peer):
    shutil.rmtree(peer.dir, ignore_errors=True)
    (peer.dir / 'spool').mkdir(parents=True, mode=0o700)
    subprocess.run([BUILD / 'bench/bench-queue-start', 'make', peer.dir / 'spool', str(N)], check=True)


def fresh(peer, sink, n=FRESH):
    """Milliseconds from the final dot to the sink, of n messages one after the other."""
    out = []
    for _ in range(n):
        with smtplib.SMTP('127.0.0.1', peer.port, timeout=60) as s:
            s.ehlo('bench.test')
            s.mail('from@bench.test')
            s.rcpt('a@relay.test')
            before, began = sink.got(), time.monotonic()
            s.data(TEXT)
            while sink.got() == before and time.monotonic() < began + 60:
                time.sleep(0.001)
            out.append(((sink.last() if sink.got() > before else time.monotonic()) - began) * 1000)
    return out


def while_busy(peer, sink, words, seconds=3):
    """Fresh messages while mtactl does something over and over."""
    over, out = threading.Event(), []

    def work():
        while not over.is_set():
            peer.mtactl(*words)
    t = threading.Thread(target=work)
    t.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        out += fresh(peer, sink, 5)
    over.set()
    t.join()
    return max(out)


def cpu_of(pid):
    fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def listing(peer, words):
    pid = peer.group.pid_of('queued')
    queued, tool, began = cpu_of(pid), resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    peer.mtactl(*words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return dict(seconds=time.monotonic() - began, cpu_queued=cpu_of(pid) - queued,
                cpu_mtactl=after.ru_utime + after.ru_stime - tool.ru_utime - tool.ru_stime)


def one(peer, rep, last):
    said = subprocess.run([BUILD / 'bench/bench-queue-start', 'start', peer.dir / 'spool'], check=True, capture_output=True, text=True).stdout
    read, resident = re.search(r'messages in ([\d.]+) s, resident (\d+) MB', said).groups()
    subprocess.run(['chown', '-R', 'mansio-queued:mansio-queued', peer.dir / 'spool'], check=True)
    sink, began = Sink(), time.monotonic()
    try:
        peer.start('relay')
        first = fresh(peer, sink, 1)[0]
        out = dict(peer='mansio', rep=rep, read_s=float(read), resident_mb=int(resident), start_s=time.monotonic() - began, first_ms=first,
                   fresh_ms=max(fresh(peer, sink)), fresh_listing_ms=while_busy(peer, sink, LISTS['json']),
                   lists={k: listing(peer, words) for k, words in LISTS.items()})
        out['queued_mb'] = peer.group.peak()['queued'] / 1024
        if last:
            flush = threading.Thread(target=peer.mtactl, args=('queue', 'flush', '--all'))
            flush.start()
            late, end = [], time.monotonic() + 10
            while time.monotonic() < end or flush.is_alive():
                late += fresh(peer, sink, 5)
            flush.join()
            out['fresh_flush_ms'], out['fresh_flush_n'] = max(late), len(late)
            out['queued_flush_mb'] = peer.group.peak()['queued'] / 1024
    finally:
        peer.stop()
        sink.end()
    return out


def run(reps):
    peer = Large()
    peer.prepare()
    make(peer)
    try:
        for rep in range(reps):
            yield one(peer, rep, rep == reps - 1)
    finally:
        shutil.rmtree(peer.dir, ignore_errors=True)


def judge(samples):
    mid = lambda f: statistics.median(f(s) for s in samples)
    rss, read = mid(lambda s: s['queued_mb']), mid(lambda s: s['read_s'])
    quiet, listing_, flush = mid(lambda s: s['fresh_ms']), mid(lambda s: s['fresh_listing_ms']), samples[-1]['fresh_flush_ms']
    out = [('queued, most resident', 'below 200 MB', f'{rss:.0f} MB', rss < 200),
           ('start, spool read', 'below 2 s', f'{read:.2f} s', read < 2),
           ('start of all daemons to the first 250 and its delivery', 'told', f'{mid(lambda s: s["start_s"]):.2f} s', True),
           ('fresh message delivered, worst of 20', 'below 1 s', f'{quiet:.0f} ms', quiet < 1000),
           ('the same while the queue is listed', 'below 1 s', f'{listing_:.0f} ms', listing_ < 1000),
           ('the same after flush --all', 'below 1 s', f'{flush:.0f} ms', flush < 1000)]
    for k, words in LISTS.items():
        s = mid(lambda x: x['lists'][k]['seconds'])
        cpu = [mid(lambda x: x['lists'][k][c]) for c in ('cpu_queued', 'cpu_mtactl')]
        out.append((f'mtactl {" ".join(words)}', 'above 200,000/s', f'{N / s:,.0f}/s (CPU {cpu[0]:.1f} s + {cpu[1]:.1f} s)', N / s > 200000))
    return out
