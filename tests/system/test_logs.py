"""Where log lines go: a file, stderr, syslog across its restart; and that one line is enough."""
import ctypes, os, re, shutil, socket, subprocess, tempfile

import pytest

from host import Host, Raw, wait_for


def own_dev():
    """A /dev of this process alone, so that /dev/log can be the test's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:
        raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNS)')
    run = lambda *c: subprocess.run(c, check=True)
    # In a chroot the root is no mount point; then /dev itself may be one.
    if not any(subprocess.run(['mount', '--make-rprivate', at], capture_output=True).returncode == 0 for at in ('/', '/dev')):
        pytest.skip('cannot have a /dev of its own here')
    tmp = tempfile.mkdtemp()
    run('mount', '-t', 'tmpfs', 'tmpfs', tmp)
    for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty'):
        shutil.copystat(f'/dev/{name}', tmp)
        st = os.stat(f'/dev/{name}')
        os.mknod(f'{tmp}/{name}', st.st_mode, st.st_rdev)
        os.chmod(f'{tmp}/{name}', 0o666)
    os.chmod(tmp, 0o755)
    os.symlink('/proc/self/fd', f'{tmp}/fd')
    os.mkdir(f'{tmp}/shm')
    run('mount', '--bind', tmp, '/dev')


class Syslog:
    """/dev/log as syslogd has it."""

    def __init__(self):
        if os.path.exists('/dev/log'):
            os.unlink('/dev/log')
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.bind('/dev/log')
        os.chmod('/dev/log', 0o666)
        self.s.settimeout(0.1)
        self.lines = []

    def read(self):
        try:
            while True:
                self.lines.append(self.s.recv(65536).decode(errors='replace'))
        except OSError:
            pass
        return self.lines

    def wait(self, pattern):
        return wait_for(f'syslog line {pattern}', lambda: [l for l in self.read() if re.search(pattern, l)], 20,
                        explain=lambda: '\n'.join(self.lines[-20:]))[0]

    def close(self):
        self.s.close()


class SyslogHost(Host):
    def conf_text(self):
        return super().conf_text().replace(f'log {{ to = "{self.log_path}" }}', 'log { to = syslog }')


@pytest.mark.root
def test_syslog_survives_a_restart_of_syslogd():
    own_dev()
    log = Syslog()
    with SyslogHost() as h:
        qid = h.send('user@demo.test')
        line = log.wait(f'delivery.result.*{qid}')
        pri = int(re.match(r'<(\d+)>', line).group(1))
        assert pri >> 3 == 2, 'facility mail'
        assert re.search(r'queued\[\d+\]: ', line), line
        # syslogd goes away and comes back, as at a package upgrade: mail goes on, no daemon needs a restart.
        pids = h.pids()
        log.close()
        h.send('user@demo.test')
        h.wait_mail(count=2)
        log = Syslog()
        again = h.send('user@demo.test')
        log.wait(f'{again}')
        for _ in range(3):
            again = h.send('user@demo.test')
        log.wait(f'delivery.result.*{again}')
        assert h.pids()['smtpd'] == pids['smtpd'] and h.pids()['queued'] == pids['queued']


def test_stderr():
    class ErrHost(Host):
        def conf_text(self):
            return super().conf_text().replace(f'log {{ to = "{self.log_path}" }}', 'log { to = stderr }')
    h = ErrHost().start()
    qid = h.send('user@demo.test')
    h.wait_mail()
    h.proc.terminate()
    out, _ = h.proc.communicate(timeout=60)
    h.proc = None
    assert qid in out.decode() and 'event=delivery.result' in out.decode()


def test_every_line_is_one_event_with_known_form():
    with Host() as h:
        h.send('user@demo.test')
        with pytest.raises(Exception):
            h.send('nobody@demo.test')
        s = Raw(h.port)
        s.send(b'EHLO evil\x1b[2Jname\r\n')
        s.reply()
        s.send(b'MAIL FROM:<"quo\\"ted id=FAKE event=smtp.message.accepted"@far.test>\r\n')
        s.reply()
        s.cmd('RCPT TO:<x@elsewhere.test>')
        s.close()
        h.wait_mail()
        h.stop()
        for line in h.log().splitlines():
            assert re.match(r'^\S+.* \S+\[\d+\]: ', line), line
            assert line.isprintable(), line
            body = line.split(']: ', 1)[1]
            assert re.match(r'^(\w+ )?event=[a-z0-9_.-]+( [a-z0-9_-]+=("(\\.|[^"\\])*"|[^\s"]*))*$', body), line


def test_refusal_line_says_who_what_and_why():
    with Host(relay_from=['192.0.2.0/24']) as h:
        s = Raw(h.port)
        s.cmd('EHLO client.far.test')
        s.cmd('MAIL FROM:<a@far.test>')
        code, text = s.cmd('RCPT TO:<b@elsewhere.test>')
        assert code == 550 and '5.7.1' in text
        s.close()
        line = h.wait_log('smtp.rcpt.refused', rcpt='b@elsewhere.test')
        for part in ('sid=', 'listener=smtp', 'client=127.0.0.1', 'helo=client.far.test', 'sender=a@far.test', 'reply="550 5.7.1'):
            assert part in line, line
        assert 'rule=' in line and 'mansio.conf:' in line, line


def test_session_line_tells_how_it_ended():
    with Host() as h:
        s = Raw(h.port)
        s.cmd('EHLO c.test')
        s.cmd('MAIL FROM:<a@far.test>')
        s.close()
        line = h.wait_log('smtp.session.ended')
        assert 'bytes' in line and 'client=127.0.0.1' in line, line
        s = Raw(h.port)
        s.cmd('QUIT')
        assert len(h.wait_log('smtp.session.ended', count=2)) == 2


def test_normal_stop_warns_of_nothing():
    """Peers leave one after the other, as they were told."""
    with Host() as h:
        h.send('user@demo.test')
        h.wait_mail('user', 1)
        assert h.stop() == 0
        after = h.log().split('event=mtad.stop.begun', 1)[1].splitlines()[1:]
    assert 'event=mtad.stop ' in after[-1]
    assert [l for l in after if (' WARN ' in l or ' ERROR ' in l)] == []
