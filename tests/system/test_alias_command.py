"""Commands and files of aliases: as the configured user, without a shell, only what the operator permits."""
import os, pathlib, pwd, shutil, smtplib, subprocess

import pytest

from host import BUILD, Host, wait_for
from test_mailbox import messages, script

pytestmark = pytest.mark.root

NOBODY = pwd.getpwnam('nobody')


def alias_host(aliases, address=''):
    h = Host(conf='map aliases { type = aliases  source = "@DIR@/etc/aliases" }\n'
                  'address { aliases = aliases  commands = "@DIR@/bin"  ' + address + ' }\n'
                  if 'commands' not in address else
                  'map aliases { type = aliases  source = "@DIR@/etc/aliases" }\n'
                  'address { aliases = aliases  ' + address + ' }\n')
    h.dir.chmod(0o755)
    (h.dir / 'bin').mkdir()
    (h.dir / 'out').mkdir()
    os.chown(h.dir / 'out', NOBODY.pw_uid, NOBODY.pw_gid)
    (h.dir / 'etc').mkdir(exist_ok=True)
    (h.dir / 'etc/aliases').write_text(aliases.replace('@DIR@', str(h.dir)))
    return h


def test_command_as_the_configured_user():
    h = alias_host('robot: "|/anywhere/take one two", user\nother: |take\n')
    script(h, 'bin/take', f'{{ id -un; id -Gn; echo "$0 $*"; cat; }} >{h.dir}/out/$RECIPIENT.$$\n')
    with h:
        h.send('robot@demo.test', sender='"a;$(id)"@far.test')
        h.send('robot+x@demo.test')
        h.send('other@demo.test')
        h.wait_mail('user', 2)
        out = h.dir / 'out'
        wait_for('three runs', lambda: len([p for p in out.iterdir() if p.stat().st_size]) == 3, explain=h.log_tail)
        first = next(out.glob('robot@*')).read_text().split('\n', 3)
        assert first[0] == 'nobody' and 'mail' not in first[1].split() and first[2] == f'{h.dir}/bin/take one two'
        assert first[3].startswith('From ') and 'Delivered-To: robot@demo.test\n' in first[3]
        assert next(out.glob('other@*')).read_text().split('\n')[2] == f'{h.dir}/bin/take '
        assert next(out.glob('robot+x@*'))
        # the log names the target, the recipient is the alias
        line = h.wait_log('delivery.result', to='other@demo.test')
        assert 'relay=' in line and '|take' in line, line


def test_its_end_is_its_verdict_and_tells_strangers_nothing():
    h = alias_host('late: |fail 75\nnever: |fail 67\nmissing: |not-there\nowner: user\n')
    script(h, 'bin/fail', 'echo words of mine; exit $1\n')
    with h:
        h.send('late@demo.test')
        assert 'exit 75' in h.wait_log('delivery.result', to='late@demo.test', status='deferred')
        h.send('missing@demo.test')
        assert 'cannot be started' in h.wait_log('delivery.result', to='missing@demo.test', status='deferred')
        h.send('never@demo.test', sender='user@demo.test')
        notice = h.wait_mail('user')[0]
        text = notice.read_text() if hasattr(notice, 'read_text') else str(notice)
        assert 'never@demo.test' in text and 'words of mine' in text and '|fail' not in text and 'bin/fail' not in text
        # nor does RCPT
        with h.smtp() as s:
            s.ehlo(), s.mail('x@far.test')
            assert s.rcpt('late@demo.test')[0] == 250
            assert b'fail' not in s.docmd('VRFY late@demo.test')[1]


@pytest.mark.parametrize('command', ['|take; id', '|take `id`', '|take $HOME', '"|take >/tmp/x"', '|take a|b', '"|take \'a\'"',
                                     '|../take', '|.', '|take *'])
def test_what_a_shell_would_read_is_refused(command):
    h = alias_host(f'robot: {command}\n')
    script(h, 'bin/take', f'echo ran >{h.dir}/out/ran\n')
    with h:
        h.send('robot@demo.test')
        line = h.wait_log('delivery.result', to='robot@demo.test')
        if '..' in command:             # the directory is what counts
            assert 'status=delivered' in line
            return
        assert 'status=deferred' in line, line
        assert not (h.dir / 'out/ran').exists()
        assert h.log_lines('mtad.agent.refused')


def test_none_is_the_default():
    for address in ('commands = none', None):
        h = alias_host('robot: |/bin/true\nbox: /var/tmp/box\n', address or 'commands = none')
        if not address:
            h.extra = h.extra.replace('commands = none', '')
        with h:
            for name in ('robot', 'box'):
                with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
                    h.send(f'{name}@demo.test')
                code, text = e.value.recipients[f'{name}@demo.test']
                assert code == 451 and b'true' not in text and b'/var' not in text


