"""The first mail: from a real client through every daemon into a Maildir."""
import contextlib, email, os, shutil, signal, smtplib, subprocess

import pytest

from host import Host, Raw, alive, halt, wait_for

BODY = ('From: Someone <a@far.test>\r\nTo: user@demo.test\r\nSubject: bytes\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n'
        'Message-ID: <1@far.test>\r\nX-Folded: one\r\n\ttwo\r\n\r\nline\r\n.dot\r\n..two dots\r\n\r\n trailing blank \r\n\r\n')


@pytest.fixture(scope='module')
def host():
    with Host(users=('user', 'postmaster', 'second')) as h:
        yield h


def body_of(stored):
    return stored.split(b'\n\n', 1)[1]


def header_of(stored):
    return email.message_from_bytes(stored)


def test_message_arrives_byte_exact_but_for_trace_headers(host):
    before = len(host.mailbox())
    qid = host.send('user@demo.test', BODY, sender='a@far.test')
    stored = host.wait_mail(count=before + 1)
    mine = [m for m in stored if qid.encode() in m][0]
    sent = BODY.replace('\r\n', '\n').encode()
    assert mine.endswith(sent), mine
    trace = mine[:-len(sent)].decode()
    assert 'Return-Path: <a@far.test>\n' in trace
    assert 'Delivered-To: user@demo.test\n' in trace
    assert trace.count('Received:') == 1
    assert '[127.0.0.1]' in trace and 'by mail.demo.test' in trace and f'id {qid}' in trace
    names = {l.split(':')[0] for l in trace.splitlines() if l[:1] not in ' \t'}
    assert names == {'Return-Path', 'Delivered-To', 'Received'}, names


def test_id_of_the_final_reply_is_in_the_log_of_every_daemon(host):
    qid = host.send('user@demo.test')
    host.wait_log('delivery.result', id=qid)
    for daemon in ('smtpd', 'queued'):
        assert [l for l in host.log().splitlines() if qid in l and f'{daemon}[' in l], (daemon, host.log_tail())
    line = host.wait_log('delivery.result', id=qid)
    for key in ('to=user@demo.test', 'relay=', 'dsn=2.', 'status=delivered', 'delay=', 'delays='):
        assert key in line, line


@pytest.mark.skipif(not shutil.which('swaks'), reason='swaks is missing')
def test_swaks_delivers(host):
    before = len(host.mailbox('second'))
    subprocess.run(['swaks', '--server', f'127.0.0.1:{host.port}', '--to', 'second@demo.test', '--from', 'x@far.test', '--silent', '3'],
                   check=True, capture_output=True, timeout=60)
    host.wait_mail('second', before + 1)


def test_own_domain_in_any_case(host):
    before = len(host.mailbox())
    host.send('User@DEMO.Test')
    host.wait_mail(count=before + 1)


@pytest.mark.parametrize('rcpt', ['postmaster', 'Postmaster', 'POSTMASTER@demo.test', 'postmaster@Demo.Test'])
def test_postmaster_is_always_delivered(host, rcpt):
    before = len(host.mailbox('postmaster'))
    host.send(rcpt)
    host.wait_mail('postmaster', before + 1)


def test_postmaster_without_any_table_entry():
    with Host(users=('user',), domains=('demo.test', 'second.test')) as h:
        h.send('postmaster@second.test')
        h.send('postmaster')
        h.wait_mail('postmaster', 2)


