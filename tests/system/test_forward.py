"""~/.forward: read as the user, refused when unsafe, sent on exactly once, without loops."""
import os, pathlib, re, smtplib, subprocess, time

import pytest

from host import BUILD, wait_for
from test_mailbox import deliver, mail_host, messages, result

pytestmark = pytest.mark.root

MBOX = 'method = mbox spool = "@DIR@/spool-mail"'


def forward(user, text, mode=0o644, name='.forward'):
    path = pathlib.Path(user.pw_dir) / name
    path.write_text(text.format(u=user.pw_name, home=user.pw_dir))
    os.chown(path, user.pw_uid, user.pw_gid)
    path.chmod(mode)
    return path


def spooled(h, user, count=1):
    box = h.spool / user.pw_name
    wait_for(f'{count} messages of {user.pw_name}', lambda: box.exists() and len(messages(box)) >= count,
             explain=h.log_tail)
    return messages(box)


def results(h, **keys):
    return h.log_lines('delivery.result', **keys)


def test_addresses_and_the_own_mailbox():
    with mail_host(MBOX, 'one', 'two', 'three') as h:
        one, two, three = (h.user[n] for n in ('one', 'two', 'three'))
        forward(one, f'# where my mail goes\n\\{{u}}, "Two There" <{two.pw_name}@demo.test>\n{three.pw_name}\n')
        qid = deliver(h, one)
        line = result(h, qid)
        assert 'status=delivered' in line and 'forwarded as ' in line, line
        for user in (one, two, three):
            got = spooled(h, user)
            assert len(got) == 1
            # sent on with the sender it had; who it was sent on by stands in it
            assert got[0]['Return-Path'] == '<stranger@far.test>'
            assert f'{one.pw_name}@demo.test' in got[0].get_all('Delivered-To')
            assert got[0].get_all('Delivered-To').count(f'{one.pw_name}@demo.test') == 1
        # naming oneself is one's mailbox
        forward(one, f'{one.pw_name}\n{two.pw_name}@DEMO.test')
        deliver(h, one)
        assert len(spooled(h, one, 2)) == 2 and len(spooled(h, two, 2)) == 2
        # an empty one, or one of comments, says nothing
        for text in ('', '# nobody\n\n'):
            forward(one, text)
            deliver(h, one)
        assert len(spooled(h, one, 4)) == 4
        # with its extension
        forward(one, f'\\{one.pw_name}')
        deliver(h, one, ext='+list')
        assert spooled(h, one, 5)[4].get_all('Delivered-To') == [f'{one.pw_name}+list@demo.test']


def test_big_message():
    """Its body lies in a file of the queue."""
    with mail_host(MBOX, 'one', 'two') as h:
        one, two = h.user['one'], h.user['two']
        forward(one, f'\\{one.pw_name}, {two.pw_name}\n')
        body = 'Subject: big\r\n\r\n' + ''.join(f'line {i} {"x" * 60}\r\n' for i in range(12000))
        deliver(h, one, body)
        want = body.split('\r\n\r\n', 1)[1].replace('\r\n', '\n')
        for user in (one, two):
            assert spooled(h, user)[0].get_payload() == want


@pytest.mark.parametrize('method', [MBOX, 'method = maildir'])
def test_loops_end_in_a_notice(method):
    with mail_host(method, 'one', 'two', 'sender') as h:
        one, two, sender = (h.user[n] for n in ('one', 'two', 'sender'))
        forward(one, two.pw_name)
        forward(two, f'{one.pw_name}@demo.test')
        deliver(h, one, sender=f'{sender.pw_name}@demo.test')
        line = h.wait_log('delivery.result', status='failed')
        assert 'dsn=5.4.6' in line and 'loop' in line, line
        h.wait_log('queue.notice.stored')
        if 'mbox' in method:
            notice = spooled(h, sender)[0]
            assert 'Failure' in notice['Subject'] or 'ndelivered' in notice['Subject'], notice['Subject']
            assert 'loop' in str(notice)
        # the mail of one who is in the loop and keeps a copy is there, and the loop ends as well
        forward(one, f'\\{one.pw_name}, {two.pw_name}')
        deliver(h, one, sender=f'{sender.pw_name}@demo.test')
        h.wait_log('delivery.result', status='failed', count=2)
        stored = h.log_lines('queue.message.stored')
        time.sleep(0.5)
        assert len(h.log_lines('queue.message.stored')) < len(stored) + 4       # no storm
        if 'mbox' in method:
            assert len(spooled(h, one)) == 1


