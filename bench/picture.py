#!/usr/bin/python3
"""picture.py [FILE.csv [OUT.svg]] - draws messages per second against the number of clients; the data come from `all --only graph`."""
import csv, math, pathlib, statistics, sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 440, 70, 20, 40, 50
COLOURS = {'mansio': '#1f5fa8', 'postfix': '#b5541c'}


def write(samples, data):
    """The samples of the row as CSV (medians, lowest, highest) and the picture."""
    points = sorted({(s['peer'], s['c']) for s in samples})
    with open(data / 'graph.csv', 'w', newline='') as f:
        out = csv.writer(f, lineterminator='\n')
        out.writerow(['peer', 'clients', 'messages_per_second', 'lowest', 'highest', 'cpu_ms_per_message', 'p99_ms'])
        for peer, c in points:
            s = [x for x in samples if (x['peer'], x['c']) == (peer, c)]
            mid = lambda k: statistics.median(x[k] for x in s)
            out.writerow([peer, c, round(mid('rate'), 1), round(min(x['rate'] for x in s), 1), round(max(x['rate'] for x in s), 1), round(mid('cpu_ms'), 4), round(mid('p99_ms'), 2)])
    draw(data / 'graph.csv', data / 'graph.svg')


def nice_top(value):
    step = 10 ** math.floor(math.log10(value))
    return next(m * step for m in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if m * step >= value)


def draw(source, target):
    rows = list(csv.DictReader(open(source)))
    clients = sorted({int(r['clients']) for r in rows})
    top = nice_top(max(float(r['highest']) for r in rows))
    last = math.log10(max(clients)) or 1
    x = lambda c: LEFT + math.log10(c) / last * (WIDTH - LEFT - RIGHT)
    y = lambda v: HEIGHT - BOTTOM - v / top * (HEIGHT - TOP - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">Messages of 4 KiB accepted per second (durable before each 250), by number of clients</text>']
    for i in range(6):
        v = top * i / 5
        out.append(f'<line x1="{LEFT}" y1="{y(v):.1f}" x2="{WIDTH - RIGHT}" y2="{y(v):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{v:,.0f}</text>')
    for c in clients:
        out.append(f'<line x1="{x(c):.1f}" y1="{HEIGHT - BOTTOM}" x2="{x(c):.1f}" y2="{HEIGHT - BOTTOM + 5}" stroke="#444"/>')
        out.append(f'<text x="{x(c):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{c}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">clients at the same time, many messages per connection</text>')
    for i, (peer, colour) in enumerate(COLOURS.items()):
        mine = sorted((r for r in rows if r['peer'] == peer), key=lambda r: int(r['clients']))
        if not mine:
            continue
        for r in mine:
            at = x(int(r['clients']))
            out.append(f'<line x1="{at:.1f}" y1="{y(float(r["lowest"])):.1f}" x2="{at:.1f}" y2="{y(float(r["highest"])):.1f}" stroke="{colour}" stroke-opacity="0.4" stroke-width="3"/>')
            out.append(f'<circle cx="{at:.1f}" cy="{y(float(r["messages_per_second"])):.1f}" r="3.5" fill="{colour}"/>')
        line = ' '.join(f'{x(int(r["clients"])):.1f},{y(float(r["messages_per_second"])):.1f}' for r in mine)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<rect x="{LEFT + 15}" y="{TOP + 6 + 20 * i}" width="14" height="4" fill="{colour}"/><text x="{LEFT + 36}" y="{TOP + 12 + 20 * i}">{peer.capitalize()}</text>')
    pathlib.Path(target).write_text('\n'.join(out + ['</svg>']) + '\n')


if __name__ == '__main__':
    here = pathlib.Path(__file__).resolve().parent / 'data'
    args = [pathlib.Path(a) for a in sys.argv[1:]]
    draw(args[0] if args else here / 'graph.csv', args[1] if len(args) > 1 else here / 'graph.svg')
