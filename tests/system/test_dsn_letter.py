"""RFC 3461 clause by clause, where test_dsn.py says nothing: lists, aliases, forwards, what is passed on to the letter, limits of lines."""
import tempfile

import pytest

import netns
from host import Host, wait_for
from lmtp import Lmtp
from sink import Sink
from test_dsn import Sinks, alias_host, dsn_host, notices, submit
from test_forward import MBOX, forward, receipt, spooled
from test_mailbox import mail_host
from test_queue import rows

pytestmark = pytest.mark.root

DSN = ('PIPELINING', 'SIZE 50000000', '8BITMIME', 'ENHANCEDSTATUSCODES', 'DSN')


@pytest.fixture(scope='module', autouse=True)
def own_network():
    netns.enter()


def asked(message):
    """What stands behind the addresses: of MAIL, but for its size, and of each RCPT."""
    mail = [w for w in message['mail'].split('> ')[-1].split() if not w.startswith(('SIZE=', 'BODY=', 'MAIL', 'FROM'))]
    return sorted(mail), {line[9:line.index('>')]: line.split('> ')[1] if '> ' in line else '' for line in message['lines']}


# ---- 4, 5.1, 5.4: what is taken ----

def test_the_longest_commands_are_taken():
    """5.4: each parameter at its length, in one command, beside the longest address."""
    with dsn_host() as h, h.smtp() as s:
        s.ehlo()
        long = 'a' * 64 + '@' + 'b' * 60 + '.' + 'c' * 60 + '.' + 'd' * 60 + '.test'
        assert s.docmd(f'MAIL FROM:<{long}> SIZE=1000 BODY=8BITMIME RET=FULL ENVID=' + 'e' * 100 + ' MT-PRIORITY=-4')[0] == 250
        orcpt = 'rfc822;' + 'x' * 493
        assert len(orcpt) == 500
        assert s.docmd(f'RCPT TO:<{long}> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT={orcpt}')[0] == 250


def test_valid_parameters_change_no_reply():
    """5.1 (a), (b): the reply is the one that the command gets without them."""
    with dsn_host() as h, h.smtp() as s:
        s.ehlo()
        for mail in ('', ' RET=FULL', ' ENVID=a', ' RET=HDRS ENVID=+20'):
            plain = s.docmd('MAIL FROM:<user@demo.test>')
            s.rset()
            assert s.docmd(f'MAIL FROM:<user@demo.test>{mail}') == plain and plain[0] == 250
            s.rset()
        s.docmd('MAIL FROM:<user@demo.test>')
        for rcpt in ('user@demo.test', 'nobody@demo.test'):
            plain = s.docmd(f'RCPT TO:<{rcpt}>')
            for with_them in ('NOTIFY=NEVER', 'NOTIFY=SUCCESS,,FAILURE', 'ORCPT=rfc822;', 'ORCPT=x400;/c+3Dde/ NOTIFY=DELAY'):
                assert s.docmd(f'RCPT TO:<{rcpt}> {with_them}') == plain


# ---- 5.2.1: passed on as it came ----

TO_THE_LETTER = {'a@far.test': 'NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;CaSe+2BExt+3D+20+20x@C.Test',
                 'b@far.test': 'NOTIFY=NEVER ORCPT=x_400!;/c+3Dde/+20',
                 'c@far.test': 'ORCPT=rfc822;',
                 'd@far.test': 'NOTIFY=DELAY',
                 'e@far.test': ''}


def test_passed_on_to_the_letter_over_a_restart_and_a_second_pass():
    """(a) to (d): each with the value it had and nothing that was not there; also after a crash, and for mail that is resolved again."""
    with Sink('127.0.0.61', 25, capabilities=DSN) as far, dsn_host(queue='retry = [ 1h ]') as h:
        submit(h, TO_THE_LETTER, mail='RET=FULL ENVID=+20Id+2B+3D')
        submit(h, TO_THE_LETTER)
        first, second = far.wait_messages(2)
        assert sorted([asked(first)[0], asked(second)[0]]) == [[], ['ENVID=+20Id+2B+3D', 'RET=FULL']]
        assert asked(first)[1] == asked(second)[1] == TO_THE_LETTER
        far.replies['MAIL'] = '451 4.3.2 later'
        number = submit(h, TO_THE_LETTER, mail='RET=HDRS ENVID=Kept')
        for rcpt in TO_THE_LETTER:
            h.wait_log('delivery.result', id=number, to=rcpt, status='deferred')
        h.kill('queued')
        h.wait_log('queue.recovery.done', count=2)
        h.wait_log('mtad.child.ready', child='queued[0]')
        del far.replies['MAIL']
        rows(h, 'queue', 'requeue', number)
        *_, third = far.wait_messages(3)
        assert asked(third) == (['ENVID=Kept', 'RET=HDRS'], TO_THE_LETTER)