def test_own_extensions_are_ones_mailbox():
    """A ~/.forward that names its owner with extensions is obeyed once: no storm, no notice to the sender."""
    with mail_host(MBOX, 'one', 'two', conf='address { extension = "+" }') as h:
        one, two = h.user['one'], h.user['two']
        forward(one, ''.join(f'{one.pw_name}+{n}\n' for n in range(8)) + f'{one.pw_name.upper()}+x@demo.test, {two.pw_name}+y\n')
        deliver(h, one)
        assert len(spooled(h, one, 9)) == 9 and len(spooled(h, two)) == 1
        wait_for('the end', lambda: len(h.log_lines('queue.message.finished')) == 2, explain=h.log_tail)
        assert len(h.log_lines('queue.message.stored')) == 2
        assert not h.log_lines('delivery.result', status='failed')
        # reached by one of them
        deliver(h, one, ext='+3')
        assert len(spooled(h, one, 18)) == 18 and len(spooled(h, two, 2)) == 2


def test_extensions_of_each_other_are_no_storm():
    """Accounts that name each other with many extensions: each one's file is obeyed once in a chain."""
    names = 'one', 'two', 'three'
    with mail_host(MBOX, *names, conf='address { extension = "+" }') as h:
        user = [h.user[n] for n in names]
        for u in user:
            forward(u, ''.join(f'{v.pw_name}+{n}\n' for v in user if v != u for n in range(9)))
        deliver(h, user[0])
        def done():
            stored, finished = (len(h.log_lines(f'queue.message.{e}')) for e in ('stored', 'finished'))
            assert stored < 30, h.log_tail()
            return stored == finished
        wait_for('the end', done, explain=h.log_tail)
        # of the extensions of one user one is obeyed, the others are mail of his: none is lost
        assert len(spooled(h, user[1])) >= 8 and len(spooled(h, user[2])) >= 8


def test_what_is_unsafe_is_ignored():
    """CVE-2020-8793: links, objects, files of others: the mail stays in the mailbox, the log names the file."""
    with mail_host(MBOX, 'one', 'two', 'evil') as h:
        one, two, evil = (h.user[n] for n in ('one', 'two', 'evil'))
        home = pathlib.Path(one.pw_dir)
        path, other = home / '.forward', home / 'elsewhere'
        text = f'{two.pw_name}\n'

        def sparse():
            forward(one, 'x')
            os.truncate(path, 1 << 40)

        def holes():
            forward(one, 'x')
            os.truncate(path, 4096)

        def foreign():
            forward(one, text)
            os.chown(path, evil.pw_uid, evil.pw_gid)

        cases = [
            (lambda: (forward(one, text, name='elsewhere'), path.symlink_to(other)), 'symbolic link'),
            (lambda: (forward(one, text, name='elsewhere'), os.link(other, path)), 'several names'),
            (lambda: (os.mkfifo(path), os.chown(path, one.pw_uid, one.pw_gid)), 'no regular file'),
            (lambda: path.mkdir(), 'no regular file'),
            (foreign, 'somebody else'),
            (lambda: forward(one, text, 0o664), 'others may write'),
            (lambda: forward(one, text, 0o646), 'others may write'),
            (lambda: forward(one, text, 0o000), 'may not read'),
            (sparse, 'larger than'),
            (holes, 'control byte'),
            (lambda: forward(one, ':include:/etc/passwd\n'), ':include:'),
            (lambda: forward(one, f'{two.pw_name}\nno address at all\n'), 'line 2'),
            (lambda: forward(one, f'"{two.pw_name}\n'), 'unclosed'),
            (lambda: (forward(one, text), home.chmod(0o770)), 'home directory can be written'),
        ]
        for n, (plant, words) in enumerate(cases, 1):
            plant()
            qid = deliver(h, one)
            line = result(h, qid)
            assert 'status=delivered' in line, (words, line)
            warned = h.log_lines('agent.forward.ignored')
            assert len(warned) == n and words in warned[-1] and str(path) in warned[-1], (words, warned)
            home.chmod(0o700)
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            other.unlink(missing_ok=True)
        assert len(spooled(h, one, len(cases))) == len(cases)
        assert not (h.spool / two.pw_name).exists()


