"""test_metrics.py - the numbers of a host: OpenMetrics by `mtactl metrics` and ctl/metrics.sock, true to what happened"""
import json, os, signal, smtplib, socket, subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import host
from host import Host, halt, wait_for

TOOL = host.BUILD / 'bin/mtactl'
DOC = host.ROOT / 'docs/METRICS.md'


def mtactl(h, *words):
    return subprocess.run([str(TOOL), '--runtime', str(h.dir / 'run'), *words], capture_output=True, text=True, timeout=60)


def by_socket(h, say=b'\n', end=False):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(str(h.dir / 'run/ctl/metrics.sock'))
        if say:
            s.sendall(say)
        if end:
            s.shutdown(socket.SHUT_WR)
        text = b''
        while data := s.recv(65536):
            text += data
    return text.decode()


class Numbers:
    """What the strict parser of prometheus_client makes of a text."""

    def __init__(self, text):
        assert text.endswith('# EOF\n')
        self.families = {f.name: f for f in text_string_to_metric_families(text)}
        assert all(name.startswith('mansio_') for name in self.families)
        assert all(f.documentation for f in self.families.values())

    def sum(self, sample, **labels):
        return sum(s.value for f in self.families.values() for s in f.samples
                   if s.name == 'mansio_' + sample and all(s.labels.get(k) == v for k, v in labels.items()))


def numbers(h):
    p = mtactl(h, 'metrics')
    assert p.returncode == 0 and not p.stderr, p
    return Numbers(p.stdout)


def documented():
    return {line.split('`')[1] for line in DOC.read_text().splitlines() if line.startswith('| `')}


def refused(h, sender, recipient):
    with smtplib.SMTP('127.0.0.1', h.port, timeout=30) as s:
        s.ehlo()
        s.mail(sender)
        return s.rcpt(recipient)[0]


def test_numbers_are_what_happened_by_every_way():
    with Host(relay_from=['127.0.0.0/8'], conf='route default { via = "127.0.0.1:1" }') as h:
        before = numbers(h)
        assert before.sum('smtp_messages_accepted_total') == 0 and before.sum('queue_messages') == 0
        assert set(before.families) == documented()
        for _ in range(3):
            h.wait_log('delivery.result', id=h.send('user@demo.test'))
        waiting = h.send('a@far.test')
        h.wait_log('delivery.result', id=waiting)
        assert refused(h, 'a@far.test', 'nobody@demo.test') == 550
        n = wait_for('the counts', lambda: (n := numbers(h)).sum('queue_messages', state='deferred') == 1 and
                     n.sum('smtp_refused_total') == 1 and n.sum('smtp_sessions_total') == 5 and
                     n.sum('queue_messages_stored_total') >= 4 and n.sum('queue_messages') == 1 and n)
        assert n.sum('smtp_messages_accepted_total') == 4
        assert n.sum('smtp_recipients_accepted_total') == 4
        assert n.sum('smtp_messages_accepted_bytes_total') > 0
        assert n.sum('smtp_commit_seconds_count') == 4 == n.sum('smtp_commit_seconds_bucket', le='+Inf')
        assert n.sum('cleanup_messages_total', result='accepted') == 4
        assert n.sum('delivery_results_total', result='delivered') == 3
        assert n.sum('delivery_results_total', result='deferred') == 1
        assert n.sum('delivery_time_seconds_count') == 3
        assert n.sum('queue_destination_messages', destination='far.test') == 1
        assert n.sum('queue_expire_seconds') > 3600
        assert n.sum('queue_overdue_messages') == 0
        assert n.sum('delivery_hosts_failed_total', step='connect') == 1
        assert n.sum('queue_sync_messages_sum') == n.sum('queue_messages_stored_total') == 4
        assert n.sum('queue_sync_seconds_count') == n.sum('queue_sync_messages_count') >= 1
        assert n.sum('map_answers_total', answer='found') >= 3
        daemons = {(s.labels['daemon'], s.labels['index']) for s in n.families['mansio_up'].samples if s.value == 1}
        assert {d for d, _ in daemons} == {'mtad', 'smtpd', 'cleanup', 'queued', 'deliverd', 'mapd', 'mapd-worker', 'dnsd', 'historyd'}
        for daemon, index in daemons:
            assert n.sum('process_resident_memory_bytes', daemon=daemon, index=index) > 100000
            assert n.sum('process_start_time_seconds', daemon=daemon, index=index) > 1e9

        # The socket: a line, the end of data, silence, HTTP.
        for text in (by_socket(h), by_socket(h, b'', end=True), by_socket(h, b'')):
            assert Numbers(text).sum('smtp_messages_accepted_total') == 4
        head, body = by_socket(h, b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n').split('\r\n\r\n', 1)
        assert head.startswith('HTTP/1.0 200 OK') and 'application/openmetrics-text' in head
        assert Numbers(body).sum('smtp_messages_accepted_total') == 4
        assert os.stat(h.dir / 'run/ctl/metrics.sock').st_mode & 0o007 == 0

        rows = json.loads(mtactl(h, 'metrics', '--json').stdout)['rows']
        assert [r for r in rows if r['name'] == 'mansio_delivery_results_total' and r['result'] == 'deferred'][0]['value'] == '1'


def test_words_are_bounded_and_clean():
    """A hundred destinations with odd names: fifty of them, the rest together."""
    with Host(relay_from=['127.0.0.0/8'], conf='route default { via = "127.0.0.1:1" }') as h:
        subprocess.run([str(TOOL), '--runtime', str(h.dir / 'run'), 'pause', 'out'], check=True, capture_output=True)
        for i in range(70):
            h.send(f'a@d{i}.test')
        h.send('a@d7.test')
        n = wait_for('the sweep', lambda: (n := numbers(h)).sum('queue_messages') == 71 and n)
        words = {s.labels['destination']: s.value for s in n.families['mansio_queue_destination_messages'].samples}
        assert len(words) == 50 and words['d7.test'] == 2 and words['other'] == 21 and sum(words.values()) == 71


def test_who_does_not_answer_is_shown_and_holds_nobody_up():
    with Host() as h:
        pid = h.pids()['dnsd'][0]
        halt(pid)
        try:
            n = numbers(h)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert n.sum('up', daemon='dnsd') == 0 and n.sum('up', daemon='queued') == 1
        assert n.sum('process_resident_memory_bytes', daemon='dnsd') > 0
        wait_for('dnsd', lambda: numbers(h).sum('up', daemon='dnsd') == 1)


def test_clients_that_stay_do_not_keep_others_away():
    with Host() as h:
        path = str(h.dir / 'run/ctl/metrics.sock')
        idle = []
        for _ in range(20):
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            idle.append(s)
        assert Numbers(by_socket(h)).sum('up', daemon='mtad') == 1
        assert mtactl(h, 'status').returncode == 0
        for s in idle:
            s.close()
        assert Numbers(by_socket(h)).sum('up', daemon='mtad') == 1