def test_postmaster_is_delivered_whatever_the_tables_say():
    conf = ('map aliases { type = aliases source = "@DIR@/etc/aliases" }\n'
            'map virtual { type = text source = "@DIR@/etc/virtual" }\n'
            'address { aliases = aliases virtual = virtual }\n')
    domains = ('demo.test', 'ring.test', 'command.test', 'closed.test')
    with contextlib.ExitStack() as stack:
        h = Host(conf=conf, users=('user',), domains=domains)
        h.write()
        (h.dir / 'etc/aliases').write_text('postmaster: root\nprog: "|/bin/prog x"\n')
        (h.dir / 'etc/virtual').write_text('postmaster@ring.test a@ring.test\na@ring.test b@ring.test\n'
                                           'b@ring.test a@ring.test\npostmaster@command.test prog@demo.test\n'
                                           '@closed.test error:550 5.7.1 closed\n')
        for name in ('aliases', 'virtual'):
            (h.dir / 'etc' / name).chmod(0o644)
        stack.enter_context(h)
        h.send('PostMaster')
        for domain in domains:
            h.send(f'postmaster@{domain}')
        h.wait_mail('postmaster', 5)
        h.wait_log('cleanup.postmaster.kept', rcpt='PostMaster@demo.test')
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            h.send('x@closed.test')


def test_unknown_recipient_is_refused_at_rcpt(host):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
        host.send('nobody@demo.test')
    code, text = e.value.recipients['nobody@demo.test']
    assert code == 550 and text.startswith(b'5.1.1')
    line = host.wait_log('smtp.rcpt.refused', rcpt='nobody@demo.test')
    for key in ('sid=', 'listener=smtp', 'client=127.0.0.1', 'helo=client.far.test', 'sender=stranger@far.test', 'reply="550 5.1.1', 'rule='):
        assert key in line, line


def test_extension_reaches_the_mailbox(host):
    before = len(host.mailbox())
    host.send('user+lists@demo.test')
    stored = host.wait_mail(count=before + 1)
    assert [m for m in stored if b'Delivered-To: user+lists@demo.test\n' in m]


def test_several_recipients_one_message(host):
    a, b = len(host.mailbox()), len(host.mailbox('second'))
    host.send(['user@demo.test', 'second@demo.test'])
    host.wait_mail('user', a + 1)
    host.wait_mail('second', b + 1)


def test_same_recipient_twice_gets_one_copy(host):
    a = len(host.mailbox('second'))
    qid = host.send(['second@demo.test', 'second@demo.test'])
    host.wait_log('queue.message.finished', id=qid)
    assert len(host.mailbox('second')) == a + 1