def test_forward_may_be_restricted():
    with mail_host(MBOX + ' forward = no', 'one', 'two') as h:
        forward(h.user['one'], h.user['two'].pw_name)
        assert 'status=delivered' in result(h, deliver(h, h.user['one']))
        assert len(spooled(h, h.user['one'])) == 1
    with mail_host(MBOX + ' forward = addresses', 'one', 'two') as h:
        one, two = h.user['one'], h.user['two']
        forward(one, f'{two.pw_name}, "|cat >{{home}}/ran", {{home}}/box')
        deliver(h, one)
        assert len(spooled(h, two)) == 1
        h.wait_log('delivery.result', status='failed', count=2)
        assert not (pathlib.Path(one.pw_dir) / 'ran').exists() and not (pathlib.Path(one.pw_dir) / 'box').exists()


def test_commands_and_files():
    with mail_host(MBOX, 'one', 'two') as h:
        one, two = h.user['one'], h.user['two']
        home = pathlib.Path(one.pw_dir)
        forward(one, '"|id -un >$HOME/who; cat >$HOME/\\"got it\\"; env >$HOME/new; mv $HOME/new $HOME/env", {home}/box\n|exit 75\n'
                     '/etc/motd, |%s\n')
        deliver(h, one, sender='"`touch /tmp/x`;%s"@far.test')
        wait_for('both', lambda: (home / 'env').exists() and (home / 'box').exists(), explain=h.log_tail)
        assert (home / 'who').read_text().strip() == one.pw_name
        got = (home / 'got it').read_text()
        assert got.startswith('From ') and got.endswith('hello\n') and got.count('Delivered-To:') == 1
        env = (home / 'env').read_text()
        assert f'USER={one.pw_name}\n' in env and 'SHELL=/bin/sh\n' in env and '`' not in env and ';' not in env
        assert len(messages(home / 'box')) == 1 and (home / 'box').stat().st_uid == one.pw_uid
        wait_for('the late one', lambda: any('exit 75' in line for line in h.log_lines('delivery.result', status='deferred')),
                 explain=h.log_tail)
        h.wait_log('delivery.result', status='failed', count=1)
        lines = h.log_lines('delivery.result', status='failed')
        assert any('home directory' in line for line in lines), lines
        # |%s is the user's own words and never the sender's
        wait_for('the odd command', lambda: any('%s' in line and 'exit' in line for line in results(h)),
                 explain=h.log_tail)


def test_a_notice_does_not_name_the_command():
    with mail_host(MBOX, 'one', 'two') as h:
        one, two = h.user['one'], h.user['two']
        program = pathlib.Path(one.pw_dir) / 'hidden-program'
        program.write_text('#!/bin/sh\necho "$0: no such person"\nexit 67\n')
        program.chmod(0o755)
        forward(one, '|{home}/hidden-program of-mine')
        deliver(h, one, sender=f'{two.pw_name}@demo.test')
        line = h.wait_log('delivery.result', status='failed')
        assert 'hidden-program: no such person' in line, line
        notice = spooled(h, two)[0].as_string()
        assert f'{one.pw_name}@demo.test' in notice and 'hidden-program' not in notice, notice


