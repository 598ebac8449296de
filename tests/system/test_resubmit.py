"""Programs of recipients that send on what they get: procmail's `!`, vacation, ~/.forward, a content filter.

The whole host runs in a mount namespace whose /usr/sbin/sendmail is ours, with postdrop set-gid as the package has it: an agent that
kept its programs from what set-gid means would show here.
"""
import contextlib, os, pathlib, shutil, subprocess

import pytest

import host as host_module
from host import BUILD, HAS_MOUNTS, Host, wait_for
from test_mailbox import messages, script, system_users

pytestmark = [pytest.mark.root,
              pytest.mark.skipif(not HAS_MOUNTS, reason='no mount namespaces here')]
WRAPPER = '''#!/bin/sh
exec unshare -m sh -c 'mount --bind /usr/sbin "{d}/real-sbin" && mount --bind "{d}/sbin" /usr/sbin && mount --bind "{d}/etc-copy" /etc &&
exec "$0" "$@"' {mtad} "$@"
'''


class WrappedHost(Host):
    def start(self, **kw):
        conf, d = self.write(), self.dir
        d.chmod(0o755)
        for name in ('sbin', 'real-sbin', 'bin', 'spool-mail', 'out', 'wrapped/bin'):
            (d / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(d / 'spool-mail', 'root', 'mail')
        (d / 'spool-mail').chmod(0o2775)
        shutil.chown(d / 'out', 'nobody', 'nogroup')
        for p in ('sendmail', 'postdrop'):
            shutil.copy(BUILD / 'bin' / p, d / 'bin')
        shutil.chown(d / 'bin/postdrop', 'root', 'mansio-drop')
        (d / 'bin/postdrop').chmod(0o2755)
        for p in os.listdir('/usr/sbin'):
            if p not in ('sendmail', 'mailq', 'newaliases'):
                (d / 'sbin' / p).symlink_to(d / 'real-sbin' / p)
        (d / 'sbin/sendmail').symlink_to(d / 'bin/sendmail')
        shutil.copytree('/etc', d / 'etc-copy', symlinks=True)
        (d / 'etc-copy/mansio').mkdir(exist_ok=True)
        shutil.copy(conf, d / 'etc-copy/mansio/mansio.conf')
        (d / 'wrapped/bin/mtad').write_text(WRAPPER.format(d=d, mtad=BUILD / 'bin/mtad'))
        (d / 'wrapped/bin/mtad').chmod(0o755)
        host_module.BUILD = d / 'wrapped'
        try:
            return super().start(**kw)
        finally:
            host_module.BUILD = BUILD


@contextlib.contextmanager
def wrapped(mailbox, *names, conf='', prepare=lambda h: None):
    with system_users(*names) as users:
        h = WrappedHost(conf=f'mailbox system {{ {mailbox} }}\n' + conf)
        h.user = users
        prepare(h)
        with h:
            yield h


def put(user, name, text, mode=0o600):
    path = pathlib.Path(user.pw_dir) / name
    path.write_text(text)
    os.chown(path, user.pw_uid, user.pw_gid)
    path.chmod(mode)


def spooled(h, name, count=1):
    box = h.dir / 'spool-mail' / name
    wait_for(f'{count} messages of {name}', lambda: box.exists() and len(messages(box)) >= count, explain=h.log_tail)
    return messages(box)


def taken(h, user):
    """The submission that came from this user's process."""
    return h.wait_log('cleanup.drop.taken', uid=user.pw_uid)


MBOX = 'method = mbox spool = "@DIR@/spool-mail"'


@pytest.mark.skipif(not shutil.which('procmail'), reason='procmail is missing')
def test_procmail_forwards():
    with wrapped('method = procmail', 'one') as h:
        one = h.user['one']
        put(one, '.procmailrc', 'DEFAULT=$HOME/box\n:0 c\n! user@demo.test\n')
        h.send(f'{one.pw_name}@demo.test', 'Subject: on\r\n\r\nhello\r\n')
        mail = h.wait_mail('user')[0]
        assert b'Subject: on\n' in mail and b'hello\n' in mail
        # procmail names no sender: it is whose process it is
        assert f'sender={one.pw_name}@demo.test' in taken(h, one), taken(h, one)
        wait_for('the copy', lambda: (pathlib.Path(one.pw_dir) / 'box').exists(), explain=h.log_tail)


@pytest.mark.skipif(not shutil.which('procmail'), reason='procmail is missing')
def test_procmail_loop_ends():
    with wrapped('method = procmail', 'one') as h:
        one = h.user['one']
        put(one, '.procmailrc', f'SENDMAILFLAGS="-oi -f user@demo.test"\n:0\n! {one.pw_name}@demo.test\n')
        h.send(f'{one.pw_name}@demo.test', sender='user@demo.test')
        line = h.wait_log('delivery.result', status='failed')
        assert 'dsn=5.4.6' in line, line
        assert b'loop' in h.wait_mail('user')[0]
        assert len(h.log_lines('cleanup.drop.taken')) == 1


@pytest.mark.skipif(not shutil.which('vacation'), reason='vacation is missing')
def test_vacation_answers_once():
    with wrapped(MBOX, 'one') as h:
        one = h.user['one']
        put(one, '.vacation.msg', 'Subject: away\n\nback soon\n')
        put(one, '.forward', f'\\{one.pw_name}, "|/usr/bin/vacation {one.pw_name}"\n')
        for n in (1, 2):
            h.send(f'{one.pw_name}@demo.test', f'From: user@demo.test\r\nTo: {one.pw_name}@demo.test\r\nSubject: q{n}\r\n\r\nhello\r\n', sender='user@demo.test')
            h.wait_log('delivery.result', to=f'{one.pw_name}@demo.test', status='delivered', count=3 * n)
        spooled(h, one.pw_name, 2)
        answer, = h.wait_mail('user')
        assert b'Subject: away\n' in answer and b'back soon\n' in answer
        assert f'uid={one.pw_uid}' in taken(h, one)
        # a notice is not answered
        h.send(f'{one.pw_name}@demo.test', f'From: MAILER-DAEMON@far.test\r\nTo: {one.pw_name}@demo.test\r\nSubject: n\r\n\r\nx\r\n', sender='')
        h.wait_log('delivery.result', to=f'{one.pw_name}@demo.test', status='delivered', count=9)
        assert len(h.log_lines('cleanup.drop.taken')) == 1 and len(h.mailbox('user')) == 1


def test_a_forward_command_that_calls_sendmail():
    with wrapped(MBOX, 'one', 'two') as h:
        one, two = h.user['one'], h.user['two']
        put(one, '.forward', f'"|/usr/sbin/sendmail -oi -f \\"$SENDER\\" {two.pw_name}"\n')
        h.send(f'{one.pw_name}@demo.test', 'Subject: on\r\n\r\n.\r\nhello\r\n')
        mail = spooled(h, two.pw_name)[0]
        assert mail['Return-Path'] == '<stranger@far.test>' and '.\nhello' in mail.get_payload()
        assert f'uid={one.pw_uid}' in taken(h, one)


def test_content_filter_as_a_pipe():
    """As spamc is used: a pipe changes the message and hands it back to sendmail for the same recipient, once."""
    def prepare(h):
        script(h, 'filter', '{ echo "X-Filtered: yes"; sed -e 1d -e "/^Delivered-To:/d"; } | /usr/sbin/sendmail -oi -f "$1" -- "$2"\n')
    conf = ('map raw { type = inline  entries = [ "in@demo.test -" ] }\n'
            'mailbox filter { lookup = raw  method = pipe  user = nobody  from_line = yes  command = [ "@DIR@/filter", "%s", "%r" ] }\n')
    with wrapped(MBOX, 'one', conf=conf + 'map virtual { type = inline  entries = [ "go@demo.test in@demo.test" ] }\n', prepare=prepare) as h:
        # the filter's own address ends elsewhere the second time
        text = (h.dir / 'filter').read_text().replace('"$2"', '"user@demo.test"')
        (h.dir / 'filter').write_text(text)
        h.send('in@demo.test', 'Subject: spam?\r\n\r\n.\r\nhello\r\n')
        mail = h.wait_mail('user')[0]
        assert b'X-Filtered: yes\n' in mail and b'.\nhello\n' in mail and b'Return-Path: <stranger@far.test>\n' in mail
        # and when it does not, it ends by hops or Delivered-To, not in a storm
        (h.dir / 'filter').write_text(text.replace('-e "/^Delivered-To:/d"', '').replace('user@demo.test', 'in@demo.test'))
        h.send('in@demo.test', sender='user@demo.test')
        assert 'dsn=5.4.6' in h.wait_log('delivery.result', to='in@demo.test', status='failed')
