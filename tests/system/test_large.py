"""test_large.py - a queue of 50,000 messages for dead destinations: commands are right, and mail goes on meanwhile."""
import collections, json, re, subprocess, threading, types

import pytest

import host
from host import Host, wait_for

N, DESTINATIONS, SENDERS = 50_000, 1000, 5000   # as bench-queue-start makes them
MAKER = host.BUILD / 'bench/bench-queue-start'

pytestmark = [pytest.mark.skipif(not host.IS_ROOT, reason='the spool belongs to another uid'),
              pytest.mark.skipif(not MAKER.exists(), reason='this build has no bench programs')]


@pytest.fixture
def large():
    h = Host(dns=['127.0.0.1:9'])   # no resolver: every attempt is deferred
    h.write()
    spool = h.dir / 'spool'
    spool.mkdir(mode=0o700)
    subprocess.run([MAKER, 'make', spool, str(N)], check=True)
    subprocess.run(['chown', '-R', 'mansio-queued:mansio-queued', spool], check=True)
    with h.start():
        yield h


def mtactl(h, *words):
    p = subprocess.run([host.BUILD / 'bin/mtactl', '--wait', '60', '-c', h.dir / 'etc/mansio.conf', *words], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)
    assert p.returncode == 0, (words, p.returncode, p.stderr)
    return p.stdout


def rows(h, *words):
    return [types.SimpleNamespace(**r) for r in json.loads(mtactl(h, '--json', *words))['rows']]


def listed(h, *words):
    return [r for r in rows(h, 'queue', 'list', *words) if r.kind == 'message']


def changed(h, *words):
    return [r.id for r in rows(h, 'queue', *words) if r.kind == 'changed']


def gauges(h):
    text = mtactl(h, 'metrics')
    found = re.findall(r'^mansio_queue_messages\{.*state="(\w+)"\} (\d+)', text, re.M)
    return {state: int(n) for state, n in found if int(n)}


def test_every_message_is_listed(large):
    all_rows = rows(large, 'queue', 'list')
    messages = {r.id: r for r in all_rows if r.kind == 'message'}
    recipients = {r.recipient for r in all_rows if r.kind == 'recipient'}
    assert len(messages) == N and len(all_rows) == 2 * N
    assert recipients == {f'user{i}@dead{i % DESTINATIONS}.example.test' for i in range(N)}
    assert collections.Counter(m.sender for m in messages.values()) == {f'sender{i}@example.org': N // SENDERS for i in range(SENDERS)}
    assert {m.state for m in messages.values()} == {'deferred'} and gauges(large) == {'deferred': N}
    text = mtactl(large, 'mailq')
    assert f'\t\tTotal requests: {N}\n' in text and text.count('(Deferred: connect: Connection refused)') == N
    assert all(i in text for i in list(messages)[::997])
    first = sorted(messages)[0]
    line = next(line for line in text.splitlines() if line.startswith(first))
    when = subprocess.run(['date', '-d', f'@{messages[first].arrival}', '+%a %b %e %H:%M:%S'], stdout=subprocess.PIPE, text=True,
                          env={'LC_ALL': 'C'}, check=True).stdout.strip()
    assert line.split(None, 1)[1].startswith(f'{messages[first].size} {when} sender')
    assert len(listed(large, '--limit', '10', '--sort', 'size')) == 10


def test_selectors_find_what_they_say(large):
    assert {m.sender for m in listed(large, '--sender', 'Sender17@EXAMPLE.org')} == {'sender17@example.org'}
    assert len(listed(large, '--sender', 'sender17@example.org')) == N // SENDERS
    assert len(listed(large, '--sender', '*17@example.org')) == N // 100
    assert len(listed(large, '--recipient', 'User1017@dead17.example.test')) == 1
    assert len(listed(large, '--recipient', '*@dead17.example.test')) == N // DESTINATIONS
    assert len(listed(large, '--domain', 'dead17.example.test')) == N // DESTINATIONS
    assert not listed(large, '--sender', 'nobody@example.org') and not listed(large, '--recipient', 'user17@dead18.example.test')
    by_sender = [r for r in rows(large, 'queue', 'summary', '--by', 'sender', '--limit', '1000') if r.kind == 'sender']
    assert len({r.name for r in by_sender}) == 1000 and {r.messages for r in by_sender} == {N // SENDERS}
    by_place = rows(large, 'queue', 'summary', '--limit', '1000')
    assert {r.name for r in by_place if r.kind == 'destination'} == {f'dead{i}.example.test' for i in range(DESTINATIONS)}
    assert [r.messages for r in by_place if r.kind == 'total'] == [N]


def test_changes_reach_each_message_once(large):
    held = changed(large, 'hold', '--sender', '*7@example.org')
    assert len(held) == len(set(held)) == N // 10
    assert gauges(large) == {'deferred': N - N // 10, 'held': N // 10}
    assert {m.id for m in listed(large, '--state', 'held')} == set(held)
    everything = changed(large, 'hold', '--all')
    assert len(set(everything)) == N - N // 10 and gauges(large) == {'held': N}
    large.restart()
    assert gauges(large) == {'held': N}
    assert len(set(changed(large, 'release', '--all'))) == N and gauges(large) == {'deferred': N}
    gone = changed(large, 'delete', '--yes', '--domain', 'dead17.example.test')
    assert len(gone) == N // DESTINATIONS and not listed(large, '--domain', 'dead17.example.test')
    assert len(changed(large, 'delete', '--yes', '--all')) == N - len(gone)
    assert gauges(large) == {} and 'Mail queue is empty' in mtactl(large, 'mailq')


def test_mail_goes_on_meanwhile(large):
    """Each command runs beside fresh mail for a mailbox: all of it arrives, and the command sees every old message."""
    commands = {'list': 2 * N, 'hold --all': N, 'summary --by sender': None, 'release --all': N, 'flush --all': N}
    for words, least in commands.items():
        found = []
        t = threading.Thread(target=lambda: found.extend(rows(large, 'queue', *words.split())))
        before = len(large.mailbox())
        t.start()
        sent = 0
        while t.is_alive() or not sent:
            large.send('user@demo.test', body=f'Subject: {words}\r\n\r\nfresh\r\n')
            sent += 1
        t.join()
        if 'hold' in words:     # what it met of the fresh ones is held too
            continue
        large.wait_mail(count=before + sent)
        assert least is None or len(found) >= least, words
    # What was flushed was tried, and nothing of it is lost.
    large.wait_log('delivery.result', status='deferred')
    wait_for('all fresh mail is delivered', lambda: sum(gauges(large).values()) == N)