def test_file_without_a_home_is_no_mailbox_of_others():
    """The home is no home any more when a file of ~/.forward is written: not in the spool directory instead,
    where it would be somebody else's mailbox, and nobody could deliver there."""
    with mail_host(MBOX, 'one', 'two') as h:
        one, two = h.user['one'], h.user['two']
        home = pathlib.Path(one.pw_dir)
        (home / two.pw_name).mkdir()
        forward(one, f'{home}/{two.pw_name}\n')
        deliver(h, one)
        h.wait_log('delivery.result', status='deferred')
        home.chmod(0o707)
        for pid in subprocess.run(['pgrep', '-u', str(one.pw_uid)], capture_output=True, text=True).stdout.split():
            os.kill(int(pid), 9)        # as the user may: the next one begins without a home
        h.wait_log('mtad.agent.ended')
        subprocess.run([BUILD / 'bin/mtactl', '-c', h.dir / 'etc/mansio.conf', 'queue', 'flush', '--all'], check=True)
        line = h.wait_log('delivery.result', status='deferred', attempt=2)
        assert 'home directory' in line, line
        assert not list(h.spool.iterdir())
        # he has a mailbox all the same
        assert 'status=delivered' in result(h, deliver(h, one)) and len(spooled(h, one)) == 1


def test_a_command_that_was_mended_gets_no_old_text():
    """A command that does not stand in the file any more is not run: the mail is for the mailbox."""
    with mail_host(MBOX, 'one') as h:
        one = h.user['one']
        forward(one, '|exit 75 # no such program yet')
        deliver(h, one)
        h.wait_log('delivery.result', status='deferred')
        forward(one, '\\{u}')
        assert subprocess.run([BUILD / 'bin/mtactl', '-c', h.dir / 'etc/mansio.conf', 'queue', 'flush', '--all']).returncode == 0
        assert len(spooled(h, one)) == 1


def test_procmail_section_obeys_it():
    from test_mailbox import script
    with mail_host('method = command command = [ "@DIR@/take" ]', 'one', 'two') as h:
        script(h, 'take', 'cat >"$HOME/taken"\n')
        one, two = h.user['one'], h.user['two']
        forward(one, f'\\{one.pw_name}, {two.pw_name}, {one.pw_dir}/box')
        deliver(h, one)
        for path in (f'{one.pw_dir}/taken', f'{two.pw_dir}/taken', f'{one.pw_dir}/box'):
            wait_for(path, lambda: os.path.exists(path), explain=h.log_tail)


def test_accounts_that_all_name_each_other_are_bounded():
    """Seven of them would send on 1957 times: each chain ends at its own Delivered-To, but there are as many as orders of seven."""
    names = [f'acc{n}' for n in range(7)]
    with mail_host(MBOX, *names) as h:
        users = [h.user[n] for n in names]
        for user in users:
            forward(user, ''.join(f'{other.pw_name}\n' for other in users if other is not user))
        deliver(h, users[0])
        mtactl = [BUILD / 'bin/mtactl', '--json', '-c', h.dir / 'etc/mansio.conf', 'queue', 'list']
        wait_for('the queue is empty', lambda: b'"rows":[]' in subprocess.run(mtactl, capture_output=True).stdout.replace(b' ', b'').replace(b'\n', b''), explain=h.log_tail)
        assert 100 < len(h.log_lines('cleanup.forward.taken')) < 300
        assert [line for line in h.log_lines('delivery.result') if 'sent on too often' in line]


