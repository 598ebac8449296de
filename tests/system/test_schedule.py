"""The schedule with real servers: domains of one operator, limits of a route, mailboxes beside a slow LMTP server."""
import signal, socket, tempfile, time

import fakedns
from host import Host, free_port, wait_for
from lmtp import Lmtp
from sink import Sink
from test_queue import tool


class OneDeliverd(Host):
    """With several, which of them has a domain's first connection is chance."""

    def conf_text(self):
        return super().conf_text().replace('processes {', 'processes { deliverd = 1', 1)


def operator(*domains, host='mx.op.test'):
    return {host: {'A': ['127.0.0.1']}, **{d: {'MX': [f'10 {host}']} for d in domains}}


def mx_host(zone, conf, **kw):
    return OneDeliverd(relay_from=['127.0.0.0/8'], dns=[fakedns.Server(zone).start().address], conf=conf, **kw)


def delivered(h, qid):
    return h.wait_log('delivery.result', id=qid, status='delivered')


def test_domains_with_the_same_hosts_share_connections():
    zone = operator(*(f'd{i}.test' for i in range(8)), 'own.test') | operator('else.test', host='mx.else.test')
    with Sink() as s, mx_host(zone, f'route default {{ port = {s.port} idle = 60s max_connections = 2 }}\n'
                                    f'route own.test {{ port = {s.port} idle = 60s }}') as h:
        for i in range(3):
            delivered(h, h.send(f'a@d{i}.test'))
        assert s.sessions == 1
        # Another policy, or other hosts: another connection.
        delivered(h, h.send('a@own.test'))
        assert s.sessions == 2
        delivered(h, h.send('a@else.test'))
        assert s.sessions == 3
        # Two connections, whatever the number of domains.
        ids = [h.send(f'a@d{i % 8}.test') for i in range(40)]
        for qid in ids:
            delivered(h, qid)
        assert s.sessions <= 4 and len(s.messages) == 45


def test_dead_hosts_rest_for_all_their_domains():
    zone = operator('one.test', 'two.test')
    port = free_port()
    h = mx_host(zone, f'route default {{ port = {port} connect_timeout = 2s }}')
    h.queue = 'retry = [ 1h ]'
    with h:
        for i in range(6):
            h.wait_log('delivery.result', id=h.send(f'a@{"one" if i % 2 else "two"}.test'), status='deferred')
        line = h.wait_log('queue.destination.rests')
        assert f'group="default|mxs mx.op.test:{port}"' in line, line
        shown = tool(h, 'queue', 'show', h.send('c@two.test'))
        assert 'could not be reached and rests for another' in shown and f'(default|mxs mx.op.test:{port})' in shown, shown
        for d in ('one', 'two'):
            assert 'not tried now' in h.wait_log('delivery.result', id=h.send(f'b@{d}.test'), status='deferred')


def test_messages_of_a_connection_and_recipients_of_a_message():
    with Sink() as s, OneDeliverd(relay_from=['127.0.0.0/8'], conf=f'route far.test {{ via = "127.0.0.1:{s.port}" max_connections = 1 '
                                  'max_recipients = 3 max_messages = 2 idle = 60s }') as h:
        h.send([f'r{i}@far.test' for i in range(8)])
        assert sorted(len(m['rcpt']) for m in s.wait_messages(3)) == [2, 3, 3]
        delivered(h, h.send('last@far.test'))
        assert s.sessions == 2


def test_a_rate_holds_back_until_a_reload():
    text = 'route .slow.test {{ via = "127.0.0.1:{}" {} }}\nroute quick.test {{ via = "127.0.0.1:{}" }}'
    with Sink() as slow, Sink() as quick, \
            Host(relay_from=['127.0.0.0/8'], conf=text.format(slow.port, 'rate = 1', quick.port)) as h:
        ids = [h.send(f'a@d{i}.slow.test') for i in range(6)]
        slow.wait_messages(1)
        for _ in range(10):
            delivered(h, h.send('a@quick.test'))
        # A minute has one, and perhaps a second one if this took long; waiting is no failure.
        assert len(slow.messages) <= 2 and not h.log_lines('delivery.result', status='deferred')
        waiting = [qid for qid in ids if not h.log_lines('delivery.result', id=qid)]
        assert 'rate allows no message for another' in tool(h, 'queue', 'show', waiting[-1])
        # What waits survives queued.
        h.kill('queued')
        h.wait_log('queue.recovery.done', count=2)
        delivered(h, h.send('a@quick.test'))
        assert len(slow.messages) <= 3
        h.extra = text.format(slow.port, '', quick.port)
        h.write()
        h.proc.send_signal(signal.SIGHUP)
        for qid in ids:
            delivered(h, qid)
        assert len(slow.messages) == 6


def test_a_rate_is_one_of_hosts_from_the_first_message_on():
    """Domains that nobody has seen before, all with the same MX: together they have the rate of one, also after queued was killed."""
    zone = operator(*(f'd{i}.test' for i in range(16)))
    with Sink() as s, Sink() as quick:
        text = f'route default {{{{ port = {s.port} {{}} }}}}\nroute quick.test {{{{ via = "127.0.0.1:{quick.port}" }}}}\n'
        with mx_host(zone, text.format('rate = 1')) as h:
            began = time.monotonic()
            allowed = lambda starts: starts + 1 + int(time.monotonic() - began) // 60
            ids = [h.send(f'a@d{i}.test') for i in range(8)]
            s.wait_messages(1)
            for _ in range(5):
                delivered(h, h.send('a@quick.test'))
            assert len(s.messages) <= allowed(1) and not h.log_lines('delivery.result', status='deferred')
            h.kill('queued')
            h.wait_log('queue.recovery.done', count=2)
            ids += [h.send(f'a@d{i}.test') for i in range(8, 16)]
            for _ in range(5):
                delivered(h, h.send('a@quick.test'))
            assert len(s.messages) <= allowed(2) and not h.log_lines('delivery.result', status='deferred')
            h.extra = text.format('')
            h.write()
            h.proc.send_signal(signal.SIGHUP)
            for qid in ids:
                delivered(h, qid)
            assert len(s.messages) == 16


def test_a_slow_lmtp_server_leaves_room_for_mailboxes():
    with tempfile.TemporaryDirectory(prefix='mansio-lmtp-') as d:
        h = OneDeliverd(domains=('demo.test', 'imap.test'), conf='map people { type = text source = "@DIR@/etc/people" }\n'
                        f'mailbox imap {{ lookup = people method = lmtp via = "unix:{d}/s" timeout = 1h }}')
        h.queue = 'max_jobs = 10'
        h.dir.chmod(0o755)
        (h.dir / 'etc').mkdir()
        (h.dir / 'etc/people').write_text('ann@imap.test yes\n')
        with h, Lmtp(f'{d}/s') as s:
            delivered(h, h.send('ann@imap.test'))
            wait_for('the first connection is given up', lambda: s.open == 0, explain=h.log_tail)
            s.hang = True
            ids = [h.send('ann@imap.test') for _ in range(20)]
            wait_for('the server has what it may have', lambda: s.sessions >= 7, explain=h.log_tail)
            for _ in range(3):
                h.send('user@demo.test')
            h.wait_mail(count=3)
            assert s.open_most <= 7 and not any(h.log_lines('delivery.result', id=qid) for qid in ids)
            for conn in list(s.conns):
                conn.shutdown(socket.SHUT_RDWR)
