"""Relaying with MX look-ups: the far side is a DNS server of the test and scripted SMTP servers."""
import email, time

import pytest

import fakedns
import netns
from host import Host, wait_for
from sink import Sink

pytestmark = pytest.mark.root


@pytest.fixture(scope='module', autouse=True)
def own_network():
    netns.enter()
    netns.add_address('2001:db8:aaaa::1/128')
    netns.black_hole()
    netns.unreachable()


def notices(h, who='user', count=1):
    return [email.message_from_bytes(m) for m in h.wait_mail(who, count)]


def report(m):
    """Fields of the per-recipient part of an RFC 3464 notice."""
    parts = list(m.walk())
    status = [p for p in parts if p.get_content_type() == 'message/delivery-status'][0]
    groups = status.get_payload()
    return groups[0], groups[1]


def relay_host(zone, conf='', queue='', **kw):
    server = fakedns.Server(zone).start()
    h = Host(relay_from=['127.0.0.0/8'], dns=[server.address], conf=conf, **kw)
    h.queue = queue
    h.dns_server = server
    return h


def far(rcpt='a@far.test'):
    return rcpt


def test_mx_by_preference():
    zone = {'far.test': {'MX': ['20 mx2.far.test', '10 mx1.far.test']}, 'mx1.far.test': {'A': ['127.0.0.11']}, 'mx2.far.test': {'A': ['127.0.0.12']}}
    with Sink('127.0.0.11', 25) as first, Sink('127.0.0.12', 25) as second, relay_host(zone) as h:
        qid = h.send('a@far.test', sender='user@demo.test')
        m = first.wait_messages(1)[0]
        assert m['rcpt'] == ['a@far.test'] and m['helo'] == 'mail.demo.test' and not second.messages
        line = h.wait_log('delivery.result', id=qid)
        assert 'relay=mx1.far.test[127.0.0.11]:25' in line and 'dsn=2.0.0' in line and '250 2.0.0 taken' in line


def test_dead_first_mx_is_followed_by_the_next_in_the_same_attempt():
    zone = {'far.test': {'MX': ['10 mx1.far.test', '20 mx2.far.test']}, 'mx1.far.test': {'A': ['127.0.0.11']}, 'mx2.far.test': {'A': ['127.0.0.12']}}
    with Sink('127.0.0.12', 25) as second, relay_host(zone) as h:
        qid = h.send('a@far.test', sender='user@demo.test')
        second.wait_messages(1)
        assert len(h.wait_log('delivery.result', id=qid, count=1)) and 'status=delivered' in h.wait_log('delivery.result', id=qid)


def test_no_mx_uses_the_address():
    with Sink('127.0.0.13', 25) as s, relay_host({'far.test': {'A': ['127.0.0.13']}}) as h:
        h.send('a@far.test', sender='user@demo.test')
        s.wait_messages(1)


def test_cname_is_followed():
    zone = {'far.test': {'CNAME': ['real.test']}, 'real.test': {'MX': ['10 mx.real.test']}, 'mx.real.test': {'A': ['127.0.0.13']}}
    with Sink('127.0.0.13', 25) as s, relay_host(zone) as h:
        h.send('a@far.test', sender='user@demo.test')
        assert s.wait_messages(1)[0]['rcpt'] == ['a@far.test']


def test_address_literal():
    with Sink('127.0.0.14', 25) as s, relay_host({}) as h:
        h.send('a@[127.0.0.14]', sender='user@demo.test')
        assert s.wait_messages(1)[0]['rcpt'] == ['a@[127.0.0.14]']


