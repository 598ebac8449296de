"""Local delivery as the recipient: mbox files below a spool directory or a home."""
import contextlib, grp, os, pathlib, pwd, shutil, smtplib, stat, subprocess, tempfile, time

import pytest

from host import BUILD, Host, wait_for

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
def mail_host(mailbox, *names, conf='', mtad=()):
    """A host whose system users `names` have the mailbox; spool is like Debian's /var/mail."""
    with system_users(*names) as users:
        h = Host(conf=f'mailbox system {{ {mailbox} }}\n' + conf, mtad=mtad)
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


def script(h, name, text):
    """An executable for the test's commands, outside of anybody's home."""
    path = h.dir / name
    path.write_text('#!/bin/sh\n' + text)
    path.chmod(0o755)
    return path


COMMAND = 'method = command  command = [ "@DIR@/take", "%u", "%d", "%x", "%s", "%r" ]  timeout = 2s'


def test_command_runs_as_the_recipient():
    with mail_host(COMMAND, 'one') as h:
        one = h.user['one']
        out = pathlib.Path(one.pw_dir) / 'out'
        script(h, 'take', 'exec >>"$HOME/out"; id -u; id -g; id -G; pwd; for a; do echo "arg:$a"; done; env | sort; cat\n')
        qid = deliver(h, one, 'Subject: x\r\n\r\nFrom a\r\nbody\r\n', ext='+$HOME`id`|x', sender='"a b;`id`"@far.test')
        line = result(h, qid)
        assert 'status=delivered' in line and 'dsn=2.0.0' in line, line
        text = out.read_text().splitlines()
        assert text[:2] == [str(one.pw_uid), str(one.pw_gid)] and text[3] == one.pw_dir
        args = [l[4:] for l in text if l.startswith('arg:')]
        assert args == [one.pw_name, 'demo.test', '$HOME`id`|x', '"a b;`id`"@far.test', f'{one.pw_name}+$HOME`id`|x@demo.test'], args
        env = dict(l.split('=', 1) for l in text[4 + len(args):] if '=' in l and ' ' not in l.split('=', 1)[0])
        assert env['HOME'] == one.pw_dir and env['USER'] == env['LOGNAME'] == one.pw_name and env['SHELL'] == '/bin/sh'
        assert env['SENDER'] == '_a_b__id__@far.test' and env['DOMAIN'] == 'demo.test' and env['EXTENSION'] == '_HOME_id__x'
        assert set(env) <= {'HOME', 'USER', 'LOGNAME', 'SHELL', 'PATH', 'SENDER', 'RECIPIENT', 'EXTENSION', 'DOMAIN', 'TZ',
                            'PWD', 'OLDPWD', 'SHLVL', '_'}, env
        body = '\n'.join(text)
        assert 'Return-Path: <"a b;`id`"@far.test>\n' in body and body.endswith('\n\nFrom a\nbody')


def test_command_holds_nothing_of_ours_and_may_run_set_id_programs():
    """Three descriptors, no environment, no lock that keeps procmail or postdrop from being what they are."""
    with mail_host(COMMAND, 'one') as h:
        one = h.user['one']
        script(h, 'take', 'exec >"$HOME/out"; echo $(for f in /proc/$$/fd/*; do readlink $f; done); grep -E "^(NoNewPrivs|Seccomp|CapEff|CapPrm):" '
                          '/proc/self/status\n')
        assert 'status=delivered' in result(h, deliver(h, one)), h.log_tail()
        text = (pathlib.Path(one.pw_dir) / 'out').read_text().splitlines()
        assert 'socket' not in text[0] and 'mansio.log' not in text[0] and len(text[0].split()) <= 6, text
        status = dict(l.split(':\t') for l in text[1:])
        assert status['NoNewPrivs'] == '0' and int(status['CapEff'], 16) == 0 and int(status['CapPrm'], 16) == 0, status


