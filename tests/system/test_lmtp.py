"""test_lmtp.py - mailboxes that an LMTP server has: a server that does what it likes, and Debian's Dovecot"""
import contextlib, signal, smtplib, socket, subprocess, tempfile

import pytest

import fakedns
from dovecot import Dovecot
from host import BUILD, Host, Raw, free_port, wait_for
from lmtp import Lmtp

PEOPLE = ('ann', 'bea', 'cid', 'dot', 'full', 'ghost')


@contextlib.contextmanager
def lmtp_host(via, fields='', queue='retry = [ 1s ]', people=PEOPLE, conf='', **kw):
    """demo.test's `user` has a Maildir, people have their mailboxes in the server."""
    h = Host(conf=f'map people {{ type = text source = "@DIR@/etc/people" }}\n'
             f'mailbox dove {{ lookup = people method = lmtp via = "{via}" {fields} }}\n{conf}', **kw)
    h.queue = queue
    h.dir.chmod(0o755)
    (h.dir / 'etc').mkdir()
    (h.dir / 'etc/people').write_text(''.join(f'{p}@demo.test yes\n' for p in people))
    with h:
        yield h


def socket_dir():
    return tempfile.TemporaryDirectory(prefix='mansio-lmtp-')


def all_to(*names):
    return [f'{n}@demo.test' for n in names]


def result(h, qid, to, status):
    return h.wait_log('delivery.result', id=qid, to=f'{to}@demo.test', status=status)


def statuses(h, qid, to):
    return [l.split(' status=')[1].split()[0] for l in h.log_lines('delivery.result', id=qid, to=f'{to}@demo.test')]


def rule_line(h, needle):
    lines = (h.dir / 'etc/mansio.conf').read_text().splitlines()
    return next(i for i, l in enumerate(lines, 1) if needle in l)


# ---- one transaction, an answer each ----

def test_recipients_share_a_transaction_and_have_their_own_results():
    with socket_dir() as d, \
            Lmtp(f'{d}/s', rcpt={'ghost@demo.test': '550 5.1.1 no ghost here'},
                 end={'full@demo.test': '552 5.2.2 full is full', 'dot@demo.test': ['452 4.2.2 not now', '250 2.0.0 now']}) as s, \
            lmtp_host(f'unix:{d}/s') as h:
        qid = h.send(all_to('ann', 'ghost', 'bea+cards', 'full', 'dot'))
        assert 'dsn=2.0.0' in result(h, qid, 'ann', 'delivered')
        assert 'dsn=2.0.0' in result(h, qid, 'bea+cards', 'delivered')
        assert 'no ghost here' in result(h, qid, 'ghost', 'failed')
        assert 'dsn=5.2.2' in result(h, qid, 'full', 'failed')
        assert 'dsn=4.2.2' in result(h, qid, 'dot', 'deferred')
        assert f'relay=unix:{d}/s' in result(h, qid, 'dot', 'delivered')
        # One transaction for all, and one for whoever was left; the detail stays in the address.
        assert s.sessions <= 2 and [m['rcpt'] for m in s.messages if 'stranger' in m['mail']] == [
            all_to('ann', 'bea+cards', 'full', 'dot'), all_to('dot')]
        assert s.taken() == all_to('ann', 'bea+cards', 'dot')
        # MAIL, all RCPT and DATA left together.
        assert any(r.count(b'RCPT TO') == 5 and b'MAIL FROM' in r and r.endswith(b'DATA\r\n') for r in s.reads)


def test_connection_is_kept_for_the_next_message():
    with socket_dir() as d, Lmtp(f'{d}/s') as s, lmtp_host(f'unix:{d}/s') as h:
        for n in range(3):
            result(h, h.send(all_to('ann')), 'ann', 'delivered')
        assert s.sessions == 1 and len(s.messages) == 3
        # Beside mailboxes of ours, in the same message.
        qid = h.send(all_to('user', 'ann', 'postmaster', 'bea'))
        for who in ('user', 'ann', 'postmaster', 'bea'):
            result(h, qid, who, 'delivered')
        assert s.messages[3]['rcpt'] == all_to('ann', 'bea') and h.wait_mail('user') and h.wait_mail('postmaster')