def test_exactly_once_over_crashes():
    """queued and cleanup are killed while forwards are on their way: every message is sent on once."""
    with mail_host(MBOX, 'one', 'two') as h:
        one, two = h.user['one'], h.user['two']
        forward(one, f'\\{one.pw_name}, {two.pw_name}\n')
        sent = 0
        for n in range(36):
            try:
                deliver(h, one, f'Subject: n{n}\r\n\r\nx\r\n')
                sent |= 1 << n
            except (smtplib.SMTPException, OSError):
                pass                    # not taken: not promised
            if n % 6 == 2:
                h.kill('queued')
            elif n % 6 == 5:
                h.kill('cleanup')
        want = {f'n{n}' for n in range(36) if sent >> n & 1}
        assert len(want) > 10
        for user in (one, two):
            box = h.spool / user.pw_name
            wait_for('all of them', lambda: want <= {m['Subject'] for m in messages(box)}, explain=h.log_tail)
        mtactl = [BUILD / 'bin/mtactl', '-c', h.dir / 'etc/mansio.conf', 'queue', 'list']
        wait_for('the queue is empty', lambda: b'@demo.test' not in subprocess.run(mtactl, capture_output=True).stdout, explain=h.log_tail)
        for user in (one, two):
            got = [m['Subject'] for m in messages(h.spool / user.pw_name)]
            assert len(got) == len(set(got)), sorted(got)


def test_killed_between_commit_and_result():
    """The new message is durable and its queued dies before anybody is told: recovery finds what it stands for."""
    with mail_host(MBOX, 'one', 'two', mtad=['--fault', 'queued.forward.committed:crash']) as h:
        one, two = h.user['one'], h.user['two']
        forward(one, two.pw_name)
        deliver(h, one)
        h.wait_log('queue.recovery.done', count=2)
        assert len(spooled(h, two)) == 1
        mtactl = [BUILD / 'bin/mtactl', '-c', h.dir / 'etc/mansio.conf', 'queue', 'list']
        wait_for('the queue is empty', lambda: b'@demo.test' not in subprocess.run(mtactl, capture_output=True).stdout, explain=h.log_tail)
        assert len(messages(h.spool / two.pw_name)) == 1 and len(h.log_lines('cleanup.forward.taken')) == 1


def test_mtactl_address_tells_of_it():
    from test_mailbox import system_users
    conf = 'map aliases { type = inline  entries = [ "robot |/bin/true, /out/box" ] }\naddress { aliases = aliases  commands = any }\n'
    for field, told in ('', True), (' forward = no', False):
        with mail_host(MBOX + field, 'one', conf=conf) as h:
            ask = lambda who: subprocess.run([BUILD / 'bin/mtactl', '-c', h.dir / 'etc/mansio.conf', 'address', who], capture_output=True, text=True).stdout
            assert ('~/.forward' in ask(h.user['one'].pw_name)) == told
            text = ask('robot@demo.test')
            assert ', to the command |/bin/true' in text and ', into the file /out/box' in text, text


def receipt(h, user):
    """The per-recipient fields of the one notice that the user got."""
    notice, = spooled(h, user)
    return notice, list(notice.walk())[2].get_payload()[1:]


@pytest.mark.parametrize('text,action', [('{two}@demo.test\n', 'delivered'), ('{two}@demo.test\n{three}@demo.test\n', 'expanded')])
def test_receipts_name_whom_the_sender_wrote_to(text, action):
    with mail_host(MBOX, 'one', 'two', 'three', 'sender') as h:
        one, two, three, sender = (h.user[n] for n in ('one', 'two', 'three', 'sender'))
        forward(one, text.format(two=two.pw_name, three=three.pw_name))
        with h.smtp() as s:
            s.ehlo()
            s.docmd(f'MAIL FROM:<{sender.pw_name}@demo.test> ENVID=x')
            assert s.docmd(f'RCPT TO:<{one.pw_name}@demo.test> NOTIFY=SUCCESS')[0] == 250
            s.docmd('DATA')
            s.send(b'Subject: t\r\n\r\nx\r\n.\r\n')
            assert s.getreply()[0] == 250
        spooled(h, two)
        notice, (fields,) = receipt(h, sender)
        assert fields['Action'] == action and fields['Final-Recipient'] == f'rfc822; {one.pw_name}@demo.test'
        assert two.pw_name not in str(notice.get_payload(0)) + str(notice.get_payload(1))
