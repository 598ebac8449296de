"""Local submission: sendmail and postdrop while the host is up, down, crashing, full, and under hostile callers."""
import base64, os, re, shutil, signal, subprocess, time

import pytest

from host import BUILD, DEADLINE, HAS_MOUNTS, Host, alive, wait_for
from sink import Sink
from test_out_tls import CANARY, Relay, authority, login   # noqa: F401 (authority is a fixture)
from tlssink import TlsSink

SENDMAIL, POSTDROP = str(BUILD / 'bin/sendmail'), str(BUILD / 'bin/postdrop')
MESSAGE = b'Subject: t\n\nhello\n'
OK, USAGE, DATAERR, CANTCREAT, IOERR, TEMPFAIL = 0, 64, 65, 73, 74, 75
ALIASES = 'map aliases { type = aliases  source = "@DIR@/etc/aliases" }\naddress { aliases = aliases virtual = virtual }\n' \
          'map virtual { type = text  source = "@DIR@/etc/virtual" }'


def sendmail(h, *args, message=MESSAGE, status=OK, argv0=None, **kw):
    """Runs sendmail for this host; returns what it said. Fails the test unless it exits with status."""
    r = subprocess.run([argv0 or SENDMAIL, '-C', str(h.dir / 'etc/mansio.conf'), *args], input=message, capture_output=True, timeout=60, **kw)
    assert r.returncode == status, (args, r.returncode, r.stdout, r.stderr)
    return (r.stdout + r.stderr).decode(errors='replace')


def head(rcpts=('user',), sender='root', extra=''):
    return f'mansio-drop: 1\nsender: {sender}\n{extra}{"".join(f"rcpt: {r}{chr(10)}" for r in rcpts)}\n'.encode()


def postdrop(h, *chunks, end=True, **kw):
    """postdrop with these chunks as its input."""
    data = b''.join(len(c).to_bytes(4, 'big') + c for c in chunks) + (b'\0\0\0\0' if end else b'')
    return subprocess.run([POSTDROP, '-C', str(h.dir / 'etc/mansio.conf')], input=data, capture_output=True, timeout=60, **kw)


def drop_files(h, bad=False):
    d = h.dir / 'spool/drop' / ('bad' if bad else '.')
    return sorted(p.name for p in d.iterdir() if p.name != 'bad')


def drop_empty(h):
    wait_for('drop/ is empty', lambda: not drop_files(h), explain=lambda: f'{drop_files(h)}\n{h.log_tail()}')


def plant(h, name, data):
    """A complete file in drop/, as postdrop makes it."""
    d = h.dir / 'spool/drop'
    (d / f'.{name}').write_bytes(data)
    (d / f'.{name}').chmod(0o444)
    (d / f'.{name}').rename(d / name)


def with_tables(**kw):
    h = Host(conf=ALIASES, **kw)
    (h.dir / 'etc').mkdir(exist_ok=True)
    (h.dir / 'etc/aliases').write_text('root: user\n')
    (h.dir / 'etc/virtual').write_text('root@demo.test error:550 no mail for root from outside\n')
    return h


def body(message):
    return message.split(b'\n\n', 1)[1]


def test_arguments_and_header():
    with Host() as h:
        sendmail(h, 'user', message=b'To: user, root (Cron Daemon)\nBcc: secret@demo.test\nSubject: one\n\n8bit: \xc3\xa4\n')
        one = h.wait_mail()[0]
        assert b'To: user@demo.test, root@demo.test (Cron Daemon)\n' in one and b'secret' not in one
        assert b'\nFrom: ' in one and b'\nDate: ' in one and b'\nMessage-ID: <' in one
        assert f'(from uid {os.getuid()})'.encode() in one and one.endswith(b'\n8bit: \xc3\xa4\n')
        # -t, full names, groups, a resent message; several addresses in one argument
        sendmail(h, '-t', message=b'To: "User, The" <user>\nCc: list: user@demo.test;\nSubject: two\n\n')
        sendmail(h, '-t', '-i', message=b'To: nobody@far.test\nResent-To: user\nResent-From: root\nSubject: three\n\n')
        sendmail(h, 'user, Joe <user@demo.test>', message=b'Subject: four\n\n')
        mails = h.wait_mail(count=4)
        three = [m for m in mails if b'Subject: three' in m][0]
        assert b'Resent-Date: ' in three and b'Resent-Message-ID: ' in three and b'Resent-From: root@demo.test' in three
        assert len(h.log_lines('cleanup.drop.taken')) == 4
        drop_empty(h)
        assert len(h.mailbox()) == 4


