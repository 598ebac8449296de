"""Delivery status notifications (RFC 3461 to 3464): asked for by a client, passed on, made here."""
import email, email.policy, email.utils, re

import pytest

import fakedns
import netns
from host import Host, wait_for
from sink import Sink

pytestmark = pytest.mark.root

WITHOUT = ('PIPELINING', 'SIZE 50000000', '8BITMIME', 'ENHANCEDSTATUSCODES')
ZONE = {'far.test': {'A': ['127.0.0.61']}, 'old.test': {'A': ['127.0.0.62']}}
BODY = b'From: user@demo.test\r\nTo: x@far.test\r\nSubject: asked\r\nMessage-ID: <m@demo.test>\r\n\r\nline of the body\r\n'


@pytest.fixture(scope='module', autouse=True)
def own_network():
    netns.enter()


class Sinks:
    """far.test speaks DSN, old.test does not; both keep the commands they got."""

    def __enter__(self):
        refuse = {'gone@far.test': '550 5.1.1 <gone@far.test>: nobody', 'gone@old.test': '550 5.1.1 <gone@old.test>: nobody of that name',
                  'later@old.test': '450 4.2.1 come again'}
        self.far = Sink('127.0.0.61', 25, capabilities=WITHOUT + ('DSN',), replies={'RCPT': refuse}).start()
        self.old = Sink('127.0.0.62', 25, capabilities=WITHOUT, replies={'RCPT': refuse}).start()
        return self

    def __exit__(self, *_):
        self.far.stop()
        self.old.stop()


def dsn_host(conf='', queue='', **kw):
    server = fakedns.Server(ZONE).start()
    h = Host(relay_from=['127.0.0.0/8'], dns=[server.address], conf=conf, **kw)
    h.queue = queue
    h.dns_server = server
    return h


def submit(h, rcpts, mail='', body=BODY, sender='user@demo.test'):
    """rcpts: {address: parameters}"""
    with h.smtp() as s:
        s.ehlo()
        code, text = s.docmd(f'MAIL FROM:<{sender}> {mail}'.strip())
        assert code == 250, text
        for rcpt, options in rcpts.items():
            code, text = s.docmd(f'RCPT TO:<{rcpt}> {options}'.strip())
            assert code == 250, text
        assert s.docmd('DATA')[0] == 354
        s.send(body + b'.\r\n')
        code, text = s.getreply()
        assert code == 250, text
        return text.decode().split()[-1]


def taken(h, *args, **kw):
    """Whether the host takes it; 451 is its word that it has not."""
    try:
        return submit(h, *args, **kw)
    except AssertionError as refusal:
        assert '451' in str(refusal) or '4.3.0' in str(refusal), refusal
        return None


# ---- RFC 3464: the grammar of the fields ----

ATOM = r"[!#$%&'*+\-/0-9=?A-Z^_`a-z{|}~.]+"
DATE = r'(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}'
TYPED = ATOM + r' *; *[ -~]+'
PER_MESSAGE = {'original-envelope-id': r'[ -~]+', 'reporting-mta': TYPED, 'dsn-gateway': TYPED, 'received-from-mta': TYPED, 'arrival-date': DATE}
PER_RCPT = {'original-recipient': TYPED, 'final-recipient': TYPED, 'action': 'failed|delayed|delivered|relayed|expanded',
            'status': r'[245]\.[0-9]{1,3}\.[0-9]{1,3}', 'remote-mta': TYPED, 'diagnostic-code': TYPED, 'last-attempt-date': DATE,
            'final-log-id': r'[ -~]+', 'will-retry-until': DATE}


def check_fields(group, grammar, required):
    names = [n.lower() for n in group.keys()]
    assert len(names) == len(set(names)), names
    for name in required:
        assert name in names, (name, names)
    for name, value in group.items():
        assert name.lower() in grammar, name
        value = re.sub(r'\r?\n[ \t]+', ' ', str(value))
        assert re.fullmatch(grammar[name.lower()], value), (name, value)


