"""rows.py - what is measured: one row each, with its target. A row gives samples; median figures and verdicts are made here.

A sample is a dict (traffic.sample) that names its peer; a verdict is (what, target, reached, met).
"""
import statistics, time

import million, sessions
from peers import Mansio, Postfix, Slow, SlowPostfix
from traffic import ceiling, sample

KIB, MIB = 1 << 10, 1 << 20
ROWS = {}
CLIENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Row:
    def __init__(self, name, title, run, judge):
        self.name, self.title, self.run, self.judge = name, title, run, judge
        ROWS[name] = self


def median(samples, peer, key):
    return statistics.median(s[key] for s in samples if s['peer'] == peer)


def share(samples, key, part):
    """Mansio takes at most 1/part of what Postfix does."""
    a, b = median(samples, 'mansio', key), median(samples, 'postfix', key)
    return f'1/{b / a:.1f}', a <= b / part


def times(samples, factor):
    a, b = median(samples, 'mansio', 'rate'), median(samples, 'postfix', 'rate')
    return f'x{a / b:.1f}', a >= b * factor


def verdicts(samples, cpu=None, rate=None, byte=None):
    out = []
    if cpu:
        out.append(('CPU per message', f'at most 1/{cpu}', *share(samples, 'cpu_ms', cpu)))
    if byte:
        out.append(('CPU per byte', f'at most 1/{byte}', *share(samples, 'cpu_ns_byte', byte)))
    if rate:
        out.append(('messages/s', f'at least x{rate}', *times(samples, rate)))
    return out


def turns(reps, peers, mode, work, warm=300):
    """The peers take turns in every repetition; each starts with an empty queue and is warmed up."""
    for rep in range(reps):
        for peer in peers:
            peer.start(mode)
            try:
                if warm:
                    sample(peer, warm, 20, 4 * KIB, True)
                for s in work(peer):
                    yield dict(s, rep=rep)
            finally:
                peer.stop()


def traffic(mode, n, c, size=4 * KIB, many=True, peers=(Postfix, Mansio), warm=300, **how):
    """Rows that send n messages (a number for each peer) through both."""
    def run(reps):
        last = {}
        for s in turns(reps, [p() for p in peers], mode, lambda p: [sample(p, n[p.name], c, size, many, **how)], warm):
            if mode == 'hold' and not last.get(s['rep']):
                last[s['rep']] = ceiling(4 * n['mansio'], c, size, many)
            yield dict(s, ceiling=round(last.get(s['rep'], 0)))
    return run


def accept(c, many, n, cpu, rate):
    way = 'many' if many else 'one'
    Row(f'accept-{c}-{way}', f'accept 4 KiB, {c} client{"s" if c > 1 else ""}, {way} per connection',
        traffic('hold', n, c, many=many), lambda s: verdicts(s, cpu, rate))


accept(1, True, dict(postfix=1200, mansio=4000), 3, 1.5)
accept(1, False, dict(postfix=1200, mansio=3000), 3, 1.5)
accept(20, True, dict(postfix=5000, mansio=20000), 8, 4)
accept(20, False, dict(postfix=4000, mansio=12000), 6, None)
accept(100, True, dict(postfix=5000, mansio=20000), 8, 4)
accept(100, False, dict(postfix=4000, mansio=12000), 6, None)


def slow_judge(s):
    rate, syncs = median(s, 'mansio', 'rate'), median(s, 'mansio', 'syncs')
    return [('messages/s', 'at least 8,000', f'{rate:,.0f}', rate >= 8000), ('syncs per message', 'at most 0.05', f'{syncs:.3f}', syncs <= 0.05)]


Row('slow-sync', 'accept 4 KiB, 5 ms more for every sync, 100 clients, many per connection',
    traffic('hold', dict(postfix=2000, mansio=30000), 100, peers=(SlowPostfix, Slow), counting=True), slow_judge)

Row('relay-4k', 'accept and relay 4 KiB, 50 clients', traffic('relay', dict(postfix=5000, mansio=25000), 50), lambda s: verdicts(s, 7, 4))


def flat(samples):
    """No process grew by what it carries: the highest mark of all is told."""
    name, kib = max(((k, v) for s in samples if s['peer'] == 'mansio' for k, v in s['peak_kib'].items()), key=lambda x: x[1])
    return [('largest process, resident', 'flat: below 20 MiB', f'{name}, {kib / 1024:.1f} MiB', kib < 20 * 1024)]


Row('relay-100k', 'accept and relay 100 KiB, 20 clients', traffic('relay', dict(postfix=1200, mansio=4000), 20, 100 * KIB),
    lambda s: verdicts(s, byte=2) + flat(s))
Row('relay-10m', 'accept and relay 10 MiB, 5 clients', traffic('relay', dict(postfix=50, mansio=100), 5, 10 * MIB),
    lambda s: verdicts(s, byte=2) + flat(s))


def maildir_run(reps):
    yield from traffic('maildir', dict(postfix=3000, mansio=6000), 20)(reps)
    yield from turns(1, [Postfix(), Mansio()], 'maildir', lambda p: [dict(sample(p, 1000, 20, 4 * KIB, True, syncs=True), counted=True)])


def maildir_judge(s):
    synced = next(x['syncs_by'] for x in s if x.get('counted') and x['peer'] == 'mansio')
    agent = synced.get('mansio-agent', 0)
    return verdicts([x for x in s if not x.get('counted')], cpu=4) + [('syncs of the writer per message', 'every message', f'{agent:.2f}', agent >= 1)]


Row('maildir', 'deliver 4 KiB to Maildir, 100 virtual mailboxes, 20 clients', maildir_run, maildir_judge)


def calls_judge(s):
    calls = median(s, 'mansio', 'calls')
    return [('system calls per message', 'at most 50', f'{calls:.1f} (Postfix {median(s, "postfix", "calls"):.0f})', calls <= 50)]


Row('calls', 'system calls per relayed message, 4 KiB, 20 clients, many per connection',
    traffic('relay', dict(postfix=2000, mansio=10000), 20, counting=True), calls_judge)

Row('idle', '10,000 idle connections', sessions.run, sessions.judge)
Row('million', '1,000,000 queued for dead destinations', million.run, million.judge)


def graph_run(reps):
    def work(peer):
        for c in CLIENTS:
            n = dict(postfix=max(1500 if c == 1 else 3000, 4 * c), mansio=max(3000 if c == 1 else 12000, 12 * c))[peer.name]
            yield sample(peer, n, c, 4 * KIB, True)
            time.sleep(0.5)             # the connections of the last point are gone
    yield from turns(reps, [Postfix(), Mansio()], 'hold', work)


Row('graph', 'accept 4 KiB, 1 to 1000 clients, many per connection', graph_run, lambda s: [])