def test_options():
    with Host() as h:
        sendmail(h, '-f', '', 'user')
        assert b'Return-Path: <>\n' in h.wait_mail()[0]
        sendmail(h, '-f<>', '-oi', 'user', message=b'Subject: dots\n\n.\n..\nend\n')
        assert body(h.wait_mail(count=2)[-1]) == b'.\n..\nend\n' or body(h.mailbox()[0]) == b'.\n..\nend\n'
        said = sendmail(h, '-rstranger@far.test', '-F', 'Full "Name"', '-B8BITMIME', '-oem', '-O', 'X=y', '-N', 'never', '-V', 'id7', '-R', 'hdrs', 'user',
                 message=b'Subject: f\n\nbefore\n.\nafter\n')
        assert '-O is ignored' in said
        f = [m for m in h.wait_mail(count=3) if b'Subject: f' in m][0]
        assert b'Return-Path: <stranger@far.test>\n' in f and b'From: "Full \\"Name\\"" <stranger@far.test>\n' in f and body(f) == b'before\n'
        # what cron does
        sendmail(h, '-FCronDaemon', '-i', '-B8BITMIME', '-oem', 'user', message=b'From: root (Cron Daemon)\nTo: user\nSubject: Cron\n\nx\n')
        assert any(b'From: root@demo.test (Cron Daemon)\n' in m for m in h.wait_mail(count=4))
        assert 'no recipients' in sendmail(h, status=USAGE)
        assert 'no recipients' in sendmail(h, '-t', message=b'Subject: nobody\n\n', status=USAGE)
        assert 'no address' in sendmail(h, 'a b@demo.test', status=DATAERR)
        assert 'no option' in sendmail(h, '-z', 'user', status=USAGE)
        assert 'systemctl' in sendmail(h, '-bd', status=USAGE) and 'systemctl' in sendmail(h, '-q1h', status=USAGE)
        assert 'no mode' in sendmail(h, '-bt', status=USAGE)
        assert all(w in sendmail(h, '-d0.1') for w in ('Mansio ', 'STARTTLS', 'OpenSSL 3', 'c-ares', f'{h.dir}/spool/drop'))
        drop_empty(h)
        assert len(h.mailbox()) == 4


