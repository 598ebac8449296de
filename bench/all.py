#!/usr/bin/python3
"""all [--reps N] [--only ROW ...] [--missing] - every figure of bench/RESULTS.md, Mansio beside Postfix in the same run.

A row is written to bench/data/ROW.json as soon as it is measured, then the table of RESULTS.md is made from all that lie there.
  all --reps 5                  everything
  all --only relay-10m maildir  these rows (shell patterns: 'accept-*')
  all --missing                 the rows whose file is older than the commit that is measured: goes on after an interruption
  all --list, all --table       the names; the table alone, from what was measured before
Needs root (control groups, a loop file system, a network namespace) and perf.
"""
import argparse, fnmatch, json, os, resource, sys, time

import machine, netns, report, rows
from peers import Mansio, Postfix


def measure(row, reps, about):
    began, samples = time.time(), []
    for s in row.run(reps):
        samples.append(s)
        print(f'  {json.dumps(s)}', flush=True)
    out = dict(row=row.name, title=row.title, command=f'bench/all --reps {reps} --only {row.name}', reps=reps, when=time.strftime('%Y-%m-%d %H:%M', time.gmtime()),
               seconds=round(time.time() - began), machine=dict(about, load_before=round(about['load'], 2)), samples=samples)
    report.DATA.mkdir(exist_ok=True)
    (report.DATA / f'{row.name}.json').write_text(json.dumps(out, indent=1) + '\n')
    for what, target, reached, met in row.judge(samples):
        print(f'{"met " if met else "NOT "} {row.name}: {what}: {reached} ({target})', flush=True)
    print(f'     {row.name}: {out["seconds"]} s', flush=True)


def fresh(row, commit):
    f = report.DATA / f'{row.name}.json'
    return f.exists() and json.loads(f.read_text())['machine']['commit'] == commit


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--reps', type=int, default=5)
    ap.add_argument('--only', nargs='+', default=['*'])
    ap.add_argument('--missing', action='store_true')
    ap.add_argument('--list', action='store_true')
    ap.add_argument('--table', action='store_true')
    ap.add_argument('--no-build', action='store_true', help='measure what build/release and build/check hold')
    a = ap.parse_args()
    chosen = [r for r in rows.ROWS.values() if any(fnmatch.fnmatch(r.name, p) for p in a.only)]
    if a.list or not chosen:
        print('\n'.join(f'{r.name:16} {r.title}' for r in rows.ROWS.values()))
        return 0 if a.list else 2
    if a.table:
        return report.write(rows)
    if os.getuid() != 0:
        sys.exit('bench: needs root (control groups, a loop file system, a network namespace)')
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    machine.make_fs()
    netns.enter()
    postfix, mansio = Postfix(), Mansio()
    for p in (postfix, mansio):
        p.prepare()
    about = dict(machine.describe(), peers=[postfix.version(), mansio.version()])
    for row in chosen:
        if not (a.missing and fresh(row, about['commit'])):
            print(f'{row.name}: {row.title}', flush=True)
            measure(row, a.reps, dict(about, load=os.getloadavg()[0]))
            report.write(rows)


if __name__ == '__main__':
    sys.exit(main())
