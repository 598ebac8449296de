"""Programs of Debian that send mail through /usr/sbin/sendmail: mailx, s-nail, mutt, cron, PHP, each as it is packaged.

They run in a mount namespace whose /usr/sbin has our sendmail, /etc the host's configuration, and /run and /var/spool/cron nothing of the
machine's. The programs are copies with the modes that the package gives them: postdrop is set-gid.
"""
import os, quopri, shutil, signal, subprocess

import pytest

from host import BUILD, DEADLINE, HAS_MOUNTS, ROOT, Host, wait_for

pytestmark = [pytest.mark.root,
              pytest.mark.skipif(not HAS_MOUNTS, reason='no mount namespaces here')]
MAILX = ROOT / 'build/peers/bsd-mailx'
CONF = 'map aliases { type = aliases  source = "@DIR@/etc/aliases" }\naddress { aliases = aliases }'
IN_HOST = '''
d=$1; shift
mount --bind /usr/sbin "$d/real-sbin" && mount --bind "$d/sbin" /usr/sbin && mount --bind "$d/etc-copy" /etc &&
mount -t tmpfs tmpfs /run && mkdir -p /var/spool/cron && mount --bind "$d/cron" /var/spool/cron && exec "$@"
'''


class ClientHost(Host):
    """Mail for root and nobody goes to user."""

    def __init__(self):
        super().__init__(conf=CONF)

    def start(self, **kw):
        (self.dir / 'etc').mkdir(exist_ok=True)
        (self.dir / 'etc/aliases').write_text('root: user\nnobody: user\n')
        super().start(**kw)
        self.dir.chmod(0o711)
        for d in ('sbin', 'real-sbin', 'bin', 'cron', 'cron/crontabs', 'home'):
            (self.dir / d).mkdir(exist_ok=True)
        (self.dir / 'home').chmod(0o777)
        for p in ('sendmail', 'postdrop', 'mtactl'):
            shutil.copy(BUILD / 'bin' / p, self.dir / 'bin')
        shutil.chown(self.dir / 'bin/postdrop', 'root', 'mansio-drop')
        (self.dir / 'bin/postdrop').chmod(0o2755)
        for p in os.listdir('/usr/sbin'):
            if p not in ('sendmail', 'mailq', 'newaliases'):
                (self.dir / 'sbin' / p).symlink_to(self.dir / 'real-sbin' / p)
        (self.dir / 'sbin/sendmail').symlink_to(self.dir / 'bin/sendmail')
        shutil.copytree('/etc', self.dir / 'etc-copy', symlinks=True)
        (self.dir / 'etc-copy/mansio').mkdir(exist_ok=True)
        (self.dir / 'etc-copy/mailname').write_text('demo.test\n')
        shutil.copy(self.dir / 'etc/mansio.conf', self.dir / 'etc-copy/mansio')
        return self

    def command(self, *args, user='nobody', env=()):
        who = [] if user == 'root' else ['setpriv', f'--reuid={user}', '--regid=nogroup', '--clear-groups', '--']
        return ['unshare', '-m', 'sh', '-c', IN_HOST, 'sh', str(self.dir), *who, 'env', f'HOME={self.dir}/home', f'TMPDIR={self.dir}/home', 'LANG=C.UTF-8', 'LC_ALL=C.UTF-8', *env, *map(str, args)]

    def run(self, *args, input=b'', **kw):
        r = subprocess.run(self.command(*args, **kw), input=input, capture_output=True, timeout=DEADLINE * 2)
        assert r.returncode == 0, r
        return r.stdout + r.stderr


@pytest.fixture(scope='module')
def host():
    with ClientHost() as h:
        yield h


def arrived(h, subject):
    """The one message with this subject; (header, body)."""
    find = lambda: [m for m in h.mailbox() if b'Subject: ' + subject + b'\n' in m]
    wait_for(f'a message about {subject}', find, explain=h.log_tail)
    wait_for('drop/ is empty', lambda: os.listdir(h.dir / 'spool/drop') == ['bad'])
    mail, = find()
    return mail.split(b'\n\n', 1)


def sent_by(head, login, uid):
    assert f'Return-Path: <{login}@demo.test>\n'.encode() in head and f'(from uid {uid})'.encode() in head, head
    for field in (b'From:', b'Date:', b'Message-ID:'):
        assert head.lower().count(b'\n' + field.lower()) == 1, head


@pytest.mark.skipif(not (MAILX / '.complete').exists(), reason='bsd-mailx is not unpacked')
def test_bsd_mailx(host):
    # it knows /tmp alone as a place for the message
    user, uid = ('nobody', 65534) if os.stat('/tmp').st_mode & 0o002 else ('root', 0)
    host.run(MAILX / 'usr/bin/bsd-mailx', '-s', 'from mailx', '-c', 'root', 'user', input=b'hello\n..\nmore\n', user=user,
             env=[f'LD_LIBRARY_PATH={MAILX}/usr/lib/x86_64-linux-gnu'])
    head, body = arrived(host, b'from mailx')
    sent_by(head, user, uid)
    assert b'\nTo: user@demo.test\n' in head and b'\nCc: root@demo.test\n' in head and body == b'hello\n..\nmore\n'