@pytest.mark.parametrize('zone,status,words', [
    ({'far.test': {'MX': ['0 .']}}, '5.1.10', 'null MX'),
    ({}, '5.1.2', 'does not exist'),
])
def test_permanent_dns_answers_become_notices(zone, status, words):
    with relay_host(zone) as h:
        qid = h.send('a@far.test', 'Subject: lost\r\n\r\nsecret body\r\n', sender='user@demo.test')
        line = h.wait_log('delivery.result', id=qid)
        assert 'status=failed' in line and f'dsn={status}' in line, line
        m = notices(h)[0]
        assert m['Return-Path'] == '<>' and m.get_content_type() == 'multipart/report'
        per_message, rcpt = report(m)
        assert per_message['Reporting-MTA'] == 'dns; mail.demo.test'
        assert rcpt['Final-Recipient'].lower() == 'rfc822; a@far.test' and rcpt['Action'] == 'failed' and rcpt['Status'] == status
        assert words.lower() in m.as_string().lower(), m.as_string()
        assert 'Subject: lost' in m.as_string()


@pytest.mark.parametrize('zone', [
    {'far.test': 'SERVFAIL'}, {'far.test': 'REFUSED'}, {'far.test': 'TIMEOUT'},
    {'far.test': {'MX': ['10 mx.far.test']}, 'mx.far.test': 'SERVFAIL'},
    {'far.test': {'MX': 'SERVFAIL', 'A': ['127.0.0.11']}},
])
def test_temporary_dns_answers_defer(zone):
    with relay_host(zone) as h:
        qid = h.send('a@far.test', sender='user@demo.test')
        line = h.wait_log('delivery.result', id=qid)
        assert 'status=deferred' in line and 'dsn=4.4.3' in line, line
        assert not h.mailbox('user')


def test_several_resolvers():
    good = fakedns.Server({'far.test': {'A': ['127.0.0.13']}}).start()
    bad = fakedns.Server({'far.test': 'SERVFAIL'}).start()
    dead = '127.0.0.1:1'
    with Sink('127.0.0.13', 25) as s, Host(relay_from=['127.0.0.0/8'], dns=[dead, bad.address, good.address]) as h:
        h.send('a@far.test', sender='user@demo.test')
        s.wait_messages(1)


def test_truncated_answer_is_asked_again_over_tcp():
    many = [f'{i} mx{i}.far.test' for i in range(10, 90)]
    zone = {'far.test': {'MX': many, 'TRUNCATE': True}, **{f'mx{i}.far.test': {'A': ['127.0.0.13']} for i in range(10, 90)}}
    with Sink('127.0.0.13', 25) as s, relay_host(zone) as h:
        h.send('a@far.test', sender='user@demo.test')
        s.wait_messages(1)
        assert h.dns_server.asked('far.test', 'MX', 'tcp')


def test_aaaa_only():
    with Sink('2001:db8:aaaa::1', 25) as s, relay_host({'far.test': {'MX': ['10 mx.far.test']}, 'mx.far.test': {'AAAA': ['2001:db8:aaaa::1']}}) as h:
        qid = h.send('a@far.test', sender='user@demo.test')
        s.wait_messages(1)
        assert 'relay=mx.far.test[2001:db8:aaaa::1]:25' in h.wait_log('delivery.result', id=qid)


@pytest.mark.parametrize('v6', ['2001:db8:dead::1', '2001:db8:beef::1'])
def test_dead_ipv6_costs_seconds_not_the_attempt(v6):
    zone = {'far.test': {'MX': ['10 mx.far.test']}, 'mx.far.test': {'AAAA': [v6], 'A': ['127.0.0.13']}}
    with Sink('127.0.0.13', 25) as s, relay_host(zone) as h:
        t0 = time.monotonic()
        qid = h.send('a@far.test', sender='user@demo.test')
        s.wait_messages(1)
        assert time.monotonic() - t0 < 20, 'less than the patience with one address (connect_timeout), or than a retry'
        assert 'relay=mx.far.test[127.0.0.13]:25' in h.wait_log('delivery.result', id=qid)


@pytest.mark.parametrize('family,hit', [('ipv4', '127.0.0.13'), ('ipv6', '2001:db8:aaaa::1')])
def test_family_opens_no_socket_of_the_other(family, hit):
    zone = {'far.test': {'MX': ['10 mx.far.test']}, 'mx.far.test': {'AAAA': ['2001:db8:aaaa::1'], 'A': ['127.0.0.13']}}
    with Sink('127.0.0.13', 25) as four, Sink('2001:db8:aaaa::1', 25) as six, relay_host(zone, conf=f'route default {{ family = {family} }}') as h:
        h.send('a@far.test', sender='user@demo.test')
        hit_sink, other = (four, six) if family == 'ipv4' else (six, four)
        hit_sink.wait_messages(1)
        assert other.sessions == 0


