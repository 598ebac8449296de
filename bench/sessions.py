"""sessions.py - the row of idle sessions and of TLS, by the program bench/idle."""
import json, os, statistics, subprocess

from machine import BUILD, HERE

CLIENTS = 10000


def run(reps):
    for rep in range(min(reps, 2)):     # memory is the same every time
        cmd = [str(HERE / 'idle'), '--json', '--clients', str(CLIENTS), '--handshakes', '2000']
        out = subprocess.run(cmd, check=True, capture_output=True, text=True, env=dict(os.environ, MANSIO_BUILD=str(BUILD))).stdout
        yield dict(json.loads(out), peer='mansio', rep=rep)


def judge(samples):
    kib = statistics.median(s['plain'] for s in samples)
    tls = statistics.median(s['starttls'] for s in samples)
    mid = lambda k: statistics.median(s[k] for s in samples)
    return [('user space each, plain', 'at most 8 KiB', f'{kib:.1f} KiB', kib <= 8), ('under TLS', 'at most 20 KiB', f'{tls:.1f} KiB', tls <= 20),
            ('TLS sessions per second, full and resumed handshakes', 'told',
             f'{mid("full_rate"):.0f}/s ({mid("full_cpu_ms"):.2f} ms CPU of smtpd), {mid("resumed_rate"):.0f}/s ({mid("resumed_cpu_ms"):.2f} ms)', True)]