def test_lost_between_two_replies_only_the_rest_is_tried_again():
    with socket_dir() as d, Lmtp(f'{d}/s', die_after=2) as s, lmtp_host(f'unix:{d}/s') as h:
        qid = h.send(all_to('ann', 'bea', 'cid', 'dot'))
        for who in ('cid', 'dot'):
            assert 'may have been delivered' in result(h, qid, who, 'deferred')
            result(h, qid, who, 'delivered')
        assert s.taken() == all_to('ann', 'bea', 'cid', 'dot')
        for who in ('ann', 'bea'):
            assert statuses(h, qid, who) == ['delivered']


def test_server_that_takes_few_recipients_at_once():
    with socket_dir() as d, Lmtp(f'{d}/s', rcpt_max=2) as s, lmtp_host(f'unix:{d}/s') as h:
        qid = h.send(all_to('ann', 'bea', 'cid', 'dot', 'full'))
        for who in ('ann', 'bea', 'cid', 'dot', 'full'):
            result(h, qid, who, 'delivered')
            assert statuses(h, qid, who) == ['delivered']
        assert s.sessions == 1 and [len(m['rcpt']) for m in s.messages] == [2, 2, 1]


def test_no_line_but_its_own_ends_the_message():
    """INCIDENTS 7: whatever a client could get past the server, one message in is one message out."""
    body = (b'Subject: t\r\n\r\n.\r\n..\r\n.a\r\nMAIL FROM:<evil@far.test>\r\nRCPT TO:<cid@demo.test>\r\nDATA\r\nx\r\n.\r\n'
            b'QUIT\r\n')
    with socket_dir() as d, Lmtp(f'{d}/s') as s, lmtp_host(f'unix:{d}/s') as h:
        with h.smtp() as c:
            c.ehlo('far.test')
            c.mail('stranger@far.test')
            c.rcpt('ann@demo.test')
            assert c.data(body)[0] == 250       # stuffed by smtplib, so that all of it is text
        for bad in (b'a\n.\nb', b'a\n.\r\nb', b'a\r.\r\nb', b'a\r\n.\nb', b'a\r.\rb'):
            c = Raw(h.port)
            c.cmd('EHLO far.test')
            c.cmd('MAIL FROM:<stranger@far.test>')
            c.cmd('RCPT TO:<ann@demo.test>')
            assert c.cmd('DATA')[0] == 354
            c.send(b'Subject: t\r\n\r\n' + bad + b'\r\n.\r\n')
            assert c.reply()[0] >= 500
            c.close()
        s.wait('the message', lambda: s.messages)
        h.send(all_to('bea'))
        s.wait('the mark', lambda: [m for m in s.messages if m['rcpt'] == all_to('bea')])
        first = s.messages[0]
        stuffed = b'\r\n'.join(b'.' + l if l[:1] == b'.' else l for l in body.split(b'\r\n'))
        assert first['data'].endswith(stuffed) and first['rcpt'] == all_to('ann')
        assert not [m for m in s.messages if 'evil' in m['mail'] or 'cid@demo.test' in m['rcpt']]
        wire = b''.join(s.reads)
        assert b'\r' not in wire.replace(b'\r\n', b'') and b'\n' not in wire.replace(b'\r\n', b'')


# ---- by which way ----

def test_tcp_to_an_address_and_a_name():
    port = free_port()
    zone = {'imap.demo.test': {'A': ['127.0.0.1']}}
    with fakedns.Server(zone) as dns, Lmtp(('127.0.0.1', port)) as s:
        for via in (f'127.0.0.1:{port}', f'inet:127.0.0.1:{port}', f'imap.demo.test:{port}'):
            with lmtp_host(via, dns=[dns.address]) as h:
                line = result(h, h.send(all_to('ann')), 'ann', 'delivered')
                assert f'[127.0.0.1]:{port}' in line, line
        assert len(s.messages) == 3
        with lmtp_host(f'gone.demo.test:{port}', dns=[dns.address]) as h:
            qid = h.send(all_to('ann'))
            assert 'gone.demo.test' in result(h, qid, 'ann', 'deferred')


