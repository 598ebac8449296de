"""Bad servers at the far side: lost at each step, hostile replies; results, words and log lines are right for each.
(CVE-2020-8794 and CVE-2026-43964 are of this kind.)"""
import email

import pytest

import fakedns
import netns
from badsmtp import Bad
from host import Host
from sink import Sink

pytestmark = pytest.mark.root
ZONE = {'mx.far.test': {'A': ['127.0.0.13']}, 'mx2.far.test': {'A': ['127.0.0.14']},
        'two.test': {'MX': ['10 mx.far.test', '20 mx2.far.test']},
        **{f'far{i}.test': {'MX': ['10 mx.far.test']} for i in range(200)}}
numbers = iter(range(200))


def far():
    """A domain that no test used before: a destination that failed often rests, which is another test's matter."""
    return f'far{next(numbers)}.test'


@pytest.fixture(scope='module')
def host():
    netns.enter()
    dns = fakedns.Server(ZONE).start()
    h = Host(relay_from=['127.0.0.0/8'], dns=[dns.address], conf='route default { idle = 0  timeout = 2s }')
    h.queue = 'retry = [ 1h ]'
    with h:
        yield h


def result(host, qid):
    return host.wait_log('delivery.result', id=qid, deadline=60)


@pytest.mark.parametrize('reset', [False, True])
@pytest.mark.parametrize('step', ['greeting', 'ehlo', 'mail', 'rcpt', 'data', 'body'])
def test_peer_lost_at_each_step_is_deferred_and_names_the_step(host, step, reset):
    with Bad('127.0.0.13', 25, die=step, reset=reset):
        line = result(host, host.send(f'a@{far()}', sender='user@demo.test'))
    assert 'status=deferred' in line and 'dsn=4.4.2' in line, line
    words = {'greeting': 'greeting', 'ehlo': 'EHLO', 'mail': 'MAIL', 'rcpt': 'RCPT', 'data': 'DATA', 'body': 'end of'}[step]
    assert words.lower() in line.lower(), line


def test_554_greeting_means_the_next_mx_then_deferral(host):
    with Bad('127.0.0.13', 25, script={'greeting': b'554 5.7.1 go away\r\n'}) as b:
        with Sink('127.0.0.14', 25) as good:
            qid = host.send('a@two.test', sender='user@demo.test')
            good.wait_messages(1)
            assert 'status=delivered' in result(host, qid) and b.sessions == 1
        line = result(host, host.send(f'a@{far()}', sender='user@demo.test'))
        assert 'status=deferred' in line and 'go away' in line, line


def test_421_after_mail_defers_every_recipient(host):
    domain = far()
    with Bad('127.0.0.13', 25, script={'rcpt': b'421 4.3.2 closing\r\n'}):
        qid = host.send([f'a@{domain}', f'b@{domain}'], sender='user@demo.test')
        lines = host.wait_log('delivery.result', id=qid, count=2)
        assert all('status=deferred' in l and '421' in l for l in lines)


def test_whole_multi_line_reply_is_kept(host):
    with Bad('127.0.0.13', 25, script={'rcpt': b'550-5.7.1 first line\r\n550-5.7.1 second line\r\n550 5.7.1 https://example.test/why\r\n'}):
        before = len(host.mailbox())
        line = result(host, host.send(f'a@{far()}', sender='user@demo.test'))
        assert 'status=failed' in line and 'dsn=5.7.1' in line
        assert 'first line' in line and 'second line' in line and 'https://example.test/why' in line
        m = email.message_from_bytes(host.wait_mail(count=before + 1)[-1])
        assert 'second line' in m.as_string() and 'https://example.test/why' in m.as_string()


def test_multi_line_success_is_kept_too(host):
    with Bad('127.0.0.13', 25, script={'body': b'250-2.0.0 queued\r\n250 2.0.0 as 4711\r\n'}):
        line = result(host, host.send(f'a@{far()}', sender='user@demo.test'))
        assert 'status=delivered' in line and 'queued' in line and 'as 4711' in line


HOSTILE = {
    'one byte': b'2\r\n', 'code only': b'250\r\n', 'no digits': b'hello there\r\n', 'eight kilobytes': b'250 ' + b'x' * 8192 + b'\r\n',
    'NUL': b'250 o\0k\r\n', 'only CR': b'250 ok\r', 'only LF': b'250 ok\n', 'last line missing': b'250-one\r\n250-two\r\n', 'endless': b'250-more\r\n' * 100_000,
    'codes that change': b'250-one\r\n550 two\r\n', 'control characters': b'250 \x1b[2J\x07\r\n', 'injected lines': b'250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n',
    'empty line': b'\r\n', 'code out of range': b'999 what\r\n', 'negative': b'-50 x\r\n', 'eight bit': b'250 gr\xfc\xdfe\r\n',
}


@pytest.mark.parametrize('step', ['greeting', 'ehlo', 'rcpt', 'body'])
@pytest.mark.parametrize('kind', HOSTILE)
def test_hostile_reply_never_hurts(host, step, kind):
    pids = host.pids()
    with Bad('127.0.0.13', 25, script={step: lambda: HOSTILE[kind]}):
        qid = host.send(f'a@{far()}', sender='user@demo.test')
        import time
        deadline = time.monotonic() + 3
        # Some of these leave the session waiting for more, which the timeouts end: what counts is that nothing breaks.
        while time.monotonic() < deadline and not host.log_lines('delivery.result', id=qid):
            time.sleep(0.05)
    lines = host.log_lines('delivery.result', id=qid) or [host.wait_log('delivery.result', id=qid)]
    assert len(lines) == 1 and 'status=' in lines[0]
    assert '\x1b' not in lines[0] and '\0' not in lines[0]
    assert host.pids().get('deliverd') == pids.get('deliverd'), 'no daemon died'
    with Sink('127.0.0.13', 25) as s:
        host.send(f'ok@{far()}', 'Subject: after\r\n\r\nx\r\n', sender='user@demo.test')
        assert s.wait_messages(1)[0]['data'].endswith(b'Subject: after\r\n\r\nx\r\n')