# ---- 5.2.3: lists and mailboxes of other servers ----

def test_mail_of_a_list_is_new_mail():
    """5.2.7.1 and 4.2: the sender hears that the list has it; nothing that he asked for goes on, and no ORCPT that names the list."""
    with Sink('127.0.0.61', 25, capabilities=DSN) as far, \
            alias_host('team: a@far.test, b@far.test\nowner-team: postmaster\n') as h:
        submit(h, {'team@demo.test': 'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Team@demo.test'}, mail='RET=FULL ENVID=mine')
        message, = far.wait_messages(1)
        assert message['mail'].startswith('MAIL FROM:<owner-team@demo.test>')
        assert asked(message) == ([], {'a@far.test': '', 'b@far.test': ''})
        _, first, (r,), _ = notices(h)[0]
        assert (r['Action'], r['Final-Recipient'], r['Original-Recipient']) == ('delivered', 'rfc822; team@demo.test', 'rfc822;Team@demo.test')
        assert first['Original-Envelope-Id'] == 'mine'


def test_the_owner_of_a_list_hears_of_members():
    """What fails is told to the owner, of the member; there is no Original-Recipient, for nobody gave one (6.3 (d))."""
    with Sinks(), alias_host('team: gone@far.test\nowner-team: postmaster\n') as h:
        submit(h, {'team@demo.test': 'NOTIFY=NEVER ORCPT=rfc822;Team@demo.test'}, mail='ENVID=mine')
        _, first, (r,), _ = notices(h, who='postmaster')[0]
        assert (r['Action'], r['Final-Recipient'], r['Original-Recipient']) == ('failed', 'rfc822; gone@far.test', None)
        assert first['Original-Envelope-Id'] is None


@pytest.mark.parametrize('capabilities', [DSN[:-1], DSN])
def test_a_receipt_of_lmtp(capabilities):
    """Handing a message to an LMTP server is delivery: the receipt is made here, and the server is asked for none, so that there are never two."""
    with tempfile.TemporaryDirectory(prefix='mansio-lmtp-') as d, Lmtp(path := f'{d}/socket', capabilities=capabilities) as s:
        with dsn_host(conf=f'map people {{ type = inline entries = [ "far@demo.test yes" ] }}\nmailbox far {{ lookup = people method = lmtp via = "unix:{path}" }}\n') as h:
            submit(h, {'far@demo.test': 'NOTIFY=SUCCESS'}, mail='ENVID=x')
            _, first, (r,), _ = notices(h)[0]
            assert (first['Original-Envelope-Id'], r['Action'], r['Final-Recipient']) == ('x', 'delivered', 'rfc822; far@demo.test')
            wire = b''.join(s.reads)
            assert b'RCPT TO:' in wire and b'ENVID' not in wire and b'NOTIFY' not in wire


# ---- 5.2.7.2: one address for another ----

@pytest.mark.parametrize('options', ['NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Ask+2BMe@Demo.Test', 'NOTIFY=NEVER', 'ORCPT=rfc822;x@demo.test', ''])
def test_an_alias_of_one_passes_everything_on(options):
    with Sink('127.0.0.61', 25, capabilities=DSN) as far, alias_host(virtual='ask@demo.test a@far.test\n') as h:
        submit(h, {'ask@demo.test': options}, mail='RET=HDRS ENVID=e')
        assert asked(far.wait_messages(1)[0]) == (['ENVID=e', 'RET=HDRS'], {'a@far.test': options})
        submit(h, {'postmaster@demo.test': 'NOTIFY=SUCCESS'})
        assert [n[2][0]['Final-Recipient'] for n in notices(h)] == ['rfc822; postmaster@demo.test'], 'nothing is told of the alias here'


@pytest.mark.parametrize('options,members', [('NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;All@demo.test', 'NOTIFY=FAILURE ORCPT=rfc822;All@demo.test'),
                                             ('NOTIFY=SUCCESS', 'NOTIFY=NEVER'), ('NOTIFY=DELAY', 'NOTIFY=DELAY'), ('', '')])
