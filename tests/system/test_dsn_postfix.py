"""Notices with Postfix as the other side: what it makes of the wishes that we pass on, and of those that it passes on to us; each reads the other's notices."""
import email

import pytest

import netns
from postfix import EXISTS, Postfix
from test_dsn import alias_host, check, dsn_host, notices, submit

pytestmark = [pytest.mark.root, pytest.mark.skipif(not EXISTS, reason='Postfix is not unpacked')]
WISH = 'ORCPT=rfc822;First+2BName+3Dx@C.Test'


@pytest.fixture(scope='module', autouse=True)
def own_network():
    netns.enter()


def peer(h, extra='', **kw):
    """far.test; mail for back@far.test is taken and fails then, and demo.test is ours."""
    return Postfix('far.test', users=('a', 'b'), extra='virtual_alias_maps = inline:{ { back@far.test = back@gone.test } }\n'
                   'transport_maps = inline:{ { gone.test = error:5.7.1 taken and not wanted },'
                   f' {{ demo.test = smtp:[127.0.0.1]:{h.port} }} }}\n{extra}', **kw)


def parts(raw):
    """Of a notice of Postfix's: per-message fields, those of its one recipient, the returned part."""
    m = email.message_from_bytes(raw)
    assert m['From'].endswith('<MAILER-DAEMON@mx.far.test>') and m.get_param('report-type') == 'delivery-status', m
    _, status, back = m.get_payload()
    first, rcpt = status.get_payload()
    return first, rcpt, back


# ---- Postfix is the next server ----

@pytest.mark.parametrize('rcpt,notify,action', [('a', 'SUCCESS,DELAY', 'delivered'), ('back', 'FAILURE', 'failed'), ('back', '', 'failed')])
@pytest.mark.parametrize('ret', ['FULL', 'HDRS'])
def test_postfix_does_what_the_sender_asked_us_for(rcpt, notify, action, ret):
    with dsn_host() as h, peer(h) as p:
        submit(h, {f'{rcpt}@far.test': f'NOTIFY={notify} {WISH}' if notify else WISH}, mail=f'RET={ret} ENVID=e+2B1+20x+3D')
        raw, = h.wait_mail('user')
        first, r, back = parts(raw)
        assert first['Original-Envelope-Id'] == 'e+1 x=', p.log()
        assert (r['Action'], r['Original-Recipient']) == (action, 'rfc822;First+Name=x@C.Test')
        assert r['Final-Recipient'] == {'a': 'rfc822; a@far.test', 'back': 'rfc822; back@gone.test'}[rcpt]
        assert back.get_content_type() == ('message/rfc822' if action == 'failed' and ret == 'FULL' else 'text/rfc822-headers')
        assert not h.log_lines('cleanup.notice.composed'), 'the notice is the next server\'s'


def test_postfix_says_nothing_of_who_wants_nothing():
    with dsn_host() as h, peer(h) as p:
        submit(h, {'back@far.test': 'NOTIFY=NEVER', 'a@far.test': 'NOTIFY=FAILURE', 'b@far.test': ''})
        submit(h, {'back@far.test': 'NOTIFY=DELAY'})
        p.mails('a'), p.mails('b')
        for n in (1, 2):
            h.wait_log('delivery.result', to='back@far.test', count=n)
        submit(h, {'a@far.test': 'NOTIFY=SUCCESS'}, mail='ENVID=last')
        raw, = h.wait_mail('user')
        assert parts(raw)[0]['Original-Envelope-Id'] == 'last'


def test_what_postfix_refuses_is_told_here_in_its_words():
    with dsn_host() as h, peer(h):
        submit(h, {'nobody@far.test': WISH, 'a@far.test': 'NOTIFY=NEVER'}, mail='ENVID=e')
        _, first, (r,), _ = notices(h)[0]
        assert (first['Original-Envelope-Id'], r['Action'], r['Status'], r['Remote-MTA']) == ('e', 'failed', '5.1.1', 'dns; far.test')
        assert ' '.join(r['Diagnostic-Code'].split()) == 'smtp; 550 5.1.1 <nobody@far.test>: Recipient address rejected: User unknown in virtual mailbox table'
        assert r['Original-Recipient'] == 'rfc822;First+Name=x@C.Test'