def check(raw):
    """The notice as (message, per-message fields, [fields of each recipient], returned part)."""
    m = email.message_from_bytes(raw)
    assert m['Return-Path'] == '<>' and m['Auto-Submitted'].startswith('auto-') and m['MIME-Version'] == '1.0'
    assert m.get_content_type() == 'multipart/report' and m.get_param('report-type') == 'delivery-status' and not m.defects
    human, status, back = m.get_payload()
    assert human.get_content_type() == 'text/plain' and status.get_content_type() == 'message/delivery-status'
    assert back.get_content_type() in ('message/rfc822', 'text/rfc822-headers')
    first, *rcpts = status.get_payload()
    check_fields(first, PER_MESSAGE, ['reporting-mta'])
    assert rcpts
    for r in rcpts:
        check_fields(r, PER_RCPT, ['final-recipient', 'action', 'status'])
        assert (r['Will-Retry-Until'] is not None) <= (r['Action'] == 'delayed')
        assert r['Status'][0] == {'failed': '5', 'delayed': '4'}.get(r['Action'], '2') or r['Action'] == 'failed'
    return m, first, rcpts, back


def notices(h, count=1, who='user'):
    return [check(m) for m in h.wait_mail(who, count)]


# ---- in ----

def test_parameters_are_announced_and_checked():
    h = dsn_host()
    h.listen = f'listen smtp {{ address = [ "127.0.0.1:{h.port}" ] max_errors = 100 }}'
    with h, h.smtp() as s:
        s.ehlo()
        assert s.has_extn('dsn')
        for bad in ('RET=NONE', 'RET', 'RET=FULL RET=FULL', 'ENVID=', 'ENVID=a+0', 'ENVID=a+2b', 'ENVID=a=b', 'ENVID=a+0D+0Ab', 'ENVID=' + 'x' * 101, 'ENVID=a ENVID=b', 'ENVID=+E9'):
            assert s.docmd(f'MAIL FROM:<user@demo.test> {bad}')[0] == 501, bad
        assert s.docmd('MAIL FROM:<user@demo.test> RET=hdrs ENVID=' + 'x' * 100)[0] == 250
        for bad in ('NOTIFY=', 'NOTIFY=NEVER,SUCCESS', 'NOTIFY=SOMETIMES', 'NOTIFY=,', 'NOTIFY', 'NOTIFY=NEVER NOTIFY=NEVER',
                    'ORCPT=a@b.test', 'ORCPT=;a@b', 'ORCPT=rfc822;a+2bb', 'ORCPT=rfc822;a+2', 'ORCPT=rfc822;a=b', 'ORCPT=rfc822;a+0D+0AX:', 'ORCPT=rfc822;' + 'x' * 500, 'ORCPT=rfc822;a ORCPT=rfc822;a'):
            assert s.docmd(f'RCPT TO:<user@demo.test> {bad}')[0] == 501, bad
        assert s.docmd('RCPT TO:<user@demo.test> SIZE=1')[0] == 555
        assert s.docmd('RCPT TO:<user@demo.test> notify=success,delay,failure orcpt=rfc822;a+2Bb@c.test')[0] == 250
        assert s.docmd('RCPT TO:<postmaster@demo.test>')[0] == 250


def test_without_receipts_nothing_is_announced_or_sent():
    with dsn_host(queue='notices { success = no }') as h:
        with h.smtp() as s:
            s.ehlo()
            assert not s.has_extn('dsn')
            assert s.docmd('MAIL FROM:<user@demo.test> RET=FULL')[0] == 555
            s.docmd('MAIL FROM:<user@demo.test>')
            assert s.docmd('RCPT TO:<user@demo.test> NOTIFY=SUCCESS')[0] == 555


# ---- success ----

