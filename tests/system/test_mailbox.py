"""Local delivery as the recipient: mbox files below a spool directory or a home."""
import contextlib, grp, os, pathlib, pwd, shutil, smtplib, stat, subprocess, tempfile, time

import pytest

from host import Host, wait_for

pytestmark = pytest.mark.root


@contextlib.contextmanager
def system_users(*names):
    """Real users with homes below a directory that everybody may enter."""
    base = pathlib.Path(tempfile.mkdtemp(prefix='mansio-homes-'))
    base.chmod(0o755)
    made = {}
    try:
        for name in names:
            full = f'mt{os.getpid()}{name}'
            for _ in range(50):     # parallel tests hold the lock of /etc/passwd for a moment
                r = subprocess.run(['useradd', '--create-home', '--home-dir', base / name, '--shell', '/bin/sh', full],
                                   capture_output=True, text=True)
                if r.returncode == 0:
                    break
                time.sleep(0.1)
            assert r.returncode == 0, r.stderr
            made[name] = pwd.getpwnam(full)
            os.chmod(base / name, 0o700)
        yield made
    finally:
        for user in made.values():
            for _ in range(50):
                if subprocess.run(['userdel', user.pw_name], capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
        shutil.rmtree(base, ignore_errors=True)


@contextlib.contextmanager
def mail_host(mailbox, *names, conf=''):
    """A host whose system users `names` have the mailbox; spool is like Debian's /var/mail."""
    with system_users(*names) as users:
        h = Host(conf=f'mailbox system {{ {mailbox} }}\n' + conf)
        h.dir.chmod(0o755)
        spool = h.dir / 'spool-mail'
        spool.mkdir()
        shutil.chown(spool, 'root', 'mail')
        spool.chmod(0o2775)
        h.spool, h.user = spool, users
        with h:
            yield h


def result(h, qid, count=1):
    line = h.wait_log('delivery.result', id=qid, count=count)
    return line


def deliver(h, user, body='Subject: t\r\n\r\nhello\r\n', ext='', sender='stranger@far.test'):
    return h.send(f'{user.pw_name}{ext}@demo.test', body, sender=sender)


def messages(path):
    """Messages of an mbox file, as Python's mailbox module reads them."""
    import mailbox
    return [m for m in mailbox.mbox(path, create=False)]


def test_mbox_in_the_spool_directory():
    with mail_host('method = mbox spool = "@DIR@/spool-mail"', 'one', 'two') as h:
        one = h.user['one']
        qid = deliver(h, one, 'Subject: a\r\n\r\nFrom here on\r\n>From there\r\nend\r\n')
        assert 'status=delivered' in result(h, qid), h.log_tail()
        box = h.spool / one.pw_name
        st = box.stat()
        assert (st.st_uid, stat.S_IMODE(st.st_mode)) == (one.pw_uid, 0o600)
        assert grp.getgrgid(st.st_gid).gr_name == 'mail'
        text = box.read_text()
        assert text.startswith('From stranger@far.test  ') and text.endswith('end\n\n')
        assert '\n>From here on\n>>From there\n' in text and f'Delivered-To: {one.pw_name}@demo.test\n' in text
        for _ in range(4):
            deliver(h, one)
        wait_for('five messages', lambda: len(messages(box)) == 5, explain=h.log_tail)
        wait_for('the lock file goes', lambda: not list(h.spool.glob('*.lock')))
        # who has no home has a mailbox all the same
        shutil.rmtree(h.user['two'].pw_dir)
        assert 'status=delivered' in result(h, deliver(h, h.user['two'])), h.log_tail()


def test_mbox_lock_of_a_reader_is_waited_for():
    """A reader holds FILE.lock: the message waits, and arrives when it goes."""
    with mail_host('method = mbox spool = "@DIR@/spool-mail"', 'one') as h:
        one = h.user['one']
        lock = h.spool / f'{one.pw_name}.lock'
        lock.write_text('1\n')
        qid = deliver(h, one)
        time.sleep(1)
        assert not (h.spool / one.pw_name).exists()
        lock.unlink()
        assert 'status=delivered' in result(h, qid), h.log_tail()


def test_mbox_refuses_what_is_in_the_way():
    """CVE-2008-2936: links, objects and files of others in the spool directory."""
    with mail_host('method = mbox spool = "@DIR@/spool-mail"', 'one') as h:
        one = h.user['one']
        box, secret = h.spool / one.pw_name, h.dir / 'secret'
        secret.write_text('secret\n')
        secret.chmod(0o666)
        for plant, words in ((lambda: box.symlink_to(secret), 'links are not followed'),
                             (lambda: os.link(secret, box), 'belongs to somebody else'),
                             (lambda: (os.mkfifo(box), box.chmod(0o666)), 'no regular file'),
                             (lambda: box.mkdir(), 'in the way')):
            plant()
            line = result(h, deliver(h, one))
            assert 'status=deferred' in line and 'dsn=4.2.0' in line and words in line, line
            box.rmdir() if box.is_dir() and not box.is_symlink() else box.unlink()
        assert secret.read_text() == 'secret\n'


def test_mbox_below_the_home():
    with mail_host('method = mbox path = "~/mail/inbox"', 'one') as h:
        one = h.user['one']
        assert 'status=delivered' in result(h, deliver(h, one)), h.log_tail()
        box = pathlib.Path(one.pw_dir) / 'mail/inbox'
        assert box.stat().st_uid == one.pw_uid and len(messages(box)) == 1


def test_system_users_below_uid_min_have_no_mailbox():
    with mail_host('method = mbox spool = "@DIR@/spool-mail"', 'one') as h:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            h.send('daemon@demo.test')
        assert not (h.spool / 'daemon').exists()