def test_a_postfix_without_dsn_is_the_end_of_receipts():
    """RFC 3461 5.2.2: told nothing, and a "relayed" is made here; a failure behind it comes from there."""
    with dsn_host() as h, peer(h, extra='smtpd_discard_ehlo_keywords = dsn, silent-discard') as p:
        submit(h, {'a@far.test': f'NOTIFY=SUCCESS {WISH}', 'b@far.test': 'NOTIFY=NEVER'}, mail='RET=FULL ENVID=e')
        p.mails('a'), p.mails('b')
        _, first, (r,), _ = notices(h)[0]
        assert (first['Original-Envelope-Id'], r['Action'], r['Remote-MTA'], r['Original-Recipient']) == ('e', 'relayed', 'dns; far.test', 'rfc822;First+Name=x@C.Test')
        assert r['Diagnostic-Code'].startswith('smtp; 250 2.0.0 Ok: queued as ')
        submit(h, {'back@far.test': 'NOTIFY=FAILURE'}, mail='ENVID=e')
        theirs = [m for m in h.wait_mail('user', 2) if b'Subject: Undelivered' in m]
        assert len(theirs) == 1 and parts(theirs[0])[0]['Original-Envelope-Id'] is None


# ---- Postfix is the sender ----

def received(p, count=1):
    return [check(m) for m in p.mails('a', count)]


ALIASED = 'sales@demo.test gone@nowhere.test\n'


def test_postfix_asks_us_for_a_receipt():
    """Its -N, -V: what it passes on comes back in ours."""
    with dsn_host() as h, peer(h) as p:
        p.send('-f', 'a@far.test', '-N', 'success,failure', '-V', 'Id+1=x', '-R', 'full', 'Postmaster@demo.test')
        _, first, (r,), back = received(p)[0]
        assert first['Original-Envelope-Id'] == 'Id+1=x' and first['Reporting-MTA'] == 'dns; mail.demo.test'
        assert (r['Action'], r['Final-Recipient'], r['Original-Recipient']) == ('delivered', 'rfc822; Postmaster@demo.test', 'rfc822;Postmaster@demo.test')
        assert back.get_content_type() == 'text/rfc822-headers' and 'from Postfix' in str(back)


@pytest.mark.parametrize('ret', ['full', 'hdrs'])
def test_postfix_hears_of_failures(ret):
    """What we took and could not deliver; nothing of who wanted nothing, nor where an alias leads."""
    with alias_host(virtual=ALIASED) as h, peer(h) as p:
        p.send('-f', 'a@far.test', '-N', 'never', '-V', 'silent', 'sales@demo.test')
        p.send('-f', 'a@far.test', '-N', 'success', '-V', 'silent, too', 'sales@demo.test')
        for n in (1, 2):
            h.wait_log('delivery.result', status='failed', count=n)
        p.send('-f', 'a@far.test', '-N', 'failure,delay', '-V', 'loud', '-R', ret, 'sales@demo.test')
        m, first, (r,), back = received(p)[0]
        assert first['Original-Envelope-Id'] == 'loud' and r['Action'] == 'failed'
        assert (r['Final-Recipient'], r['Original-Recipient']) == ('rfc822; sales@demo.test', 'rfc822;sales@demo.test')
        assert back.get_content_type() == ('message/rfc822' if ret == 'full' else 'text/rfc822-headers')
        assert 'nowhere' not in str(m.get_payload(0)) + str(m.get_payload(1)), m


def test_postfix_tells_of_what_we_refuse():
    """Its notice has our words, and our name."""
    with dsn_host() as h, peer(h) as p:
        p.send('-f', 'a@far.test', '-V', 'refused', 'nobody@demo.test')
        first, r, _ = parts(p.mails('a')[0])
        assert (first['Original-Envelope-Id'], r['Action'], r['Status']) == ('refused', 'failed', '5.1.1')
        assert ' '.join(r['Diagnostic-Code'].split()) == 'smtp; 550 5.1.1 No such mailbox here'
