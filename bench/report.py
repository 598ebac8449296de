"""report.py - bench/data/*.json made into the tables of RESULTS.md, data/graph.csv and data/graph.svg."""
import json, pathlib, statistics

import picture

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / 'data'
PAGE = HERE / 'RESULTS.md'
BEGIN, END = '<!-- made by bench/all: begin -->', '<!-- made by bench/all: end -->'


def load(rows):
    found = [(r, json.loads((DATA / f'{r.name}.json').read_text())) for r in rows.ROWS.values() if (DATA / f'{r.name}.json').exists()]
    return found


def about(found):
    """Where the figures come from; rows of another machine state say so themselves."""
    m = found[-1][1]['machine']
    commits = sorted({d['machine']['commit'] for _, d in found})
    when = sorted(d['when'] for _, d in found)
    loads = [d['machine']['load_before'] for _, d in found]
    return [f'{m["cpu"]}, {m["memory"]}, {m["system"]}, Linux {m["kernel"]}; {", ".join(m["peers"])} (commit {", ".join(commits)}); ext4 with a journal on a loop file. '
            f'Command: `bench/all --reps {found[0][1]["reps"]}`, {when[0]} to {when[-1]} UTC, {sum(d["seconds"] for _, d in found) // 60} minutes; '
            f'load average before the rows {min(loads):.1f} to {max(loads):.1f}. Medians.', '']


def verdicts(found):
    out = ['| row | what | target | reached | met |', '|---|---|---|---|---|']
    for row, data in found:
        first = True
        for what, target, reached, met in row.judge(data['samples']):
            out.append(f'| {row.title + " (`" + row.name + "`)" if first else ""} | {what} | {target} | {reached} | {"-" if target == "told" else "yes" if met else "**no**"} |')
            first = False
    return out + ['']


def figure(samples, key, form):
    values = [s[key] for s in samples]
    return f'{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})' if len(values) > 1 else f'{values[0]:{form}}'


def figures(found):
    out = ['| row | peer | CPU ms/message | messages/s | p50 ms | p99 ms | syncs | busy | generator: core used, ceiling |', '|---|---|---|---|---|---|---|---|---|']
    for row, data in found:
        for peer in ('postfix', 'mansio'):
            s = [x for x in data['samples'] if x['peer'] == peer and 'cpu_ms' in x and not x.get('counted')]
            if not s or row.name == 'graph':
                continue
            mid = lambda k: statistics.median(x[k] for x in s)
            syncs = figure(s, 'syncs', '.3f') if 'syncs' in s[0] else ''
            top = f', {mid("ceiling"):,.0f}/s' if s[0].get('ceiling') else ''
            out.append(f'| {row.name if peer == "postfix" else ""} | {peer.capitalize()} | {figure(s, "cpu_ms", ".3f")} | {figure(s, "rate", ",.0f")} | {mid("p50_ms"):.2f} '
                       f'| {mid("p99_ms"):.2f} | {syncs} | {mid("machine_busy"):.2f} | {mid("generator_busy"):.2f}{top} |')
    return out + ['']


def memory(found):
    """High-water marks of resident memory by process, of the rows with larger and larger messages."""
    cols = [(r.name, d) for r, d in found if r.name in ('relay-4k', 'relay-100k', 'relay-10m', 'maildir')]
    if not cols:
        return []
    peaks = {name: {} for name, _ in cols}
    for name, d in cols:
        for s in d['samples']:
            for proc, kib in s['peak_kib'].items():
                key = (s['peer'], proc)
                peaks[name][key] = max(peaks[name].get(key, 0), kib)
    keys = sorted({k for p in peaks.values() for k in p}, key=lambda k: (k[0] != 'mansio', k[1]))
    out = ['Most resident memory of any process of its kind, MiB:', '', f'| peer | process | {" | ".join(n for n, _ in cols)} |', '|---|---|' + '---|' * len(cols)]
    for key in keys:
        out.append(f'| {key[0].capitalize()} | {key[1]} | ' + ' | '.join(f'{peaks[n][key] / 1024:.1f}' if key in peaks[n] else '' for n, _ in cols) + ' |')
    return out + ['']


def write(rows):
    found = load(rows)
    if not found:
        return 1
    lines = about(found) + verdicts(found) + figures(found) + memory(found)
    points = next((d['samples'] for r, d in found if r.name == 'graph'), None)
    if points:
        picture.write(points, DATA)
        lines += ['Messages per second against the number of clients (`data/graph.csv`):', '', '![throughput](data/graph.svg)', '']
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    while BEGIN in after and END in after:  # a second block, as a merge leaves it
        head, _, rest = after.partition(BEGIN)
        after = head.rstrip() + '\n' + rest.partition(END)[2].lstrip('\n')
    PAGE.write_text(before + BEGIN + '\n' + '\n'.join(lines) + END + after)
    return 0