@pytest.mark.skipif(not shutil.which('s-nail'), reason='s-nail is not installed')
def test_s_nail(host):
    host.run('s-nail', '-:/', '-s', 's-nail', '-b', 'root', 'user', input='grüße\n.\nend\n'.encode())
    head, body = arrived(host, b's-nail')
    sent_by(head, 'nobody', 65534)
    assert b'Bcc' not in head and b'root' not in head.split(b'\nDate:', 1)[1] and quopri.decodestring(body) == 'grüße\n.\nend\n'.encode(), body


@pytest.mark.skipif(not shutil.which('mutt'), reason='mutt is not installed')
def test_mutt(host):
    (host.dir / 'home/file').write_bytes(bytes(range(256)) * 40)
    host.run('mutt', '-n', '-F', '/dev/null', '-e', 'set copy=no', '-s', 'mutt', '-c', 'User <user>', '-a', host.dir / 'home/file', '--', 'user@demo.test', input=b'text\n')
    head, body = arrived(host, b'mutt')
    sent_by(head, 'nobody', 65534)
    assert b'multipart/mixed' in head and b'text\n' in body and b'Content-Disposition: attachment; filename=file' in body
    # sending on somebody else's message: what mutt calls bouncing
    host.run('sh', '-c', '{ echo "Resent-From: nobody"; echo "Resent-To: user"; cat; } | /usr/sbin/sendmail -oem -oi -- user', input=b'From: a@far.test\nTo: b@far.test\nSubject: sent on\n\nx\n')
    head, _ = arrived(host, b'sent on')
    assert b'\nFrom: a@far.test\n' in head and b'\nTo: b@far.test\n' in head and b'Resent-To: user@demo.test\n' in head


@pytest.mark.skipif(not shutil.which('php'), reason='php is not installed')
def test_php_mail(host):
    script = r'''
        $ok = mail("user@demo.test, root", "=?UTF-8?Q?php_=C3=BC?=", "line one\r\nline two\n.\nend\n", "From: Web <www@demo.test>\r\nBcc: postmaster");
        exit($ok ? 0 : 1);
    '''
    host.run('php', '-r', script)
    # user, and root by its alias, are one mailbox: one copy
    head, body = arrived(host, b'=?UTF-8?Q?php_=C3=BC?=')
    head += b'\n'
    assert b'Return-Path: <nobody@demo.test>\n' in head and b'\nFrom: Web <www@demo.test>\n' in head and b'To: user@demo.test, root@demo.test\n' in head
    assert b'Bcc' not in head and b'\r' not in head + body and body.rstrip() == b'line one\nline two\n.\nend', body
    assert len(host.wait_mail('postmaster')) == 1
    # with an envelope sender of its own, as forms do it
    host.run('php', '-d', 'sendmail_path=/usr/sbin/sendmail -t -i -f form@demo.test', '-r', 'exit(mail("user@demo.test", "php form", "x") ? 0 : 1);')
    assert b'Return-Path: <form@demo.test>\n' in arrived(host, b'php form')[0]
    assert subprocess.run(host.command('php', '-r', 'exit(mail("not an address", "bad", "x") ? 0 : 1);'), capture_output=True).returncode == 1


@pytest.mark.skipif(not shutil.which('cron'), reason='cron is not installed')
def test_cron(host):
    """The real daemon; what a job says is root's mail, or its owner's, and the alias brings it to user."""
    etc = host.dir / 'etc-copy'
    (etc / 'crontab').write_text('')
    for p in (etc / 'cron.d').iterdir():
        p.unlink()
    (etc / 'cron.d/ours').write_text('@reboot root echo said by root\n@reboot nobody echo said by nobody; echo .; echo end\n')
    (etc / 'cron.d/ours').chmod(0o644)
    cron = subprocess.Popen(host.command('cron', '-f', user='root'), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        for who, uid in (('root', 0), ('nobody', 65534)):
            find = lambda: [m for m in host.mailbox() if b'said by ' + who.encode() in m]
            wait_for(f'mail of the job of {who}', find, explain=host.log_tail)
            head, body = find()[0].split(b'\n\n', 1)
            sent_by(head, who, uid)
            assert f'\nFrom: root@demo.test (Cron Daemon)\nTo: {who}@demo.test\nSubject: Cron <{who}@'.encode() in head, head
            assert body == (b'said by root\n' if uid == 0 else b'said by nobody\n.\nend\n') and b'\nDelivered-To: user@demo.test\n' in b'\n' + head
    finally:
        os.killpg(cron.pid, signal.SIGKILL)
        cron.wait(DEADLINE)


def test_mailq_and_newaliases_of_an_ordinary_user(host):
    for words in (['-bp'], ['-bi'], ['-q']):
        r = subprocess.run(host.command('sendmail', *words), capture_output=True, text=True, timeout=DEADLINE)
        assert r.returncode == 77 and 'only root' in r.stderr, (words, r)
    r = subprocess.run(host.command('sendmail', '-v', 'user'), input=b'Subject: watched\n\n', capture_output=True, timeout=DEADLINE * 2)
    assert r.returncode == 0 and b'user@demo.test... Sent' in r.stdout, r