def test_an_alias_of_several_keeps_the_receipt(options, members):
    """5.2.7.3 (c)"""
    with Sink('127.0.0.61', 25, capabilities=DSN) as far, alias_host(virtual='all@demo.test a@far.test, b@far.test\n') as h:
        submit(h, {'all@demo.test': options}, mail='RET=FULL ENVID=e')
        assert asked(far.wait_messages(1)[0]) == (['ENVID=e', 'RET=FULL'], {'a@far.test': members, 'b@far.test': members})
        submit(h, {'postmaster@demo.test': 'NOTIFY=SUCCESS'})
        found = sorted(n[2][0]['Action'] for n in notices(h, 2 if 'SUCCESS' in options else 1))
        assert found == (['delivered', 'expanded'] if 'SUCCESS' in options else ['delivered'])


@pytest.mark.parametrize('options', ['NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;First+2BName@demo.test', ''])
def test_a_forward_of_one_passes_everything_on(options):
    """... and invents nothing: no ORCPT tells where the mail was on its way."""
    with Sink(capabilities=DSN) as far, mail_host(MBOX, 'one', conf=f'route default {{ via = "127.0.0.1:{far.port}" }}\n') as h:
        forward(h.user['one'], 'there@far.test\n')
        submit(h, {f'{h.user["one"].pw_name}@demo.test': options}, mail='RET=HDRS ENVID=e')
        assert asked(far.wait_messages(1)[0]) == (['ENVID=e', 'RET=HDRS'], {'there@far.test': options})


def test_a_forward_that_fails_names_whom_the_sender_wrote_to():
    """6.3 (d), (e): Final-Recipient is his address, Original-Recipient is not there when he gave none."""
    with Sink(replies={'RCPT': {'gone@far.test': '550 5.1.1 <gone@far.test>: nobody'}}) as far, \
            mail_host(MBOX, 'one', 'sender', conf=f'route default {{ via = "127.0.0.1:{far.port}" }}\n') as h:
        one, sender = h.user['one'].pw_name, h.user['sender']
        forward(h.user['one'], 'gone@far.test\n')
        submit(h, {f'{one}@demo.test': ''}, sender=f'{sender.pw_name}@demo.test')
        spooled(h, sender)
        notice, (r,) = receipt(h, sender)
        assert (r['Action'], r['Final-Recipient'], r['Original-Recipient']) == ('failed', f'rfc822; {one}@demo.test', None)
        assert 'gone' not in str(notice.get_payload(1))


# ---- several addresses that end at one recipient: one delivery, and nobody's wish is lost ----

TWO = 'sales@demo.test gone@old.test\ninfo@demo.test gone@old.test\nask@demo.test a@old.test\ntell@demo.test a@old.test\nlist@demo.test a@old.test, b@old.test\n'


@pytest.mark.parametrize('sales,info,first', [('', '', None), ('NOTIFY=FAILURE', '', None), ('NOTIFY=NEVER', 'NOTIFY=FAILURE ORCPT=rfc822;Info@demo.test', 'info'),
                                              ('ORCPT=rfc822;Sales@demo.test', 'NOTIFY=NEVER', 'sales')])
def test_each_address_that_fails_is_named(sales, info, first):
    """5.2.6: of every recipient that the sender named, though they were one."""
    with Sinks(), alias_host(virtual=TWO) as h:
        submit(h, {'sales@demo.test': sales, 'info@demo.test': info})
        _, _, rcpts, _ = notices(h)[0]
        named = {r['Final-Recipient'][8:-10]: r['Original-Recipient'] for r in rcpts}
        assert set(named) == {'sales', 'info'} and {r['Action'] for r in rcpts} == {'failed'}
        assert {k: v for k, v in named.items() if v} == ({first: f'rfc822;{first.title()}@demo.test'} if first else {})
        assert len(h.log_lines('delivery.result', status='failed')) == 1


def test_nobody_is_told_when_nobody_wants_it():
    with Sinks(), alias_host(virtual=TWO) as h:
        submit(h, {'sales@demo.test': 'NOTIFY=NEVER', 'info@demo.test': 'NOTIFY=NEVER'})
        assert 'notice=none' in h.wait_log('delivery.result', status='failed')