def test_success_is_told_with_the_senders_words():
    with dsn_host() as h:
        submit(h, {'postmaster@demo.test': 'NOTIFY=SUCCESS ORCPT=rfc822;Post+2BMaster@demo.test'}, mail='RET=FULL ENVID=id+2B1+20x')
        m, first, (r,), back = notices(h)[0]
        assert m['To'] == '<user@demo.test>' and first['Original-Envelope-Id'] == 'id+1 x' and first['Arrival-Date']
        assert r['Action'] == 'delivered' and r['Status'].startswith('2.')
        assert r['Final-Recipient'] == 'rfc822; postmaster@demo.test' and r['Original-Recipient'] == 'rfc822;Post+Master@demo.test'
        assert back.get_content_type() == 'text/rfc822-headers' and 'line of the body' not in str(m)
        assert str(h.dir) not in str(m), 'where the mailbox lies'


def test_who_asked_for_nothing_or_for_silence_hears_nothing_of_success():
    with dsn_host() as h:
        for options in ('', 'NOTIFY=NEVER', 'NOTIFY=FAILURE,DELAY'):
            submit(h, {'postmaster@demo.test': options})
        h.wait_mail('postmaster', 3)
        submit(h, {'postmaster@demo.test': 'NOTIFY=SUCCESS'}, mail='ENVID=last')
        notices(h)
        assert len(h.wait_mail('user', 1)) == 1


# ---- out ----

def test_passed_on_to_a_server_that_announces_dsn():
    with Sinks() as far, dsn_host() as h:
        submit(h, {'a@far.test': 'NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c.test', 'b@far.test': 'NOTIFY=NEVER', 'c@far.test': ''}, mail='RET=HDRS ENVID=e+2B1')
        message = far.far.wait_messages(1)[0]
        assert ' RET=HDRS ENVID=e+2B1' in message['mail']
        assert sorted(message['lines']) == sorted(['RCPT TO:<a@far.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c.test', 'RCPT TO:<b@far.test> NOTIFY=NEVER', 'RCPT TO:<c@far.test>'])
        h.wait_log('delivery.result', to='c@far.test')
        submit(h, {'postmaster@demo.test': 'NOTIFY=SUCCESS'})
        assert [n[2][0]['Final-Recipient'] for n in notices(h)] == ['rfc822; postmaster@demo.test'], 'a receipt is the next server\'s'


def test_relayed_where_nobody_speaks_dsn():
    with Sinks() as far, dsn_host() as h:
        submit(h, {'a@old.test': 'NOTIFY=SUCCESS', 'b@old.test': ''}, mail='RET=FULL ENVID=x')
        message = far.old.wait_messages(1)[0]
        assert 'RET' not in message['mail'] and 'ENVID' not in message['mail']
        _, first, rcpts, _ = notices(h)[0]
        assert [(r['Final-Recipient'], r['Action'], r['Remote-MTA']) for r in rcpts] == [('rfc822; a@old.test', 'relayed', 'dns; old.test')]
        assert first['Original-Envelope-Id'] == 'x' and '250 2.0.0 taken' in rcpts[0]['Diagnostic-Code']


# ---- failure and delay ----

@pytest.mark.parametrize('options,whole', [('', True), ('RET=FULL', True), ('RET=HDRS', False)])
def test_failure_returns_what_was_asked_for(options, whole):
    with Sinks(), dsn_host() as h:
        submit(h, {'gone@old.test': 'ORCPT=rfc822;first@c.test'}, mail=options)
        _, first, (r,), back = notices(h)[0]
        assert (r['Action'], r['Status'], r['Remote-MTA']) == ('failed', '5.1.1', 'dns; old.test')
        assert r['Diagnostic-Code'] == 'smtp; 550 5.1.1 <gone@old.test>: nobody of that name' and r['Last-Attempt-Date']
        assert r['Original-Recipient'] == 'rfc822;first@c.test'
        assert back.get_content_type() == ('message/rfc822' if whole else 'text/rfc822-headers')
        assert ('line of the body' in str(back)) == whole and 'asked' in str(back)