def test_any_program_without_a_shell():
    h = alias_host('robot: |@DIR@/prog a\nbare: |true\n', 'commands = any')
    script(h, 'prog', f'echo "$*" >{h.dir}/out/any\n')
    with h:
        h.send('robot@demo.test')
        wait_for('it ran', lambda: (h.dir / 'out/any').exists(), explain=h.log_tail)
        h.send('bare@demo.test')
        assert 'status=deferred' in h.wait_log('delivery.result', to='bare@demo.test')


def test_files():
    """Appended as command_user in a directory of his; links and files of others are refused."""
    h = alias_host('archive: @DIR@/out/box\nevil: @DIR@/out/link\nforeign: @DIR@/etc/box\n')
    (h.dir / 'out/link').symlink_to(h.dir / 'etc/aliases')
    before = None
    with h:
        before = (h.dir / 'etc/aliases').read_text()
        h.send('archive@demo.test')
        h.send('archive@demo.test')
        box = h.dir / 'out/box'
        wait_for('both', lambda: box.exists() and len(messages(box)) == 2, explain=h.log_tail)
        assert box.stat().st_uid == NOBODY.pw_uid
        for name, words in (('evil', 'links are not followed'), ('foreign', 'does not belong')):
            h.send(f'{name}@demo.test')
            line = h.wait_log('delivery.result', to=f'{name}@demo.test')
            assert 'status=deferred' in line and words in line, line
        assert (h.dir / 'etc/aliases').read_text() == before and not (h.dir / 'etc/box').exists()


def test_a_loop_through_a_command_ends():
    """The command sends its input to the alias again: its Delivered-To ends it."""
    h = alias_host('robot: |again\n')
    with h:
        script(h, 'bin/again', f'sed 1d | python3 -c "import smtplib,sys; smtplib.SMTP(\'127.0.0.1\', {h.port})'
                               '.sendmail(\'user@demo.test\', \'robot@demo.test\', sys.stdin.read())"\n')
        h.send('robot@demo.test', sender='user@demo.test')
        line = h.wait_log('delivery.result', to='robot@demo.test', status='failed')
        assert 'dsn=5.4.6' in line, line
        h.wait_mail('user')
        h.wait_log('delivery.result', to='robot@demo.test', status='delivered')     # its command ended behind all that it began
        assert len(h.log_lines('delivery.result', to='robot@demo.test')) == 2


def test_owner_of_a_list_is_its_sender():
    """owner-NAME beside NAME: members get it from the owner, who hears what fails; notices stay nobody's."""
    h = alias_host('team: user, postmaster, gone@demo.test, |take\nowner-team: boss\nboss: other\nother: postmaster\nplain: user\n')
    script(h, 'bin/take', f'echo "$SENDER" >{h.dir}/out/sender\n')
    with h:
        h.send('team@demo.test', 'Subject: one\r\n\r\nx\r\n', sender='user@demo.test')
        mail = h.wait_mail('user')[0]
        assert b'Return-Path: <owner-team@demo.test>\n' in mail and b'Delivered-To: team@demo.test\n' in mail
        mails = h.wait_mail('postmaster', 2)
        notice, = [m for m in mails if b'gone@demo.test' in m]
        assert b'Delivered-To: postmaster@demo.test\n' in notice
        wait_for('the command', lambda: (h.dir / 'out/sender').exists(), explain=h.log_tail)
        assert (h.dir / 'out/sender').read_text() == 'owner-team@demo.test\n'
        assert len(h.mailbox('user')) == 1              # the writer hears nothing of it
        h.send('plain@demo.test', 'Subject: two\r\n\r\nx\r\n')
        assert any(b'Return-Path: <stranger@far.test>\n' in m for m in h.wait_mail('user', 2))
        h.send('team@demo.test', 'Subject: three\r\n\r\nx\r\n', sender='')
        assert any(b'Return-Path: <>\n' in m and b'three' in m for m in h.wait_mail('user', 3))


def test_a_list_may_have_a_mailbox_of_its_own():
    """The Delivered-To of the list is no loop for the mailbox that has the list's name."""
    h = alias_host('user: user, postmaster\nowner-user: boss\nboss: postmaster\n')
    with h:
        h.send('user@demo.test', 'Subject: one\r\n\r\nx\r\n')
        mail, = h.wait_mail('user')
        assert b'Return-Path: <owner-user@demo.test>\n' in mail
        h.wait_mail('postmaster')
        assert not h.log_lines('delivery.result', status='failed')


def test_what_fails_is_no_trouble_of_a_section():
    """Three commands that fail are their owners' matter, not that of the mailboxes of postmaster."""
    h = alias_host('late: |fail 75\n')
    script(h, 'bin/fail', 'exit $1\n')
    with h:
        for n in range(1, 5):
            h.send('late@demo.test')
            h.wait_log('delivery.result', to='late@demo.test', status='deferred', count=n)
        out = subprocess.run([BUILD / 'bin/mtactl', '-c', h.dir / 'etc/mansio.conf', 'status'], capture_output=True, text=True)
        assert out.returncode == 0 and 'mailbox' not in out.stdout.split('degraded')[-1], out.stdout
