"""Retry: each selector of `mtactl queue flush` tries what it names and nothing else; a recipient keeps its own state."""
import json, re, subprocess

import pytest

import host
from host import Host, wait_for
from sink import Sink


def flush(h, *selector):
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), 'queue', 'flush', *selector], capture_output=True, text=True,
                       timeout=60, stdin=subprocess.DEVNULL)
    assert p.returncode == 0, p
    return p.stdout


def attempts(h, qid):
    return len(h.log_lines('delivery.result', id=qid))


@pytest.fixture(scope='module')
def waiting():
    """Four messages that were deferred once, for hours."""
    later = {f'{r}@{d}.test': '451 4.2.1 ' + r for r in ('r1', 'r2') for d in ('one', 'two')}
    with Sink(replies={'RCPT': later}) as s:
        conf = ''.join(f'route {d}.test {{ via = "127.0.0.1:{s.port}" }}\n' for d in ('one', 'two'))
        h = Host(relay_from=['127.0.0.0/8'], conf=conf)
        h.queue = 'retry = [ 4h ]'
        with h:
            ids = {}
            for name, sender, rcpt in (('a', 'x@demo.test', 'r1@one.test'), ('b', 'x@demo.test', 'r1@two.test'), ('c', 'y@demo.test', 'r2@two.test'),
                                       ('d', 'y@other.test', 'r2@one.test')):
                ids[name] = h.send(rcpt, sender=sender)
                h.wait_log('delivery.result', id=ids[name])
            yield h, ids


def is_older(h, qid, age):
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), '--json', 'queue', 'list', '--older', age], capture_output=True,
                       text=True, timeout=60)
    return any(r.get('id') == qid for r in json.loads(p.stdout)['rows'])


@pytest.mark.parametrize('selector, which', [
    (lambda ids: [ids['b']], 'b'),
    (lambda ids: [ids['a'], ids['d']], 'ad'),
    (lambda ids: ['--domain', 'two.test'], 'bc'),
    (lambda ids: ['--sender', 'x@demo.test'], 'ab'),
    (lambda ids: ['--sender', '*@demo.test'], 'abc'),
    (lambda ids: ['--recipient', 'r2@two.test'], 'c'),
    (lambda ids: ['--recipient', 'r2@*'], 'cd'),
    (lambda ids: ['--sender', 'y@demo.test', '--domain', 'two.test'], 'c'),
    (lambda ids: ['--reason', '451 4.2.1 r1'], 'ab'),
    (lambda ids: ['--state', 'deferred'], 'abcd'),
    (lambda ids: ['--domain', 'three.test'], ''),
    (lambda ids: ['--all'], 'abcd'),
])
def test_each_selector_tries_what_it_names(waiting, selector, which):
    h, ids = waiting
    before = {name: attempts(h, qid) for name, qid in ids.items()}
    said = flush(h, *selector(ids))
    assert int(re.match(r'(\d+) messages? ', said)[1]) == len(which) if which else not re.match('[1-9]', said)
    wait_for('the attempts', lambda: all(attempts(h, ids[n]) == before[n] + 1 for n in which), explain=h.log_tail)
    assert {n: attempts(h, ids[n]) - before[n] for n in ids} == {n: int(n in which) for n in ids}


def test_older_and_younger_are_told_apart(waiting):
    h, ids = waiting
    before = {name: attempts(h, qid) for name, qid in ids.items()}
    flush(h, '--younger', '1h')
    wait_for('all are younger than an hour', lambda: all(attempts(h, ids[n]) == before[n] + 1 for n in ids))
    flush(h, '--older', '1h')
    wait_for('the youngest is two seconds old', lambda: is_older(h, ids['d'], '2s'))
    flush(h, '--older', '2s', '--sender', 'y@*')
    wait_for('those that are older', lambda: all(attempts(h, ids[n]) == before[n] + 2 for n in 'cd'))
    assert all(attempts(h, ids[n]) == before[n] + 1 for n in 'ab')


def test_a_hundred_recipients_of_whom_three_wait():
    """Those three, and no other, are tried again: after a flush, after kill -9 of queued, after a restart of all."""
    rcpts = [f'r{i}@far.test' for i in range(100)]
    late = {rcpts[i]: f'451 4.2.1 {i}' for i in (7, 50, 99)}
    with Sink(replies={'RCPT': dict(late)}) as s:
        h = Host(relay_from=['127.0.0.0/8'], conf=f'route far.test {{ via = "127.0.0.1:{s.port}" }}')
        h.queue = 'retry = [ 4h ]'
        with h:
            qid = h.send(rcpts, sender='user@demo.test')
            h.wait_log('delivery.result', count=100, id=qid)
            assert s.wait_messages(1)[0]['rcpt'] == [r for r in rcpts if r not in late]
            for n, trouble in enumerate((lambda: None, lambda: h.kill('queued'), lambda: h.restart()), 1):
                trouble()
                wait_for('the queue answers', lambda: '1 message' in flush_or_nothing(h, qid))
                lines = h.wait_log('delivery.result', count=100 + 3 * n, id=qid)
                again = sorted(next(w for w in line.split() if w.startswith('to='))[3:] for line in lines[100 + 3 * (n - 1):])
                assert again == sorted(late) and len(lines) == 100 + 3 * n
            # Two get it, one is refused for good: its sender hears of that one.
            s.replies['RCPT'] = {rcpts[50]: '550 5.1.1 nobody'}
            flush(h, qid)
            h.wait_log('queue.message.finished', id=qid)
            assert s.wait_messages(2)[1]['rcpt'] == [rcpts[7], rcpts[99]] and len(s.messages) == 2
            notice = h.wait_mail('user')[0]
            assert notice.count(b'Final-Recipient:') == 1 and rcpts[50].encode() in notice and b'Status: 5.1.1' in notice


def flush_or_nothing(h, qid):
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), 'queue', 'flush', qid], capture_output=True, text=True, timeout=60,
                       stdin=subprocess.DEVNULL)
    return p.stdout if p.returncode == 0 else ''


@pytest.mark.parametrize('reply, status', [('421 4.3.2 going', 'deferred'), ('450 4.2.0 x', 'deferred'), ('499 4.0.0 x', 'deferred'),
                                           ('550 5.1.1 x', 'failed'), ('599 5.0.0 x', 'failed'), ('550 4.2.1 code and status differ', 'failed'),
                                           ('450 5.1.1 code and status differ', 'deferred'), ('250 ok', 'delivered')])
def test_the_code_decides(reply, status, replying):
    h, s = replying
    s.replies['RCPT'] = {'a@far.test': reply}
    qid = h.send('a@far.test', sender='')
    assert f'status={status}' in h.wait_log('delivery.result', id=qid)


@pytest.fixture(scope='module')
def replying():
    with Sink() as s:
        with Host(relay_from=['127.0.0.0/8'], conf=f'route far.test {{ via = "127.0.0.1:{s.port}" }}') as h:
            yield h, s