def test_a_large_message_comes_back_as_its_header():
    with Sinks(), dsn_host(queue='notices { return_size = 2000 }') as h:
        submit(h, {'gone@old.test': ''}, mail='RET=FULL', body=BODY + b'x' * 70 + b'\r\n' + b'more\r\n' * 400)
        assert notices(h)[0][3].get_content_type() == 'text/rfc822-headers'


@pytest.mark.parametrize('size,limit,whole', [(400_000, '1M', True), (3_000_000, '4M', True), (3_000_000, '2M', False), (400_000, '50k', False)])
def test_a_very_large_message_comes_back_in_pieces(size, limit, whole):
    with Sinks(), dsn_host(queue=f'notices {{ return_size = {limit} }}') as h:
        lines = b''.join(b'%06d %s\r\n' % (n, b'x' * 60) for n in range(size // 69))
        submit(h, {'gone@old.test': ''}, body=BODY + lines)
        raw = h.wait_mail('user')[0]
        m, _, (r,), back = check(raw)
        assert back.get_content_type() == ('message/rfc822' if whole else 'text/rfc822-headers')
        assert (lines.replace(b'\r\n', b'\n') in raw.replace(b'\r\n', b'\n')) == whole and r['Action'] == 'failed'
        if whole:
            assert back.get_payload(0).get_payload().endswith('x' * 60 + '\n') or back.get_payload(0).get_payload().endswith('x' * 60 + '\r\n')
        wait_for('the queue is empty', lambda: not list((h.dir / 'spool/big').iterdir()))


def test_an_8_bit_message_comes_back_byte_by_byte():
    with Sinks(), dsn_host() as h:
        text = 'Grüße, καλημέρα'.encode()
        submit(h, {'gone@old.test': ''}, mail='BODY=8BITMIME', body=BODY + text + b'\r\n.. dots\r\n--=_\r\n')
        raw = h.wait_mail('user')[0]
        assert check(raw)[0]['Content-Transfer-Encoding'] == '8bit' and text in raw and b'\n. dots' in raw


def test_never_means_never_and_the_null_sender_hears_nothing():
    with Sinks(), dsn_host() as h:
        submit(h, {'gone@old.test': 'NOTIFY=NEVER', 'later@old.test': 'NOTIFY=SUCCESS'})
        assert 'notice=none' in h.wait_log('delivery.result', to='gone@old.test')
        submit(h, {'gone@old.test': 'NOTIFY=SUCCESS,FAILURE,DELAY'}, sender='')
        wait_for('both', lambda: len([x for x in h.log_lines() if 'delivery.result' in x and 'to=gone@old.test' in x and 'notice=none' in x]) == 2)


def test_delay_says_until_when():
    with Sinks(), dsn_host(queue='warn_after = 1s expire_after = 1h') as h:
        submit(h, {'later@old.test': 'NOTIFY=DELAY'}, mail='RET=FULL')
        _, _, (r,), back = notices(h)[0]
        assert (r['Action'], r['Status']) == ('delayed', '4.2.1') and r['Will-Retry-Until'] and r['Last-Attempt-Date']
        assert back.get_content_type() == 'text/rfc822-headers'


def test_one_notice_for_one_kind():
    with Sinks(), dsn_host() as h:
        submit(h, {'gone@old.test': '', 'a@old.test': 'NOTIFY=SUCCESS', 'b@old.test': 'NOTIFY=SUCCESS'})
        found = sorted((sorted(r['Action'] for r in n[2]) for n in notices(h, 2)), key=str)
        assert found in ([['failed'], ['relayed', 'relayed']], )


def test_all_that_failed_is_told_at_once_and_in_full():
    """RFC 3464 2.2 and 2.3: every field that there is something to say in; one notice, however many hosts refused."""
    with Sinks() as sinks, dsn_host() as h:
        sinks.far.replies['RCPT']['slow@far.test'] = '550-5.7.1 not from you\r\n550 5.7.1 ask for leave'
        number = submit(h, {'gone@old.test': 'ORCPT=rfc822;Gone+2BAway@c.test', 'slow@far.test': 'NOTIFY=FAILURE', 'fine@far.test': '', 'nobody@old.test': 'NOTIFY=NEVER'},
                        mail='RET=HDRS ENVID=e+2B1')
        m, first, rcpts, back = notices(h)[0]
        assert first['Reporting-MTA'] == f'dns; {h.hostname}' and first['Original-Envelope-Id'] == 'e+1'
        arrival = email.utils.parsedate_to_datetime(first['Arrival-Date'])
        one, two = sorted(rcpts, key=lambda r: r['Final-Recipient'])
        assert (one['Final-Recipient'], one['Original-Recipient'], one['Action'], one['Status'], one['Remote-MTA']) == (
            'rfc822; gone@old.test', 'rfc822;Gone+Away@c.test', 'failed', '5.1.1', 'dns; old.test')
        assert (two['Final-Recipient'], two['Original-Recipient'], two['Status'], two['Remote-MTA']) == ('rfc822; slow@far.test', None, '5.7.1', 'dns; far.test')
        assert two['Diagnostic-Code'].startswith('smtp; 550 5.7.1 not from you') and two['Diagnostic-Code'].endswith('ask for leave')
        for r in rcpts:
            assert email.utils.parsedate_to_datetime(r['Last-Attempt-Date']) >= arrival and r['Will-Retry-Until'] is None
        human = m.get_payload(0).get_payload()
        assert number in human and 'ask for leave' in human and 'fine@' not in str(m.get_payload(1)) and 'nobody@' not in str(m.get_payload(1))
        assert email.message_from_string(back.get_payload())['Subject'] == 'asked'
        assert len(h.wait_mail('user', 1)) == 1 and len(h.log_lines('cleanup.notice.composed')) == 1


def test_the_envelope_of_a_notice():
    """RFC 3461 6.1: null sender, no RET, NOTIFY absent or NEVER; RFC 3834: nobody answers it."""
    with Sinks() as sinks, dsn_host() as h:
        submit(h, {'gone@old.test': 'NOTIFY=FAILURE'}, mail='RET=FULL ENVID=mine', sender='asker@far.test')
        message = sinks.far.wait_messages(1)[0]
        assert message['mail'].startswith('MAIL FROM:<>') and 'RET=' not in message['mail'] and 'ENVID=mine' not in message['mail']
        (rcpt,) = message['lines']
        assert rcpt.startswith('RCPT TO:<asker@far.test>') and ('NOTIFY=' not in rcpt or 'NOTIFY=NEVER' in rcpt)


def test_a_delay_tells_who_sent_what_and_until_when():
    with Sinks(), dsn_host(queue='warn_after = 1s expire_after = 2h') as h:
        submit(h, {'later@old.test': 'NOTIFY=DELAY ORCPT=rfc822;late@c.test', 'a@old.test': ''}, mail='ENVID=d1')
        _, first, (r,), _ = notices(h)[0]
        assert first['Original-Envelope-Id'] == 'd1' and r['Original-Recipient'] == 'rfc822;late@c.test' and r['Remote-MTA'] == 'dns; old.test'
        assert r['Diagnostic-Code'] == 'smtp; 450 4.2.1 come again'
        parse = email.utils.parsedate_to_datetime
        assert (parse(r['Will-Retry-Until']) - parse(first['Arrival-Date'])).total_seconds() == 2 * 3600


# ---- what a sender is not to know ----

ALIASES = '''map local {{ type = aliases source = "@DIR@/etc/aliases" }}
map virtual {{ type = text source = "@DIR@/etc/virtual" }}
address {{ aliases = local virtual = virtual }}
'''


def alias_host(aliases='', virtual=''):
    h = dsn_host(conf=ALIASES.replace('{{', '{').replace('}}', '}'))
    (h.dir / 'etc').mkdir(parents=True, exist_ok=True)
    (h.dir / 'etc/aliases').write_text(aliases)
    (h.dir / 'etc/virtual').write_text(virtual)
    return h


def test_the_target_of_an_alias_is_not_told():
    with Sinks(), alias_host(virtual='sales@demo.test gone@old.test\nask@demo.test a@old.test\n') as h:
        submit(h, {'sales@demo.test': '', 'ask@demo.test': 'NOTIFY=SUCCESS'})
        for m, _, (r,), _ in notices(h, 2):
            text = str(m)
            assert 'gone' not in text and 'old.test' not in text and 'a@' not in text.replace('a@demo.test', ''), text
            if r['Action'] == 'failed':
                assert r['Final-Recipient'] == 'rfc822; sales@demo.test' and r['Diagnostic-Code'].startswith('smtp; 550 5.1.1 (')
            else:
                assert r['Final-Recipient'] == 'rfc822; ask@demo.test'


def test_an_alias_of_several_is_expanded():
    with Sinks() as far, alias_host(virtual='all@demo.test a@far.test, b@old.test\n') as h:
        submit(h, {'all@demo.test': 'NOTIFY=SUCCESS,FAILURE'})
        assert far.far.wait_messages(1)[0]['lines'] == ['RCPT TO:<a@far.test> NOTIFY=FAILURE']
        far.old.wait_messages(1)
        m, _, (r,), _ = notices(h)[0]
        assert (r['Action'], r['Final-Recipient']) == ('expanded', 'rfc822; all@demo.test')
        assert 'far.test' not in str(m.get_payload(1)) and 'old.test' not in str(m.get_payload(1))


# ---- notices that fail ----

def test_a_notice_that_fails_is_told_once():
    with Sinks(), dsn_host() as h:
        submit(h, {'gone@old.test': ''}, sender='gone@far.test')
        _, _, (r,), back = notices(h, who='postmaster')[0]
        assert r['Final-Recipient'] == 'rfc822; gone@far.test' and 'multipart/report' in str(back)
    with Sinks(), dsn_host(queue='notices { double_bounce = "gone@far.test" }') as h:
        submit(h, {'gone@old.test': ''}, sender='gone@far.test')
        wait_for('the last one', lambda: [x for x in h.log_lines() if 'delivery.result' in x and 'to=gone@far.test' in x and 'notice=none' in x])


# ---- crashes ----

def test_a_receipt_survives_a_crash():
    with Sinks(), dsn_host(queue='deliver = yes') as h:
        for n in range(5):
            submit(h, {'postmaster@demo.test': 'NOTIFY=SUCCESS'}, mail=f'ENVID=n{n}')
            h.kill('queued')
            h.wait_log('queue.recovery.done', count=n + 2)
        found = {n[1]['Original-Envelope-Id'] for n in notices(h, 5)}
        assert found == {f'n{n}' for n in range(5)}


def test_a_crash_keeps_what_an_alias_owes():
    with Sinks(), alias_host(virtual='all@demo.test later@old.test, user@demo.test\n') as h:
        submit(h, {'all@demo.test': 'NOTIFY=SUCCESS'}, sender='postmaster@demo.test')
        h.kill('queued')
        m, _, (r,), _ = notices(h, who='postmaster')[0]
        assert (r['Action'], r['Final-Recipient']) == ('expanded', 'rfc822; all@demo.test')
        h.wait_log('mtad.child.ready', child='queued[0]')
        wait_for('queued takes mail again', lambda: taken(h, {'user@demo.test': 'NOTIFY=SUCCESS'}, sender='postmaster@demo.test', mail='ENVID=behind'))
        assert [n[1]['Original-Envelope-Id'] for n in notices(h, 2, who='postmaster')].count(None) == 1