@pytest.mark.parametrize('ask,tell', [('', 'NOTIFY=SUCCESS'), ('NOTIFY=SUCCESS', ''), ('NOTIFY=NEVER', 'NOTIFY=FAILURE,SUCCESS')])
def test_the_receipt_is_for_who_asked(ask, tell):
    """5.2.2 (b), (e)"""
    with Sinks() as sinks, alias_host(virtual=TWO) as h:
        submit(h, {'ask@demo.test': ask, 'tell@demo.test': tell})
        _, _, (r,), _ = notices(h)[0]
        assert (r['Action'], r['Final-Recipient']) == ('relayed', f'rfc822; {"tell" if "SUCCESS" in tell else "ask"}@demo.test')
        assert len(sinks.old.wait_messages(1)[0]['lines']) == 1


@pytest.mark.parametrize('order', [1, -1])
def test_a_member_of_an_alias_who_is_written_to_as_well(order):
    """The list is expanded, the member has it; in whichever order they are named."""
    with Sinks() as sinks, alias_host(virtual=TWO) as h:
        submit(h, dict([('list@demo.test', 'NOTIFY=SUCCESS'), ('ask@demo.test', 'NOTIFY=SUCCESS,FAILURE')][::order]))
        told = {(r['Action'], r['Final-Recipient']) for n in notices(h, 2) for r in n[2]}
        assert told == {('expanded', 'rfc822; list@demo.test'), ('relayed', 'rfc822; ask@demo.test')}
        assert sorted(sinks.old.wait_messages(1)[0]['rcpt']) == ['a@old.test', 'b@old.test']


# ---- 9.3, and RFC 3464 2: who is named can be written to ----

@pytest.mark.parametrize('hostname', ['mail.demo.test', 'demo.test'])
def test_whom_a_notice_is_from_has_a_mailbox(hostname):
    """Also for strangers, and when the host's name is no own domain; nobody else at that name."""
    with Host(hostname=hostname) as h:
        with h.smtp() as s:
            s.ehlo()
            s.docmd('MAIL FROM:<stranger@far.test>')
            for to in (f'MAILER-DAEMON@{hostname}', f'postmaster@{hostname.upper()}', f'PostMaster@{hostname}'):
                assert s.docmd(f'RCPT TO:<{to}>')[0] == 250, to
            for to in ('user@mail.demo.test', 'MAILER-DAEMON@far.test', f'mailer-daemon%far.test@{hostname}'):
                assert s.docmd(f'RCPT TO:<{to}>')[0] == 550, to
        h.send(f'MAILER-DAEMON@{hostname}', 'Subject: Re: Undelivered mail\r\n\r\nwhy?\r\n')
        assert b'why?' in h.wait_mail('postmaster')[0]


@pytest.mark.parametrize('aliases', ['', 'mailer-daemon: postmaster\n'])
def test_a_host_without_own_domains_relays_nothing_to_its_name(aliases):
    conf = 'map aliases { type = aliases  source = "@DIR@/etc/aliases" }\naddress { aliases = aliases }\n' if aliases else ''
    h = Host(conf, domains=(), users=())
    (h.dir / 'etc').mkdir(exist_ok=True)
    (h.dir / 'etc/aliases').write_text(aliases)
    with h:
        h.send('MAILER-DAEMON@mail.demo.test', 'Subject: Re: Undelivered mail\r\n\r\nwhy?\r\n')
        assert b'why?' in h.wait_mail('postmaster')[0]
        assert 'status=delivered' in h.wait_log('delivery.result', to='postmaster@mail.demo.test')


# ---- 5.2.8 ----

def test_only_who_asked_is_named():
    """5.2.8, with one host that refuses all of them."""
    with Sinks() as sinks, dsn_host() as h:
        refuse = sinks.old.replies['RCPT']
        wishes = {'n@old.test': 'NOTIFY=NEVER', 's@old.test': 'NOTIFY=SUCCESS', 'd@old.test': 'NOTIFY=DELAY,SUCCESS', 'f@old.test': 'NOTIFY=FAILURE', 'none@old.test': ''}
        refuse.update({a: '550 5.1.1 no' for a in wishes})
        submit(h, wishes)
        found = notices(h)[0]
        assert sorted(r['Final-Recipient'] for r in found[2]) == ['rfc822; f@old.test', 'rfc822; none@old.test']
        for a in ('n@old.test', 's@old.test', 'd@old.test'):
            assert a not in str(found[0].get_payload(0)) + str(found[0].get_payload(1))
        wait_for('the others', lambda: all('notice=none' in h.wait_log('delivery.result', to=a) for a in ('n@old.test', 's@old.test', 'd@old.test')))