def test_unknown_users_are_refused_by_the_table():
    with socket_dir() as d, Lmtp(f'{d}/s') as s, lmtp_host(f'unix:{d}/s') as h:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
            h.send(all_to('nobody'))
        assert list(e.value.recipients.values())[0][0] == 550
        assert h.send(all_to('ann+x')) and s.sessions <= 1


@pytest.mark.root
def test_system_users_by_passwd():
    with socket_dir() as d, Lmtp(f'{d}/s') as s, \
            Host(conf=f'mailbox dove {{ method = lmtp via = "unix:{d}/s" uid_exceptions = [ games ] }}') as h:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            h.send(all_to('daemon'))    # below uid_min
        h.send(all_to('games+x'))
        s.wait('the message', lambda: s.messages)
        assert s.messages[0]['rcpt'] == all_to('games+x')


# ---- trouble ----

def mtactl(h, *args):
    return subprocess.run([str(BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *args], capture_output=True, text=True).stdout


def test_server_that_is_not_there_and_comes():
    with socket_dir() as d, lmtp_host(f'unix:{d}/s', queue='retry = [ 1h ]') as h:
        qid = h.send(all_to('ann'))
        assert 'No such file' in result(h, qid, 'ann', 'deferred')
        down = h.wait_log('delivery.lmtp.down', mailbox='dove')
        assert f'rule={h.dir}/etc/mansio.conf:{rule_line(h, "mailbox dove")}' in down
        assert 'mailbox dove' in wait_for('status names it', lambda: (lambda t: 'mailbox dove' in t and t)(mtactl(h, 'status')))
        assert f'mansio.conf:{rule_line(h, "mailbox dove")}' in next(l for l in mtactl(h, 'check').splitlines() if 'No such file' in l)
        # Its other mailboxes do not wait for it.
        h.send(all_to('user'))
        h.wait_mail()
        # A restart costs seconds, whatever the retry times are.
        with Lmtp(f'{d}/s') as s:
            result(h, qid, 'ann', 'delivered')
            assert s.taken() == all_to('ann')
            h.wait_log('delivery.lmtp.up', mailbox='dove')
            wait_for('status forgets it', lambda: 'mailbox dove' not in mtactl(h, 'status'))
        qid = h.send(all_to('bea'))     # the kept connection is gone, the socket too
        result(h, qid, 'bea', 'deferred')


def test_socket_that_nobody_serves_is_temporary():
    with socket_dir() as d:
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(f'{d}/s')
        dead.close()
        with lmtp_host(f'unix:{d}/s') as h:
            assert 'refused' in result(h, h.send(all_to('ann')), 'ann', 'deferred')


@pytest.mark.parametrize('kw, words', [
    (dict(greeting='421 4.3.2 come back'), 'come back'),
    (dict(greeting='554 5.3.0 not for you'), 'not for you'),
    (dict(greeting='hello'), 'protocol error'),
    (dict(lhlo='500 5.5.1 what is LHLO'), 'what is LHLO'),
])
def test_greetings_that_are_none_defer(kw, words):
    with socket_dir() as d, Lmtp(f'{d}/s', **kw), lmtp_host(f'unix:{d}/s') as h:
        line = result(h, h.send(all_to('ann')), 'ann', 'deferred')
        assert words in line and ' dsn=4.' in line, line


def test_going_away_in_the_middle_defers():
    with socket_dir() as d, Lmtp(f'{d}/s', rcpt={'bea@demo.test': ['421 4.3.2 shutting down']}) as s, lmtp_host(f'unix:{d}/s') as h:
        qid = h.send(all_to('ann', 'bea'))
        for who in ('ann', 'bea'):
            result(h, qid, who, 'deferred')
            result(h, qid, who, 'delivered')
        assert s.taken() == all_to('ann', 'bea')


def test_hung_server_holds_up_nobody_else():
    with socket_dir() as d, Lmtp(f'{d}/s', hang=True) as s, \
            lmtp_host(f'unix:{d}/s', 'timeout = 4s max_connections = 2') as h:
        ids = [h.send(all_to('ann')) for _ in range(30)]
        s.wait('a session', lambda: s.sessions)
        h.send(all_to('user'))
        h.wait_mail()
        for qid in ids:
            result(h, qid, 'ann', 'deferred')
        assert s.open_most <= 2
        s.hang = False
        for qid in ids:
            result(h, qid, 'ann', 'delivered')
        assert len(s.messages) == 30


def test_reload_takes_it_elsewhere():
    with socket_dir() as d, lmtp_host(f'unix:{d}/old') as h:
        qid = h.send(all_to('ann'))
        result(h, qid, 'ann', 'deferred')
        h.extra = h.extra.replace(f'{d}/old', f'{d}/new')
        h.write()
        with Lmtp(f'{d}/new') as s:
            h.proc.send_signal(signal.SIGHUP)
            result(h, qid, 'ann', 'delivered')
            assert s.taken() == all_to('ann')


# ---- Debian's Dovecot ----

def people_in_dovecot():
    return {'ann': '', 'bea': '', 'cid': '', 'dot': '', 'full': 'userdb_quota_rule=*:bytes=300'}


def wait_in(d, user, count=1):
    return wait_for(f'{count} messages of {user}', lambda: (lambda ms: ms if len(ms) >= count else None)(d.mail(user)), explain=d.log)


@pytest.mark.root
@pytest.mark.parametrize('how', ['unix', 'tcp'])
def test_dovecot_takes_several_one_is_full_one_unknown(how):
    with Dovecot(people_in_dovecot(), free_port(), quota_at_rcpt=how == 'tcp') as d, \
            lmtp_host(f'unix:{d.socket}' if how == 'unix' else f'127.0.0.1:{d.port}', queue='retry = [ 1h ]') as h:
        qid = h.send(all_to('ann', 'ghost', 'full', 'bea+cards'), 'Subject: quota\r\n\r\n' + 'word ' * 200 + '\r\n')
        result(h, qid, 'ann', 'delivered')
        result(h, qid, 'bea+cards', 'delivered')
        assert 'dsn=5.1.1' in result(h, qid, 'ghost', 'failed')
        line = wait_for('the quota speaks', lambda: h.log_lines('delivery.result', id=qid, to='full@demo.test'), explain=h.log_tail)[0]
        assert 'status=failed' in line and 'dsn=5.2.2' in line or 'status=deferred' in line and 'dsn=4.2.2' in line, line
        for user in ('ann', 'bea'):
            assert b'Return-Path: <stranger@far.test>' in wait_in(d, user)[0]
        assert not d.mail('full') and len(h.log_lines('relay.session.ended')) <= 1


@pytest.mark.root
def test_dovecot_stopped_killed_and_started():
    with Dovecot(people_in_dovecot(), free_port()) as d, lmtp_host(f'unix:{d.socket}', 'timeout = 4s') as h:
        ids = [h.send(all_to('ann'))]
        result(h, ids[0], 'ann', 'delivered')
        d.signal(signal.SIGSTOP)
        ids += [h.send(all_to('ann', 'cid')) for _ in range(3)]
        for qid in ids[1:]:
            result(h, qid, 'ann', 'deferred')
        h.send(all_to('user'))
        h.wait_mail()
        d.signal(signal.SIGCONT)
        for qid in ids[1:]:
            for who in ('ann', 'cid'):
                result(h, qid, who, 'delivered')
        d.kill()
        last = h.send(all_to('ann', 'cid'))
        result(h, last, 'ann', 'deferred')
        d.start()
        result(h, last, 'ann', 'delivered')
        result(h, last, 'cid', 'delivered')
        # A server that was stopped in the middle may have stored what it then gave no answer for; nothing is lost.
        for qid in [*ids, last]:
            assert any(qid.encode() in m for m in d.mail('ann'))


@pytest.mark.root
def test_dovecot_takes_a_large_message():
    with Dovecot(people_in_dovecot(), free_port()) as d, lmtp_host(f'unix:{d.socket}') as h:
        line = '.' + 'x' * 74 + '\r\n'
        body = 'Subject: large\r\n\r\n' + line * (20 * 1024 * 1024 // len(line))
        qid = h.send(all_to('ann', 'bea'), body)
        result(h, qid, 'ann', 'delivered')
        result(h, qid, 'bea', 'delivered')
        for who in ('ann', 'bea'):
            got = wait_in(d, who)[0]
            assert got.split(b'\n\n', 1)[1] == body.split('\r\n\r\n', 1)[1].replace('\r\n', '\n').encode()
