"""test_hung.py - a daemon that was stopped, a file server that hangs: noticed, said, and the rest goes on"""
import ctypes, json, os, pathlib, shutil, signal, smtplib, subprocess, tempfile

import pytest

from host import BUILD, Host, halt, wait_for

root_only = pytest.mark.root


class WatchedHost(Host):
    """Every section can stand only once: the watchdog goes into the one that is there."""

    watchdog = '4s'

    def conf_text(self):
        return super().conf_text().replace('processes { ', f'processes {{ watchdog = {self.watchdog} ', 1)


def status(h):
    done = subprocess.run([BUILD / 'bin/mtactl', '-c', h.dir / 'etc/mansio.conf', '--json', 'status'], capture_output=True,
                          text=True, timeout=30)
    return json.loads(done.stdout)


def send(h, rcpt='user@demo.test'):
    with h.smtp() as s:
        s.sendmail('a@example.net', [rcpt], 'Subject: hi\r\n\r\nhello\r\n')


STOPPED = ['smtpd', 'cleanup', 'deliverd', 'dnsd', 'mapd', 'mapd-worker', 'historyd']


def test_stopped_daemons_are_replaced():
    """SIGSTOP of all processes but queued: said while it lasts, ended after a while, and mail goes through new ones."""
    with WatchedHost() as h:
        send(h)
        h.wait_mail()
        old = {name: set(h.pids()[name]) for name in STOPPED}
        for name in STOPPED:
            h.kill(name, signal.SIGSTOP)
        for name, pids in old.items():
            for i in range(len(pids)):
                h.wait_log('mtad.child.silent', deadline=60, child=f'{name}[{i}]', then='ended')
                h.wait_log('mtad.child.hung', deadline=60, child=f'{name}[{i}]')
        queued = h.pids()['queued']
        for name, pids in old.items():
            wait_for(f'new processes of {name}',
                     lambda: (lambda now: len(now) == len(pids) and not now & pids)(set(h.pids().get(name, []))),
                     explain=h.log_tail)
            h.wait_log('mtad.child.ready', child=f'{name}[0]')
        assert h.pids()['queued'] == queued
        wait_for('mail is taken', lambda: taken(h))
        h.wait_mail(count=2)


def taken(h):
    """The peers of a new process hear of it a moment later: 451 until then."""
    try:
        send(h)
        return True
    except (smtplib.SMTPException, OSError):
        return False


def test_stopped_queued_is_waited_for():
    """queued may wait for its disk: it is said, never ended, and goes on where it was."""
    with WatchedHost() as h:
        send(h)
        h.wait_mail()
        queued, = h.pids()['queued']
        halt(queued)
        h.wait_log('mtad.child.silent', deadline=60, child='queued[0]', then='waited for')
        report = status(h)
        assert any(r['kind'] == 'degraded' and r['what'] == 'queued[0]' and 'does not answer' in r['problem']
                   for r in report['rows']), report
        # All others would have been ended by now.
        h.kill('dnsd', signal.SIGSTOP)
        h.wait_log('mtad.child.hung', deadline=60, child='dnsd[0]')
        assert h.pids()['queued'] == [queued]
        os.kill(queued, signal.SIGCONT)
        h.wait_log('mtad.child.answers', child='queued[0]')
        send(h)
        h.wait_mail(count=2)


class HungMount:
    """A file system whose server never answers: opening something on it does not return."""

    def __init__(self, path):
        self.path = path
        self.libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.fd = os.open('/dev/fuse', os.O_RDWR)
        except OSError as e:
            pytest.skip(f'no /dev/fuse: {e}')
        options = f'fd={self.fd},rootmode=40755,user_id=0,group_id=0,allow_other'.encode()
        if self.libc.mount(b'hung', str(path).encode(), b'fuse', 0, options) < 0:
            os.close(self.fd)
            pytest.skip(f'no FUSE here: {os.strerror(ctypes.get_errno())}')

    def close(self):
        """The server dies: what waits gets an error."""
        os.close(self.fd)
        self.libc.umount2(str(self.path).encode(), 2)


@pytest.fixture
def users():
    """Two system users of our own: one home is on the file server."""
    top = pathlib.Path(tempfile.mkdtemp(prefix='mansio-test-homes-'))
    top.chmod(0o755)
    names = [f'mt{os.getpid() % 100000}{c}' for c in 'ab']
    for n in names:
        subprocess.run(['useradd', '-m', '-d', top / n, n], check=True, capture_output=True)
    yield top, names
    for n in names:
        subprocess.run(['userdel', n], capture_output=True)
    shutil.rmtree(top, ignore_errors=True)


@root_only
def test_home_on_a_hanging_server(users):
    """Mail for one user waits; everybody else's goes on, and mtad answers all the while."""
    top, (hung, well) = users
    server = top / 'server'
    server.mkdir()
    subprocess.run(['usermod', '-d', server / hung, hung], check=True)
    mount = HungMount(server)
    try:
        with Host(conf='mailbox people { method = maildir  path = "~/Maildir" }\n') as h:
            send(h, f'{hung}@demo.test')
            wait_for('the open hangs', lambda: h.pids().get('mtad-opener'))
            for i in range(3):
                send(h, f'{well}@demo.test')
            new = top / well / 'Maildir/new'
            wait_for('mail of the other user', lambda: new.is_dir() and len(list(new.iterdir())) == 3, explain=h.log_tail)
            assert not h.log_lines('mtad.open.hung'), 'the others waited for it'
            assert status(h)
            h.wait_log('mtad.open.hung', path=f'{server}/{hung}')
            line = h.wait_log('delivery.result', status='deferred')
            assert 'does not answer' in line, line
    finally:
        mount.close()


@root_only
def test_table_on_a_hanging_server(tmp_path):
    """A reload that names a table there is refused after seconds; the old configuration goes on."""
    server = tmp_path / 'server'
    server.mkdir()
    with Host() as h:
        send(h)
        h.wait_mail()
        mount = HungMount(server)
        try:
            h.extra = f'map far {{ type = text source = "{server}/far" }}\naddress {{ virtual = far }}\n'
            h.write()
            done = subprocess.run([BUILD / 'bin/mtactl', '-c', h.dir / 'etc/mansio.conf', 'reload'], capture_output=True,
                                  text=True, timeout=30)
            assert done.returncode != 0 and 'does not answer' in done.stdout + done.stderr, done.stdout + done.stderr
            h.wait_log('mtad.reload.refused')
            send(h)
            h.wait_mail(count=2)
        finally:
            mount.close()