def test_owner_of_the_directory_races_against_the_delivery():
    """CVE-2008-2936, CVE-2010-2023: the user swaps the mailbox for links to somebody else's file all the time."""
    with mail_host('method = mbox path = "~/mail/inbox"', 'one') as h:
        one = h.user['one']
        box = pathlib.Path(one.pw_dir) / 'mail/inbox'
        box.parent.mkdir()
        shutil.chown(box.parent, one.pw_uid, one.pw_gid)
        victim = h.dir / 'victim'
        victim.write_text('untouched\n')
        victim.chmod(0o666)
        loop = f'while :; do ln -sf {victim} {box}; rm -f {box}; : >{box}; rm -f {box}; ln {victim} {box} 2>/dev/null; rm -f {box}; done'
        attacker = subprocess.Popen(['setpriv', f'--reuid={one.pw_uid}', f'--regid={one.pw_gid}', '--clear-groups', 'sh', '-c', loop],
                                    stderr=subprocess.DEVNULL)
        try:
            ids = [deliver(h, one) for _ in range(150)]
            for qid in ids:
                h.wait_log('delivery.result', id=qid)
        finally:
            attacker.kill()
            attacker.wait()
        assert victim.read_text() == 'untouched\n'
        assert any('status=deferred' in l for l in h.log_lines('delivery.result'))


def test_other_writers_and_many_deliveries_keep_the_file_whole():
    """A mail reader that takes the same locks rewrites the file while messages arrive."""
    import fcntl
    with mail_host('method = mbox spool = "@DIR@/spool-mail"', 'one') as h:
        one = h.user['one']
        assert 'status=delivered' in result(h, deliver(h, one))
        box, lock = h.spool / one.pw_name, h.spool / f'{one.pw_name}.lock'
        ids = []
        for i in range(40):
            ids.append(deliver(h, one, f'Subject: n{i}\r\n\r\nFrom {i}\r\n'))
            with contextlib.suppress(FileExistsError):
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                with open(box, 'r+') as f:
                    fcntl.lockf(f, fcntl.LOCK_EX)
                    whole = f.read()
                    f.seek(0)
                    f.write(whole)
                lock.unlink()
        for qid in ids:
            assert 'status=delivered' in h.wait_log('delivery.result', id=qid)
        subjects = sorted(m['Subject'] for m in messages(box))
        assert subjects == sorted(['t'] + [f'n{i}' for i in range(40)])


def test_postmaster_may_have_an_mbox():
    conf = 'mailbox postmaster { method = mbox root = "@DIR@/mail" path = "postmaster" owner = mansio-vmail }'
    with Host(conf=conf, demo_mailbox=False) as h:
        for name in ('postmaster', 'root'):
            assert 'status=delivered' in result(h, h.send(f'{name}@demo.test')), h.log_tail()
            assert len(messages(h.dir / 'mail' / name)) == 1


@pytest.mark.parametrize('code,status,dsn', [(67, 'failed', '5.1.1'), (65, 'failed', '5.6.0'), (75, 'deferred', '4.3.0'),
                                             (78, 'deferred', '4.3.5'), (1, 'failed', '5.3.0'), (127, 'deferred', '4.3.0')])
def test_command_says_what_happened(code, status, dsn):
    with mail_host(COMMAND, 'one') as h:
        script(h, 'take', f'echo "some words" >&2; exit {code}\n')
        line = result(h, deliver(h, h.user['one']))
        assert f'status={status}' in line and f'dsn={dsn}' in line and 'some words' in line and f'exit {code}' in line


def test_command_that_is_missing_hangs_or_dies_is_tried_again():
    with mail_host(COMMAND, 'one') as h:
        one = h.user['one']
        line = result(h, deliver(h, one))
        assert 'status=deferred' in line and 'dsn=4.3.5' in line and 'No such file' in line
        script(h, 'take', 'sleep 600 & echo $! >"$HOME/child"; sleep 600\n')
        line = result(h, deliver(h, one))
        assert 'status=deferred' in line and 'time limit' in line, line
        child = int((pathlib.Path(one.pw_dir) / 'child').read_text())
        wait_for('the whole group is gone', lambda: not pathlib.Path(f'/proc/{child}').exists() or
                 ') Z' in pathlib.Path(f'/proc/{child}/stat').read_text())
        script(h, 'take', 'kill -SEGV $$\n')
        line = result(h, deliver(h, one))
        assert 'status=deferred' in line and 'Segmentation' in line, line