def test_verbose_shows_the_dialogue_of_the_delivery():
    refused = {'RCPT': {'no@far.test': '550 5.1.1 no\x1b[31m such', 'later@far.test': '450 4.2.1 not \x9b31m now'}}
    with Sink(replies=refused, capabilities=('8BITMIME',)) as s, Host(conf=f'route far.test {{ via = "127.0.0.1:{s.port}" }}') as h:
        said = sendmail(h, '-v', 'user', 'a@far.test', 'no@far.test', 'later@far.test', message=b'Subject: secret words\n\nsecret\n')
        lines = said.splitlines()
        assert 'secret' not in said and '\x1b' not in said and '\x9b' not in said
        dialogue = [l for l in lines if l[:4] in ('>>> ', '<<< ')]
        assert dialogue[:5] == ['<<< 220 sink.test ESMTP', '>>> EHLO mail.demo.test', '<<< 250-sink.test', '<<< 250 8BITMIME', '>>> MAIL FROM:<root@demo.test>'] or \
            [l.split(' BODY')[0] for l in dialogue[:5]][-1].startswith('>>> MAIL FROM:<root@demo.test>')
        for sent, reply in (('>>> RCPT TO:<a@far.test>', '<<< 250 2.1.5 ok'), ('>>> RCPT TO:<no@far.test>', '<<< 550 5.1.1 no?[31m such'),
                            ('>>> RCPT TO:<later@far.test>', '<<< 450 4.2.1 not ?31m now'), ('>>> DATA', '<<< 354 go'), ('>>> .', '<<< 250 2.0.0 taken')):
            assert dialogue[dialogue.index(sent) + 1] == reply
        assert any(l.startswith('user@demo.test... Sent via ') for l in lines)
        assert any(l.startswith('a@far.test... Sent via ') and l.endswith(': 250 2.0.0 taken') for l in lines)
        assert any(l.startswith('no@far.test... Failed via ') for l in lines) and any(l.startswith('later@far.test... Deferred via ') for l in lines)
        assert lines[-1] == 'the message is in the queue and is tried again by itself'
        # an open connection, two that watch at once: each sees his own
        both = [subprocess.Popen([SENDMAIL, '-C', str(h.dir / 'etc/mansio.conf'), '-v', f'{name}@far.test'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                for name in ('left', 'right')]
        for p in both:
            p.stdin.write(MESSAGE)
            p.stdin.close()
        left, right = [p.stdout.read().decode() for p in both]
        assert [p.wait(DEADLINE) for p in both] == [0, 0]
        assert 'RCPT TO:<left@far.test>' in left and 'right' not in left and 'RCPT TO:<right@far.test>' in right and 'left' not in right
        assert not [n for n in os.listdir(h.dir / 'spool/drop') if n != 'bad']
        assert all('verbose' not in m['data'].decode(errors='replace') for m in s.messages)


@pytest.mark.parametrize('mechanism', ['PLAIN', 'LOGIN', 'SCRAM-SHA-256'])
def test_verbose_shows_no_password(authority, mechanism):
    with TlsSink(authority.server('mx1.far.test'), '127.0.0.11', auth=[mechanism], users={'me@isp.test': CANARY}, need_auth=True) as s:
        route, section = login(s.port, more=f'ca = "{authority.ca}"')
        with Relay(route, section, secret=CANARY) as h:
            said = sendmail(h, '-v', 'a@far.test')
            assert '>>> STARTTLS\n' in said and f'>>> AUTH {mechanism}' in said and 'a@far.test... Sent via ' in said
            after = said.split('>>> AUTH')[1].split('<<< 235')[0]
            for secret in (CANARY, 'me@isp.test', base64.b64encode(CANARY.encode()).decode(), base64.b64encode(f'\0me@isp.test\0{CANARY}'.encode()).decode()):
                assert secret not in said
            assert set(re.findall(r'(?m)^(?:>>>|<<<) (?:334 )?(.+)$', after)) <= {'********'}, after


def test_verbose_ends_when_nothing_is_tried():
    """Held, paused, refused, not taken now: said, and no waiting for what does not come."""
    with Host(users=('user', 'postmaster', 'sender'), mtad=['--fault', 'cleanup.drop.parse:EIO']) as h:
        def mtactl(*words):
            subprocess.run([str(BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *words], check=True, capture_output=True)

        assert sendmail(h, '-v', 'user', message=b'Subject: later\n\n').splitlines()[-1].startswith('not now, it is tried again: ')
        mtactl('freeze', 'root@demo.test')
        assert sendmail(h, '-v', 'user').splitlines()[-1] == 'the message is held in the queue by the operator'
        mtactl('thaw', 'root@demo.test')
        h.wait_mail()
        mtactl('pause', 'out')
        assert sendmail(h, '-v', 'user').splitlines()[-1] == 'the message is in the queue; the operator has paused deliveries'
        mtactl('resume', 'out')
        h.wait_mail(count=2)
        # refused as a whole: what is delivered, and shown, is the notice
        said = sendmail(h, '-v', '-f', 'sender', 'user', message=b'X: ' + b'y' * 300_000 + b'\n\n')
        assert 'sender@demo.test... Sent via' in said
        wait_for('the first one, in its second attempt', lambda: [m for m in h.mailbox() if b'Subject: later' in m], 60)


def test_verbose_needs_no_host_no_reader_and_no_fifo():
    with Host() as h:
        h.stop()
        said = sendmail(h, '-v', 'user', message=b'Subject: down\n\n')
        assert 'the mail host is not running' in said
        name, = drop_files(h)
        # what a user may have put in the place of the FIFO is neither followed nor written to
        secret = h.dir / 'secret'
        secret.write_text('secret')
        for i, make in enumerate((lambda p: p.symlink_to(secret), lambda p: os.link(secret, p), lambda p: p.mkdir(), lambda p: os.mkfifo(p))):
            plant(h, f'HOSTILE{i}V', head() + b'Subject: %d\n\n' % i)
            make(h.dir / f'spool/drop/.HOSTILE{i}V.t')
        h.start()
        h.wait_mail(count=5)
        wait_for('the files are gone', lambda: not [n for n in drop_files(h) if n[0] != '.'])
        assert secret.read_text() == 'secret' and len(h.mailbox()) == 5
        # the reader goes away while the message is with cleanup
        stall(h, True)
        p = subprocess.Popen([SENDMAIL, '-C', str(h.dir / 'etc/mansio.conf'), '-v', 'user'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        p.stdin.write(MESSAGE)
        p.stdin.close()
        assert p.stdout.readline() == b'taken by the mail host\n'
        for pid in subprocess.run(['ps', '-o', 'pid=', '--ppid', str(p.pid)], capture_output=True, text=True).stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        assert p.wait(DEADLINE) == TEMPFAIL
        stall(h, False)
        h.wait_mail(count=6)
        assert len(h.log_lines('queue.recovery.done')) == 2, 'queued lived'


def test_what_a_notice_needs_is_kept_in_the_envelope():
    with Host(conf='route far.test { via = "127.0.0.1:1" }') as h:
        sendmail(h, '-N', 'success,delay', '-V', 'QQ314159', '-R', 'hdrs', 'a@far.test')
        h.wait_log('delivery.result')
        record = b''.join(p.read_bytes() for p in (h.dir / 'spool/seg').glob('*.seg'))
        assert b'\nenvid: QQ314159\n' in record and b'\nret: 2\n' in record and b'\nnotify: 10\n' in record
        for bad in (['-N', 'never,delay'], ['-N', 'x'], ['-R', 'some']):
            sendmail(h, *bad, 'a@far.test', status=USAGE)


def test_smtp_on_standard_input():
    with Host() as h:
        said = sendmail(h, '-bs', message=b'EHLO x\r\nMAIL FROM:<root> BODY=8BITMIME\r\nDATA\r\nRCPT TO:<user>\r\nDATA\r\nSubject: s\r\n\r\n..dot\r\n.\r\n'
                                          b'MAIL FROM:<root>\nRCPT TO:<user>\nDATA\nSubject: cut off\n\nx\n')
        assert '250 2.0.0 Ok: submitted' in said and '503 5.5.1' in said
        assert body(h.wait_mail()[0]) == b'.dot\n'
        drop_empty(h)
        assert len(h.mailbox()) == 1


def test_unknown_recipients_come_back_and_others_arrive():
    with Host(users=('user', 'postmaster', 'sender')) as h:
        sendmail(h, '-f', 'sender', 'user', 'nosuch')
        h.wait_mail('user')
        notice = h.wait_mail('sender')[0]
        assert b'nosuch@demo.test' in notice and b'5.1.1' in notice
        # refused as a whole: the header is larger than any may be
        sendmail(h, '-f', 'sender', 'user', message=b'X: ' + b'y' * 300_000 + b'\n\n')
        assert any(b'header of the message is too big' in m for m in h.wait_mail('sender', 2))
        sendmail(h, '-f', '', 'user', message=b'X: ' + b'y' * 300_000 + b'\n\n')
        h.wait_log('queue.drop.bad')
        drop_empty(h)
        assert len(drop_files(h, bad=True)) == 1 and len(h.mailbox('user')) == 1
        # nor is one told who wants nothing
        sendmail(h, '-N', 'never', '-f', 'sender', 'user', message=b'X: ' + b'y' * 300_000 + b'\n\n')
        h.wait_log('queue.drop.bad', count=2)
        sendmail(h, '-N', 'failure', '-f', 'sender', 'user', message=b'X: ' + b'y' * 300_000 + b'\n\n')
        h.wait_mail('sender', 3)
        drop_empty(h)
        assert len(drop_files(h, bad=True)) == 2 and len(h.mailbox('sender')) == 3


def test_root_is_refused_outside_and_reached_from_inside():
    with with_tables() as h:
        with pytest.raises(Exception, match='no mail for root'):
            h.send('root@demo.test')
        sendmail(h, 'root')
        assert b'Delivered-To: user@demo.test' in h.wait_mail()[0]


def test_mail_taken_while_down_arrives_once():
    h = Host()
    with h:
        h.stop()
        for i in range(5):
            sendmail(h, 'user', message=b'Subject: down %d\n\n' % i)
        assert len(drop_files(h)) == 5
        h.start()
        h.wait_mail(count=5)
        drop_empty(h)
        h.restart()
        sendmail(h, 'user')
        h.wait_mail(count=6)
        drop_empty(h)
        assert len(h.mailbox()) == 6


def test_kill_between_commit_and_unlink_delivers_once():
    with Host(mtad=['--fault', 'queued.drop.committed:crash']) as h:
        sendmail(h, 'user')
        h.wait_log('queue.drop.recovered')
        h.wait_mail()
        drop_empty(h)
        assert len(h.log_lines('queue.recovery.done')) == 2
        h.mtad_options = []
        h.restart()
        sendmail(h, 'user', message=b'Subject: last\n\n')
        wait_for('the later one', lambda: any(b'Subject: last' in m for m in h.mailbox()))
        assert len(h.mailbox()) == 2


def stall(h, stop):
    """While mapd stands still, a file stays with cleanup."""
    for name in ('mapd', 'mapd-worker'):
        h.kill(name, signal.SIGSTOP if stop else signal.SIGCONT)


def kill_cleanup(h, files):
    """When these files are in drop/, with their counts."""
    counts = lambda: sorted(n[-2:] for n in drop_files(h))
    wait_for(f'{files} in drop/', lambda: counts() == files, explain=lambda: f'{drop_files(h)}\n{h.log_tail()}')
    # a new one gets its files before it has its name
    pids = wait_for('cleanup has its name', lambda: h.pids().get('cleanup'))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for('it is gone', lambda: not any(alive(pid) for pid in pids))


def test_incident_22_a_file_that_crashes_cleanup_goes_to_bad():
    with Host() as h:
        stall(h, True)
        sendmail(h, 'user')
        for attempt in ('.1', '.2', '.3'):
            kill_cleanup(h, [attempt])
        h.wait_log('queue.drop.bad', reason='cleanup was lost three times while it had it')
        stall(h, False)
        assert [n[-2:] for n in drop_files(h, bad=True)] == ['.3'] and not drop_files(h)
        h.send('user@demo.test')
        h.wait_mail()


def test_innocent_files_survive_crashes_of_cleanup():
    """Those that were with a cleanup that died go again one by one."""
    with Host() as h:
        stall(h, True)
        for i in range(6):
            sendmail(h, 'user', message=b'Subject: %d\n\n' % i)
        kill_cleanup(h, ['.1'] * 6)
        kill_cleanup(h, ['.1'] * 5 + ['.2'])
        kill_cleanup(h, ['.1'] * 4 + ['.2'] * 2)
        stall(h, False)
        h.wait_mail(count=6)
        drop_empty(h)
        assert len(h.mailbox()) == 6 and not drop_files(h, bad=True)


def test_ten_thousand_files():
    h = Host()
    h.queue = 'deliver = no'
    with h:
        h.stop()
        for i in range(10_000):
            plant(h, f'N{i:05}', head() + b'Subject: %d\n\nx\n' % i)
        h.start()
        wait_for('all are taken', lambda: not drop_files(h), 60, step=0.2)
        assert len(h.log_lines('queue.message.stored')) == 10_000 and not drop_files(h, bad=True)
        assert len({re.search(r' origin=drop/(\w+)', l).group(1) for l in h.log_lines('queue.message.stored')}) == 10_000, 'none twice'
        status = open(f'/proc/{h.pids()["queued"][0]}/status').read()
        if b'__asan_init' not in (BUILD / 'bin/queued').read_bytes():
            assert int(re.search(r'VmHWM:\s+(\d+)', status).group(1)) < 64 * 1024, 'kB that queued needed for them'


def test_incident_3_links_fifos_and_giants_in_drop():
    with Host() as h:
        d = h.dir / 'spool/drop'
        secret = h.dir / 'secret'
        secret.write_bytes(head() + b'Subject: secret\n\n')
        secret.chmod(0o600)
        (d / 'A1symlink').symlink_to(secret)
        os.link(secret, d / 'A2hardlink')
        os.mkfifo(d / 'A3fifo')
        with open(d / 'A4giant', 'wb') as f:
            f.truncate(1 << 40)
        plant(h, 'A5text', b'no head at all\n\n')
        plant(h, 'A6nul', head(rcpts=['us\0er']))
        plant(h, 'A7newline', head(sender='a\rb'))
        plant(h, 'A8twice', head(extra='sender: other\n'))
        (d / 'weird name').write_bytes(b'')
        # nothing told queued of those that were not renamed into place
        plant(h, 'B1good', head() + b'Subject: good\n\n')
        h.restart()
        h.wait_mail()
        drop_empty(h)
        assert len(drop_files(h, bad=True)) == 7, drop_files(h, bad=True)   # the symlink and the pipe are gone
        assert len(h.log_lines('queue.drop.bad')) == 9
        time.sleep(0.2)
        assert len(h.mailbox()) == 1 and b'Subject: good' in h.mailbox()[0]


def test_incident_25_nothing_unclean_gets_past_postdrop():
    with Host() as h:
        h.stop()
        for bad in ('a\0b', 'a\rb', 'a\x7fb', 'a b', '@x', 'a@', '<a>', 'x' * 2000, 'a@b\x01c'):
            assert postdrop(h, head(rcpts=[bad]), MESSAGE).returncode == DATAERR, bad
            assert postdrop(h, head(sender=bad), MESSAGE).returncode == DATAERR, bad
        assert postdrop(h, head(rcpts=['a\nb']), MESSAGE).returncode == DATAERR
        assert postdrop(h, head(rcpts=[]), MESSAGE).returncode == DATAERR
        assert postdrop(h, head(extra='origin: notice/1\n'), MESSAGE).returncode == DATAERR
        assert postdrop(h, head(rcpts=['u%d' % i for i in range(5001)]), MESSAGE).returncode == DATAERR
        assert postdrop(h, b'From root\n\n').returncode == DATAERR
        assert postdrop(h, head(), MESSAGE, end=False).returncode == IOERR
        assert postdrop(h, head()[:10], end=False).returncode == IOERR
        assert subprocess.run([POSTDROP, '-C', str(h.dir / 'etc/mansio.conf')], input=b'\xff' * 100, capture_output=True).returncode == IOERR
        assert subprocess.run([POSTDROP, 'x'], input=b'', capture_output=True).returncode == USAGE
        sendmail(h, '-f', 'a\nrcpt: b', 'user', status=DATAERR)
        sendmail(h, 'user\nrcpt: root', status=DATAERR)
        assert not [p for p in os.listdir(h.dir / 'spool/drop') if p != 'bad']


@pytest.mark.root
def test_full_read_only_and_missing_drop():
    with Host() as h:
        h.stop()
        d = h.dir / 'spool/drop'
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', d], check=True)
        try:
            assert 'No space left' in sendmail(h, 'user', message=b'Subject: big\n\n' + b'x' * 1_000_000, status=TEMPFAIL)
            assert os.listdir(d) == []
            sendmail(h, 'user', message=b'Subject: small\n\n')
            subprocess.run(['mount', '-o', 'remount,ro', d], check=True)
            assert 'Read-only' in sendmail(h, 'user', status=CANTCREAT)
        finally:
            subprocess.run(['umount', d], check=True)
        d.rename(h.dir / 'elsewhere')
        assert 'No such file' in sendmail(h, 'user', status=TEMPFAIL)
        (h.dir / 'elsewhere').rename(d)
        assert 'larger than' in sendmail(h, 'user', message=b'x' * 53_000_000, status=DATAERR)
        assert not drop_files(h)


IN_PRIVATE_ETC = '''
cp -a /etc "$1/etc-copy" && mkdir -p "$1/etc-copy/mansio" && cp "$1/etc/mansio.conf" "$1/etc-copy/mansio/" &&
mount --bind "$1/etc-copy" /etc && shift && exec "$@"
'''


@pytest.mark.root
def test_incident_19_set_gid_postdrop_believes_no_caller():
    if not HAS_MOUNTS:
        pytest.skip('cannot have an /etc of its own here: the root is no mount point')
    with Host() as h:
        h.dir.chmod(0o711)
        programs = h.dir / 'bin'
        programs.mkdir()
        for p in (SENDMAIL, POSTDROP):
            shutil.copy(p, programs)
        shutil.chown(programs / 'postdrop', 'root', 'mansio-drop')
        (programs / 'postdrop').chmod(0o2755)
        (h.dir / 'evil.conf').write_text('queue { directory = "/tmp" }\n')
        (h.dir / 'evil.conf').chmod(0o644)

        def as_nobody(*command, message=MESSAGE, env=None):
            return subprocess.run(['unshare', '-m', 'sh', '-c', IN_PRIVATE_ETC, 'sh', str(h.dir), 'setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups',
                                   '--', *map(str, command)], input=message, capture_output=True, timeout=60, env=env)

        try:
            evil = {'PATH': os.environ['PATH'], 'LD_PRELOAD': '/nonexistent.so', 'MAIL_CONFIG': '/tmp', 'TMPDIR': '/nonexistent', 'PERL5LIB': '/tmp', 'IFS': 'x'}
            r = as_nobody(programs / 'sendmail', '-C', h.dir / 'evil.conf', 'user', env=evil)
            assert r.returncode == OK and b'-C is for root' in r.stderr, r
            mail = h.wait_mail()[0]
            assert b'(from uid 65534)' in mail and b'Return-Path: <nobody@demo.test>' in mail
            h.wait_log('cleanup.drop.taken', uid=65534)
            r = as_nobody(programs / 'postdrop', '-C', h.dir / 'evil.conf', message=b'')
            assert r.returncode == IOERR and b'-C is for root' in r.stderr
            # who he is is known, whatever he says; told only where the operator wants it
            as_nobody(programs / 'sendmail', '-f', 'boss@far.test', 'user')
            conf = h.dir / 'etc/mansio.conf'
            plain = conf.read_text()
            assert b'Warning' not in [m for m in h.wait_mail(count=2) if b'boss' in m][0]
            for trusted, sender, want in (('', 'boss', b'nobody set sender to boss using -f'), ('', 'nobody', None), ('', '', None), ('trusted = [ games, nobody ]', 'boss', None)):
                conf.write_text(plain + f'address {{ sender_warning = yes {trusted} }}\n')
                before = len(h.mailbox())
                as_nobody(programs / 'postdrop', message=b''.join(len(c).to_bytes(4, 'big') + c for c in (head(sender=sender, extra='warning: forged\n'), MESSAGE)) + b'\0\0\0\0')
                wait_for('it arrives', lambda: len(h.mailbox()) > before, explain=h.log_tail)
                new = max(h.mailbox(), key=lambda m: re.search(rb'id ([0-9A-Z]{13})', m).group(1))
                assert (b'X-Authentication-Warning: mail.demo.test: ' + want + b'\n' in new) if want else b'Warning' not in new, new
            conf.write_text(plain)
            had = len(h.mailbox())
            # the caller cannot look into drop/, nor at what he sent
            h.stop()
            as_nobody(programs / 'sendmail', 'user')
            name, = drop_files(h)
            st = (h.dir / 'spool/drop' / name).stat()
            assert (st.st_uid, st.st_mode & 0o7777) == (65534, 0o444)
            assert as_nobody('ls', h.dir / 'spool/drop').returncode != 0
            assert as_nobody('rm', '-f', h.dir / 'spool/drop' / name).returncode != 0
            # a hole in the table of descriptors, and limits of the caller
            assert as_nobody('sh', '-c', f'exec {programs}/postdrop 2>&-', message=b'').returncode == IOERR
            r = as_nobody('sh', '-c', f'ulimit -f 1; {programs}/sendmail user', message=b'x' * 100_000)
            assert r.returncode == CANTCREAT, r
            assert len(drop_files(h)) == 1
            (h.dir / 'spool/drop').chmod(0o700)
            assert as_nobody(programs / 'sendmail', 'user').returncode == CANTCREAT
            h.start()
            h.wait_mail(count=had + 1)
        finally:
            shutil.rmtree(h.dir / 'etc-copy', ignore_errors=True)


def test_a_caller_that_ignores_its_children():
    """SIG_IGN for SIGCHLD is inherited: the status of postdrop was lost, the caller submitted again, and again."""
    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    with Host() as h:
        sendmail(h, 'user', preexec_fn=ignore)
        sendmail(h, '-q', preexec_fn=ignore)
        h.wait_mail()
        drop_empty(h)
        assert len(h.mailbox()) == 1
        assert 'control character' in sendmail(h, '-V', 'a\x01b', 'user', status=DATAERR, preexec_fn=ignore)


def test_a_configuration_that_does_not_tell_where_the_queue_is():
    """Nobody looks into the default directory of a host that has its queue elsewhere: success would be a lie."""
    with Host() as h:
        conf = h.dir / 'etc/mansio.conf'
        text = conf.read_text()
        conf.write_text(text + '\nbroken {{{\n')     # the directory was found before
        sendmail(h, 'user')
        h.wait_mail()
        hidden = h.dir / 'etc/queue.conf'
        hidden.write_text(''.join(l + '\n' for l in text.splitlines() if l.startswith('queue ')))
        rest = ''.join(l + '\n' for l in text.splitlines() if not l.startswith('queue '))
        conf.write_text(rest + 'include "queue.conf"\n')
        sendmail(h, 'user')
        h.wait_mail(count=2)
        hidden.chmod(0o666)                           # not believed
        assert 'cannot be told' in sendmail(h, 'user', status=TEMPFAIL)
        conf.write_text(rest + 'broken {{{\ninclude "queue.conf"\n')
        assert 'cannot be told' in sendmail(h, 'user', status=TEMPFAIL)
        assert 'cannot be told' in sendmail(h, '-d0.1')
        conf.write_text(text)
        drop_empty(h)
        assert len(h.mailbox()) == 2


def test_a_drop_directory_that_is_made_anew():
    """postdrop finds it by name: a queued that holds the old one would leave mail there that was said to be taken."""
    with Host() as h:
        drop = h.dir / 'spool/drop'
        sendmail(h, 'user')
        h.wait_mail()
        drop_empty(h)
        old = drop.stat()
        for n, away in enumerate((lambda: shutil.rmtree(drop), lambda: drop.rename(h.dir / 'spool/drop.old')), 1):
            away()
            assert 'No such file' in sendmail(h, 'user', status=TEMPFAIL)
            drop.mkdir()
            os.chown(drop, old.st_uid, old.st_gid)
            drop.chmod(old.st_mode & 0o7777)
            sendmail(h, 'user')
            wait_for('the new directory is read', lambda: len(h.mailbox()) == n + 1, explain=h.log_tail)
            h.wait_log('queue.drop.replaced', inode=drop.stat().st_ino)
        drop_empty(h)
        assert (drop / 'bad').is_dir()
