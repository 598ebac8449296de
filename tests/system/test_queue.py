"""test_queue.py - the queue as operators see and change it: order, limits, sums, and questions before what cannot be taken back"""
import json, os, pty, select, subprocess

import pytest

import host
from host import Host, wait_for

ROUTE = 'route default { via = "127.0.0.1:1" }'
BODY = 'Subject: x\r\n\r\nx\r\n'


def tool(h, *args, code=0):
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *args], capture_output=True, text=True, timeout=120,
                       stdin=subprocess.DEVNULL)
    assert p.returncode == code, (args, p)
    return p.stdout + p.stderr


def rows(h, *args, kind=None):
    return [r for r in json.loads(tool(h, '--json', *args))['rows'] if kind in (None, r['kind'])]


def on_terminal(h, answer, *args):
    """What it shows, and its exit status, with somebody who types the answer to the question."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(host.BUILD / 'bin/mtactl', ['mtactl', '-c', str(h.dir / 'etc/mansio.conf'), *args])
    text = b''
    while True:
        assert select.select([fd], [], [], 60)[0], text
        try:
            piece = os.read(fd, 65536)
        except OSError:  # how Linux says that the other end is gone
            break
        if not piece:
            break
        text += piece
        if text.endswith(b'[y/N] ') and answer is not None:
            os.write(fd, answer + b'\n')
            answer = None
    os.close(fd)
    return text.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(scope='module')
def paused():
    """Nine messages that wait, some of them held; nothing is delivered."""
    with Host(relay_from=['127.0.0.0/8'], conf=ROUTE) as h:
        tool(h, 'pause', 'out')
        with h.smtp() as s:
            for i in range(6):
                s.sendmail(f'u{i % 3}@demo.test', [f'r{i}@{"big" if i < 4 else "small"}.test'], BODY + 'y' * 100 * i)
            s.sendmail('', ['a@big.test', 'b@big.test', 'c@third.test'], BODY)
            s.sendmail('z@demo.test', ['held1@small.test'], BODY)
            s.sendmail('z@demo.test', ['held2@small.test'], BODY)
        wait_for('all of them', lambda: len(h.log_lines('queue.message.stored')) == 9)
        tool(h, 'queue', 'hold', '--sender', 'z@demo.test')
        yield h


def test_order_and_limit(paused):
    everything = rows(paused, 'queue', 'list', kind='message')
    assert len(everything) == 9
    sizes = [m['size'] for m in rows(paused, 'queue', 'list', '--sort', 'size', kind='message')]
    assert sizes == sorted((m['size'] for m in everything), reverse=True) and len(set(sizes)) > 3
    senders = [m['sender'] for m in rows(paused, 'queue', 'list', '--sort=sender', kind='message')]
    assert senders == sorted(m['sender'] for m in everything)
    most = rows(paused, 'queue', 'list', '--sort', 'recipients', '--limit', '1')
    assert [r['kind'] for r in most] == ['message', 'recipient', 'recipient', 'recipient'] and most[0]['recipients'] == 3
    assert all(r['id'] == most[0]['id'] for r in most)
    first = rows(paused, 'queue', 'list', '--limit', '4')
    assert [r['id'] for r in first if r['kind'] == 'message'] == [m['id'] for m in everything[:4]]
    assert {r['id'] for r in first} == {m['id'] for m in everything[:4]}
    text = tool(paused, 'queue', 'list', '--limit', '2')
    assert '2 messages, and there are more' in text and text.count(' to go') == 2
    text = tool(paused, 'queue', 'list', '--sort', 'sender', '--limit', '1')
    assert 'from <>' in text and text.count(' to go') == 1 and '1 message\n' in text


def sums(h, *args, kind):
    found = rows(h, 'queue', 'summary', *args)
    total = [r for r in found if r['kind'] == 'total'][0]
    for r in found:
        assert r['active'] + r['deferred'] + r['held'] == r['recipients'] == sum(r[k] for k in r if k == 'older' or k[0] == 'm' and k[1:].isdigit())
    assert sum(r['recipients'] for r in found if r['kind'] != 'total') == total['recipients']
    return {r['name']: (r['recipients'], r['messages'], r['held']) for r in found if r['kind'] == kind}, total


def test_summary(paused):
    by, total = sums(paused, kind='destination')
    assert by == {'big.test': (6, 5, 0), 'small.test': (4, 4, 2), 'third.test': (1, 1, 0)}
    assert (total['recipients'], total['messages'], total['held']) == (11, 9, 2)
    assert list(by) == ['big.test', 'small.test', 'third.test']
    by, _ = sums(paused, '--by', 'sender', kind='sender')
    assert by == {'<>': (3, 1, 0), 'u0@demo.test': (2, 2, 0), 'u1@demo.test': (2, 2, 0), 'u2@demo.test': (2, 2, 0), 'z@demo.test': (2, 2, 2)}
    by, _ = sums(paused, '--by', 'reason', kind='reason')
    assert by == {'(not tried yet)': (11, 9, 2)}
    by, _ = sums(paused, '--by', 'age', '--state', 'held', kind='age')
    assert by == {'m5': (2, 2, 2)}
    by, total = sums(paused, '--limit', '1', kind='destination')
    assert list(by) == ['big.test'] and total['recipients'] == 11
    by, total = sums(paused, '--limit', '1', kind='other')
    assert by['(others)'][0] == 5
    text = tool(paused, 'queue', 'summary', '--domain', 'third.test')
    lines = text.splitlines()
    assert lines[0].split()[:5] == ['T', 'active', 'deferred', 'held', '5'] and lines[1].split()[:2] == ['TOTAL', '3'] and 'third.test' in text


def test_destructive_commands_ask():
    with Host(relay_from=['127.0.0.0/8'], conf=ROUTE) as h:
        tool(h, 'pause', 'out')
        ids = [h.send([f'r{i}@remote.test'], sender='me@demo.test') for i in range(12)]
        for words in (['delete', '--all'], ['bounce', '--domain', 'remote.test'], ['--json', 'delete', '--all']):
            options = [w for w in words if w == '--json']
            assert '--yes' in tool(h, *options, 'queue', *[w for w in words if w != '--json'], code=64)
        assert len(rows(h, 'queue', 'list', kind='message')) == 12

        text, code = on_terminal(h, b'n', 'queue', 'delete', '--all')
        assert code == 1 and 'delete 12 messages, 12 recipients? [y/N]' in text and 'nothing was changed' in text
        assert text.count(' to go') == 10 and '... and 2 more' in text
        assert len(rows(h, 'queue', 'list', kind='message')) == 12
        text, code = on_terminal(h, b'', 'queue', 'bounce', ids[0])
        assert code == 1 and 'return 1 message, 1 recipient?' in text and ids[0] in text
        text, code = on_terminal(h, b'y', 'queue', 'delete', ids[0])
        assert code == 0 and '1 message deleted' in text
        text, code = on_terminal(h, None, 'queue', 'delete', '--sender', 'nobody@demo.test')
        assert code == 0 and 'no message matches' in text
        for act in ('delete', 'bounce', 'requeue'):
            text, code = on_terminal(h, None, 'queue', act, ids[0])
            assert code == 65 and f'there is no message {ids[0]} in the queue' in text and '[y/N]' not in text, (act, text)
        text, code = on_terminal(h, None, 'queue', 'delete', '--recipient', 'r1@remote.test', '--yes')
        assert code == 0 and '[y/N]' not in text
        assert {m['id'] for m in rows(h, 'queue', 'list', kind='message')} == set(ids[2:])
        tool(h, 'queue', 'delete', ids[2])  # one that is named needs no --yes
        assert '9 messages deleted' in tool(h, 'queue', 'delete', '--all', '--yes')


def test_what_comes_behind_the_question_stays():
    with Host(relay_from=['127.0.0.0/8'], conf=ROUTE) as h:
        tool(h, 'pause', 'out')
        h.send(['old@remote.test'], sender='me@demo.test')
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(host.BUILD / 'bin/mtactl', ['mtactl', '-c', str(h.dir / 'etc/mansio.conf'), 'queue', 'delete', '--all'])
        text = b''
        while not text.endswith(b'[y/N] '):
            assert select.select([fd], [], [], 60)[0], text
            text += os.read(fd, 65536)
        new = h.send(['new@remote.test'], sender='me@demo.test')
        os.write(fd, b'yes\n')
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(fd)
        assert [m['id'] for m in rows(h, 'queue', 'list', kind='message')] == [new]


def test_show_tells_the_last_attempt():
    with Host(relay_from=['127.0.0.0/8'], conf=ROUTE) as h:
        one = h.send(['a@remote.test'], sender='me@demo.test')
        result = h.wait_log('delivery.result', id=one)
        wait_for('its deferral', lambda: rows(h, 'queue', 'show', one, kind='recipient')[0]['state'] == 'deferred')
        shown = rows(h, 'queue', 'show', one, kind='recipient')[0]
        assert shown['attempts'] == 1 and shown['next'] > shown['last'] > 1_000_000_000 and result
        assert shown['status'].startswith('4.') and shown['words'] == 'own' and shown['destination'] == 'remote.test'
        assert 'last' not in rows(h, 'queue', 'list', kind='recipient')[0]
        text = tool(h, 'queue', 'show', one)
        assert 'attempts: 1, the last ' in text and ', the next in ' in text and '; status 4.' in text