def test_missing_program_is_named_with_its_line():
    h = Host(conf='mailbox x {\n  method = command\n  command = [ /no/such/program ]\n}\n')
    conf = h.write()
    line = next(i for i, l in enumerate(conf.read_text().splitlines(), 1) if '/no/such/program' in l)
    r = subprocess.run([BUILD / 'bin/mtad', '-n', '-c', conf], capture_output=True, text=True)
    assert r.returncode == 0 and f'mansio.conf:{line}' in r.stderr and '/no/such/program' in r.stderr, r.stderr
    shutil.rmtree(h.dir)


def test_hyphen_of_a_stranger_is_no_option():
    with mail_host(COMMAND, 'one') as h:
        script(h, 'take', 'exit 0\n')
        line = result(h, deliver(h, h.user['one'], ext='+-oops'))
        assert 'status=failed' in line and 'dsn=5.1.3' in line and 'hyphen' in line


def test_pipe_runs_as_its_configured_user():
    """A system user below uid_min, for the recipients that a table lists."""
    conf = '''map piped { type = inline  entries = [ "list@demo.test yes" ] }
        mailbox lists { lookup = piped  method = pipe  user = daemon  command = [ "@DIR@/take", "%u", "%x" ] }'''
    with mail_host('method = mbox spool = "@DIR@/spool-mail"', 'one', conf=conf) as h:
        out = h.dir / 'piped'
        out.mkdir()
        shutil.chown(out, 'daemon')
        script(h, 'take', f'{{ id -un; id -Gn; echo "$1 $2"; cat; }} >"{out}/$$"\n')
        line = result(h, h.send('list+a@demo.test'))
        assert 'status=delivered' in line, line
        text = next(out.iterdir()).read_text().splitlines()
        assert text[0] == 'daemon' and text[1].split()[0] == 'daemon' and text[2] == 'list a', text
        line = result(h, deliver(h, h.user['one']))
        assert 'status=delivered' in line, line


@pytest.mark.skipif(not shutil.which('procmail'), reason='procmail is missing')
def test_procmail_files_by_recipe_and_defers():
    with mail_host('method = procmail', 'one') as h:
        one = h.user['one']
        home = pathlib.Path(one.pw_dir)
        rc = home / '.procmailrc'
        rc.write_text('MAILDIR=$HOME\nLOGFILE=$HOME/log\nDEFAULT=$HOME/default\n:0:\n* ^Subject: list\nlists\n\n'
                      ':0\n* ^Subject: later\n{\n  EXITCODE=75\n  HOST=none\n}\n')
        rc.chmod(0o600)
        shutil.chown(rc, one.pw_uid, one.pw_gid)
        assert 'status=delivered' in result(h, deliver(h, one, 'Subject: list\r\n\r\nx\r\n')), h.log_tail()
        lists = (home / 'lists').read_text()
        assert lists.startswith('From stranger@far.test ') and (home / 'lists').stat().st_uid == one.pw_uid
        assert 'status=delivered' in result(h, deliver(h, one, 'Subject: other\r\n\r\nx\r\n')), h.log_tail()
        assert (home / 'default').exists()
        line = result(h, deliver(h, one, 'Subject: later\r\n\r\nx\r\n'))
        assert 'status=deferred' in line and 'exit 75' in line, line


def test_mail_for_root_without_an_alias_is_stored():
    with Host() as h:
        line = result(h, h.send('Root@demo.test'))
        assert 'status=delivered' in line and len(h.mailbox('root')) == 1, line
        assert all(p.owner() == 'mansio-vmail' for p in (h.dir / 'mail/root/new').iterdir())


def test_alias_of_root_comes_first():
    conf = '''map aliases { type = inline  entries = [ "root user" ] }
        address { aliases = aliases }'''
    with Host(conf=conf) as h:
        h.send('root@demo.test')
        h.wait_mail('user')
        assert not (h.dir / 'mail/root').exists()