@pytest.mark.parametrize('size', [1, 1000, 57000, 66000, 200_000, 300_000, 5_000_000])
def test_bodies_of_every_size_class(host, size):
    line = 'x' * 71 + '\r\n'
    body = (line * (size // len(line) + 1))[:max(size - 2, 0)] + '\r\n'
    before = len(host.mailbox())
    qid = host.send('user@demo.test', 'Subject: size\r\n\r\n' + body)
    stored = [m for m in host.wait_mail(count=before + 1) if qid.encode() in m][0]
    assert body_of(stored) == body.replace('\r\n', '\n').encode()


def test_message_over_the_limit_is_refused_at_mail_and_at_the_end():
    with Host(listen='', conf='') as h:
        pass
    h = Host()
    h.listen = f'listen smtp {{ address = [ "127.0.0.1:{h.port}" ] max_message_size = 100000 }}'
    with h:
        s = Raw(h.port)
        assert 'SIZE 100000' in s.cmd('EHLO c.test')[1]
        code, text = s.cmd('MAIL FROM:<a@far.test> SIZE=100001')
        assert code == 552 and '5.3.4' in text
        assert s.cmd('MAIL FROM:<a@far.test>')[0] == 250
        assert s.cmd('RCPT TO:<user@demo.test>')[0] == 250
        assert s.cmd('DATA')[0] == 354
        s.send(('y' * 78 + '\r\n') * 2000 + '.\r\n')
        code, text = s.reply()
        assert code == 552 and '5.3.4' in text
        assert s.cmd('MAIL FROM:<a@far.test>')[0] == 250, 'the session goes on'
        s.close()
        assert not h.mailbox()


def test_aliases_and_virtual():
    conf = '''
map al { type = aliases source = "@DIR@/etc/aliases" }
map vi { type = text source = "@DIR@/etc/virtual" }
address { aliases = al virtual = vi }
'''
    h = Host(conf=conf, users=('user', 'second', 'postmaster'))
    h.write()
    (h.dir / 'etc/aliases').write_text('# comment\nroot: user\nboth: user,\n\tsecond\nloop: loop2\nloop2: loop, second\nlist: user, second, both\n')
    (h.dir / 'etc/virtual').write_text('info@demo.test user@demo.test second@demo.test\ngone@demo.test error:550 5.1.6 moved away\n')
    for f in ('aliases', 'virtual'):
        (h.dir / 'etc' / f).chmod(0o644)
    with h.start():
        h.send('root@demo.test')
        h.wait_mail('user', 1)
        h.send('both@demo.test')
        h.wait_mail('user', 2)
        h.wait_mail('second', 1)
        qid = h.send('list@demo.test')
        h.wait_log('queue.message.finished', id=qid)
        assert (len(h.mailbox('user')), len(h.mailbox('second'))) == (3, 2), 'one copy each'
        h.send('info@demo.test')
        h.wait_mail('user', 4)
        h.wait_mail('second', 3)
        h.send('loop@demo.test')
        h.wait_mail('second', 4)
        with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
            h.send('gone@demo.test')
        assert e.value.recipients['gone@demo.test'] == (550, b'5.1.6 moved away')


def test_own_clients_get_missing_headers_and_lose_bcc():
    with Host(relay_from=['127.0.0.0/8']) as h:
        h.send('user@demo.test', 'Subject: x\r\nBcc: hidden@demo.test\r\n\r\nb\r\n', sender='user@demo.test')
        m = header_of(h.wait_mail()[0])
        assert m['Date'] and m['Message-ID'].endswith('mail.demo.test>') and m['Bcc'] is None
    with Host() as h:
        h.send('user@demo.test', 'Subject: x\r\nBcc: shown@demo.test\r\n\r\nb\r\n')
        m = header_of(h.wait_mail()[0])
        assert m['Date'] is None and m['Message-ID'] is None and m['Bcc'], 'strangers: untouched'


def test_hop_count_ends_a_loop(host):
    hops = 'Received: from x by y; Fri, 20 Nov 2026 10:00:00 +0000\r\n' * 120
    with pytest.raises(smtplib.SMTPDataError) as e:
        host.send('user@demo.test', hops + 'Subject: x\r\n\r\nb\r\n')
    assert e.value.smtp_code == 554 and e.value.smtp_error.startswith(b'5.4.6')


def test_message_that_was_already_here_is_a_loop(host):
    with_own = 'Delivered-To: user@demo.test\r\nSubject: x\r\n\r\nb\r\n'
    qid = host.send('user@demo.test', with_own)
    line = host.wait_log('delivery.result', id=qid)
    assert 'status=failed' in line and 'dsn=5.4.6' in line


def test_maildir_that_cannot_be_written_defers(host):
    target = host.dir / 'mail/second'
    wait_for('mailbox', lambda: target.exists() or host.send('second@demo.test'))
    new = host.dir / 'mail/second/tmp'
    wait_for('maildir', new.exists)
    new.rename(host.dir / 'mail/second/tmp.off')
    new.write_text('in the way')
    qid = host.send('second@demo.test')
    line = host.wait_log('delivery.result', id=qid)
    assert 'status=deferred' in line and 'dsn=4.' in line


@pytest.mark.long
def test_agent_that_hangs_is_ended_before_the_message_is_tried_again():
    with Host(users=('user', 'second')) as h:
        h.queue = 'retry = [ 2s ]'
        h.restart()
        h.send('user@demo.test')
        h.wait_mail('user', 1)
        agents = h.pids()['mansio-agent']
        for pid in agents:
            halt(pid)
        h.send('user@demo.test')
        h.wait_log('mtad.agent.killed', deadline=200)
        h.wait_mail('user', 2)
        wait_for('the stopped agent is gone', lambda: not [p for p in agents if alive(p)])
        assert len(h.mailbox()) == 2
