#!/usr/bin/python3
"""bench.py hold|relay|maildir [options] - one case of one's own choice, while one works on something; the recorded rows are all.py's.

  bench.py hold -c 100 --peers mansio --reps 3      MANSIO_BUILD=DIR measures that build
"""
import argparse, statistics

import machine, netns
from peers import Mansio, Postfix
from rows import turns
from traffic import sample


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('mode', choices=['hold', 'accept', 'relay', 'maildir'])
    ap.add_argument('-n', type=int, default=10000, help='messages per run')
    ap.add_argument('-c', type=int, nargs='*', default=[20], help='clients')
    ap.add_argument('-l', type=int, default=4096, help='bytes per message')
    ap.add_argument('--reps', type=int, default=3)
    ap.add_argument('--peers', default='postfix,mansio')
    ap.add_argument('--one', action='store_true', help='one message per connection')
    ap.add_argument('--count', action='store_true', help='count system calls and syncs')
    a = ap.parse_args()
    machine.make_fs()
    netns.enter()
    peers = [{'postfix': Postfix, 'mansio': Mansio}[p]() for p in a.peers.split(',')]
    for p in peers:
        p.prepare()
    work = lambda p: [sample(p, a.n, c, a.l, not a.one, counting=a.count) for c in a.c]
    found = list(turns(a.reps, peers, a.mode.replace('accept', 'hold'), work))
    for p in peers:
        for c in a.c:
            mine = [s for s in found if s['peer'] == p.name and s['c'] == c]
            for key in ('cpu_ms', 'rate', 'p50_ms', 'p99_ms', 'machine_busy', *(('calls', 'syncs') if a.count else ())):
                values = [s[key] for s in mine]
                print(f'{p.name:8} c={c:<4} {key:13} {statistics.median(values):10.4g}  ({min(values):.4g} to {max(values):.4g})')


if __name__ == '__main__':
    main()