def test_smart_host_takes_everything_and_no_dns_is_asked():
    with Sink() as s, relay_host({}, conf='') as h:
        pass
    with Sink() as s:
        h = relay_host({}, conf=f'route default {{ via = "127.0.0.1:{s.port}" }}')
        with h:
            h.send(['a@one.test', 'b@two.test'], sender='user@demo.test')
            wait_for('both', lambda: sum(len(m['rcpt']) for m in s.messages) == 2)
            assert not h.dns_server.asked('one.test')


def test_partial_acceptance_gives_each_recipient_its_own_result():
    zone = {'far.test': {'A': ['127.0.0.13']}}
    replies = {'RCPT': {'bad@far.test': '550 5.1.1 no such user here', 'later@far.test': '451 4.2.1 come back'}}
    with Sink('127.0.0.13', 25, replies=replies) as s, relay_host(zone) as h:
        qid = h.send(['good@far.test', 'bad@far.test', 'later@far.test'], sender='user@demo.test')
        assert s.wait_messages(1)[0]['rcpt'] == ['good@far.test']
        lines = h.wait_log('delivery.result', id=qid, count=3)
        by = {r: [l for l in lines if f'to={r}@far.test' in l][0] for r in ('good', 'bad', 'later')}
        assert 'status=delivered' in by['good'] and 'status=failed' in by['bad'] and 'status=deferred' in by['later']
        assert '550 5.1.1 no such user here' in by['bad'] and 'dsn=4.2.1' in by['later']
        per_message, rcpt = report(notices(h)[0])
        assert rcpt['Status'] == '5.1.1' and 'no such user here' in rcpt['Diagnostic-Code'] and 'far.test' in rcpt['Remote-MTA']
        assert rcpt['Final-Recipient'].lower() == 'rfc822; bad@far.test'


def test_retry_succeeds_later_and_delivers_once():
    zone = {'far.test': {'A': ['127.0.0.13']}}
    with relay_host(zone, queue='retry = [ 1s, 1s, 1s ]') as h:
        qid = h.send('a@far.test', sender='user@demo.test')
        assert 'status=deferred' in h.wait_log('delivery.result', id=qid)
        with Sink('127.0.0.13', 25) as s:
            s.wait_messages(1)
            h.wait_log('queue.message.finished', id=qid)
            assert len(s.messages) == 1


def test_expiry_becomes_a_notice_with_the_last_words():
    zone = {'far.test': {'A': ['127.0.0.13']}}
    with Sink('127.0.0.13', 25, replies={'MAIL': '451 4.7.1 greylisted, later'}), \
            relay_host(zone, queue='retry = [ 1s ] expire_after = 3s warn_after = 0') as h:
        h.send('a@far.test', sender='user@demo.test')
        m = notices(h)[0]
        _, rcpt = report(m)
        assert rcpt['Action'] == 'failed' and 'greylisted' in m.as_string()


def test_null_sender_never_bounces():
    with relay_host({}) as h:
        qid = h.send('a@far.test', sender='')
        h.wait_log('delivery.result', id=qid)
        h.wait_log('queue.message.finished', id=qid)
        assert not h.mailbox('user') and not h.mailbox('postmaster')


def test_own_mx_is_a_loop():
    zone = {'far.test': {'MX': ['10 mail.demo.test', '20 mx2.far.test']}, 'mail.demo.test': {'A': ['127.0.0.1']}, 'mx2.far.test': {'A': ['127.0.0.1']}}
    with relay_host(zone) as h:
        qid = h.send('a@far.test', sender='user@demo.test')
        line = h.wait_log('delivery.result', id=qid)
        assert 'status=failed' in line and 'dsn=5.4.6' in line
