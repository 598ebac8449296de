"""Steady load, most of it delivered at once, some of it there for long: the spool stays within five times what lives in it,
and nothing is lost. A short form runs always; the long one for MANSIO_SOAK seconds (an hour) with segments of full size."""
import asyncio, collections, json, os, random, re, subprocess, time

import pytest

import host, load
from host import Host, wait_for
from sink import Sink

TOKEN = re.compile(rb'^Subject: (tok\d+x)\r?$', re.M)
STAYS = 'stays@far.test'
RCPTS = ['user@demo.test', 'a@far.test'] * 20 + [STAYS]
SIZES = (200,) * 8 + (3000,) * 16 + (30_000,) * 4 + (300_000,)
MIB = 1 << 20


class Tokens(collections.Counter):
    """What arrived, instead of Sink's list of all of it."""

    def append(self, message):
        self[TOKEN.search(message['data'])[1].decode()] += 1


def mtactl(h, *args):
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), '--json', *args], capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, (args[:4], p.returncode, p.stderr[-2000:], p.stdout[-2000:])
    return json.loads(p.stdout)['rows']


def change(h, act, ids, *more):
    for at in range(0, len(ids), 50):   # as many as fit into a question
        mtactl(h, 'queue', act, *ids[at:at + 50], *more)


def used(directory):
    """Bytes of disk; files come and go meanwhile."""
    total = 0
    for f in directory.iterdir():
        try:
            total += f.stat().st_blocks * 512
        except FileNotFoundError:
            pass
    return total


class Soak:
    def __init__(self, h, segment, lifetime, seed):
        self.h, self.segment, self.lifetime, self.rng = h, segment, lifetime, random.Random(seed)
        self.mailbox = collections.Counter()
        self.deleted, self.held = set(), set()
        self.late, self.samples, self.worst = 0, 0, 0.0

    def empty_mailbox(self):
        for p in list((self.h.dir / 'mail/user/new').glob('*')):
            self.mailbox[TOKEN.search(p.read_bytes())[1].decode()] += 1
            p.unlink()

    def listed(self):
        return {r['id']: r for r in mtactl(self.h, 'queue', 'list') if r['kind'] == 'message'}

    def within(self):
        """Five times the living, and what is being written: some segments, bodies under way."""
        spool = self.h.dir / 'spool'
        live = sum(r['size'] for r in self.listed().values())
        disk = used(spool / 'seg') + used(spool / 'big')
        self.samples += 1
        self.worst = max(self.worst, (disk - 4 * self.segment) / max(live, MIB))
        self.last = f'{disk / MIB:.0f} MiB for {live / MIB:.1f} MiB, journal {used(spool / "state") / MIB:.0f} MiB'
        assert used(spool / 'state') <= 224 * MIB, self.last   # 64 before a snapshot, as much for it, steps of 16 and the spare
        return disk <= 5 * live + 4 * self.segment + 16 * MIB

    def operate(self):
        """An operator who deletes, holds and releases what stays; lifetime: one in so many goes each time."""
        waiting = sorted(i for i, r in self.listed().items() if r['state'] in ('deferred', 'held') and i not in self.deleted)
        some = self.rng.sample(waiting, -(-len(waiting) // self.lifetime))
        if some:
            change(self.h, 'delete', some, '--yes')
            self.deleted.update(some)
            self.held -= self.deleted
        for act in ('hold', 'release'):
            choice = [i for i in waiting if i not in self.deleted and (i in self.held) == (act == 'release')][::9]
            if choice:
                change(self.h, act, choice)
                (self.held.update if act == 'hold' else self.held.difference_update)(choice)

    async def during(self, account, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(1)
            await asyncio.to_thread(self.empty_mailbox)
            for _ in range(20):
                if await asyncio.to_thread(self.within):
                    break
                self.late += 1
                await asyncio.sleep(0.5)
            else:
                raise AssertionError(f'the spool grows: {self.last}\n{self.h.log_tail(20)}')
            await asyncio.to_thread(self.operate)
            if self.samples % 60 == 1:
                print(f'{time.strftime("%H:%M:%S")} {account}: {self.last}; {len(self.held)} held, {len(self.deleted)} deleted', flush=True)


def soak(seconds, clients, segment, lifetime, pace, seed=1):
    with Sink(replies={'RCPT': {STAYS: '450 4.2.1 come again'}}) as far:
        far.messages = Tokens()
        h = Host(relay_from=['127.0.0.0/8'], conf=f'route default {{ via = "127.0.0.1:{far.port}" }}',
                 env={'MANSIO_SEGMENT': str(segment)} if segment < 64 * MIB else None)
        h.queue = 'retry = [ 6h ]'
        with h:
            s = Soak(h, segment, lifetime, seed)
            account = asyncio.run(load.run(h.port, RCPTS, clients, lambda a: s.during(a, seconds), seed, SIZES, pace=pace))
            print(f'{account}, {len(s.deleted)} deleted; {s.late} of {s.samples} samples late, worst {s.worst:.1f}; {s.last}')
            assert s.late <= s.samples // 4
            assert not account.refused and not account.unknown, (account, list(account.refused.items())[:3], h.log_tail(20))
            stay = {t for t, i in account.acked.items() if account.rcpt[t] == STAYS}
            kept = {t for t in stay if account.acked[t] not in s.deleted}

            def gone():
                s.empty_mailbox()
                return len(s.mailbox) + len(far.messages) >= len(account.acked) - len(stay)

            wait_for('what does not stay arrives', gone, 120)
            assert h.log_lines('queue.compact.done'), 'nothing was compacted'
            assert set(s.listed()) == {account.acked[t] for t in kept}
            assert mtactl(h, 'queue', 'verify')[-1]['problems'] == 0
            h.restart()
            assert set(s.listed()) == {account.acked[t] for t in kept}
            far.replies = {}
            mtactl(h, 'queue', 'release', '--all')
            mtactl(h, 'queue', 'flush', '--all')
            wait_for('what stayed arrives', lambda: not s.listed(), 300, explain=h.log_tail)
            arrived = s.mailbox + far.messages
            assert set(arrived) == set(account.acked) - (stay - kept) and not [t for t, n in arrived.items() if n != 1]
            wait_for('an empty queue needs no disk', lambda: used(h.dir / 'spool/seg') <= 2 * segment + MIB and used(h.dir / 'spool/big') <= MIB, 60)


def test_the_spool_stays_small_under_steady_load():
    soak(20, 8, 2 * MIB, lifetime=5, pace=0.02)


@pytest.mark.long
def test_the_spool_stays_small_for_an_hour():
    soak(int(os.environ.get('MANSIO_SOAK', '3600')), 12, 64 * MIB, lifetime=150, pace=0.01, seed=2)
