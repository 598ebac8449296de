"""test_top.py - mtactl top: once, as JSON, and live on a terminal"""
import contextlib, fcntl, json, os, pty, re, select, signal, struct, subprocess, termios, time

import host
from host import Host, wait_for

TOOL = str(host.BUILD / 'bin/mtactl')
ROUTE = 'route default { via = "127.0.0.1:1" }'


def tool(h, *words):
    return subprocess.run([TOOL, '--runtime', str(h.dir / 'run'), 'top', *words], capture_output=True, text=True, timeout=60)


def rows(h):
    return json.loads(tool(h, '--json').stdout)['rows']


class Terminal:
    """mtactl top with a terminal of 24 x 100 whose whole output is kept."""

    def __init__(self, h, *words):
        self.text = b''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ['TERM'] = 'vt100'
            os.execv(TOOL, [TOOL, '--runtime', str(h.dir / 'run'), 'top', *words])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 100, 0, 0))
        self.status = None

    def read(self):
        with contextlib.suppress(OSError):
            while select.select([self.fd], [], [], 0.02)[0]:
                data = os.read(self.fd, 65536)
                if not data:
                    break
                self.text += data
        return re.sub(rb'\x1b[^a-zA-Z]*[a-zA-Z]', b'', self.text).decode(errors='replace')

    def ended(self):
        self.read()
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def close(self):
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def test_once_and_json():
    with Host(relay_from=['127.0.0.0/8'], conf=ROUTE) as h:
        h.wait_log('delivery.result', id=h.send('user@demo.test'))
        waiting = h.send('a@far.test')
        h.wait_log('delivery.result', id=waiting)
        wait_for('the sweep', lambda: [r for r in rows(h) if r['kind'] == 'queue'][0]['deferred'] == 1)
        found = rows(h)
        rate = {r['name']: r for r in found if r['kind'] == 'rate'}
        assert rate['accepted']['total'] == 2 and rate['delivered']['total'] == 1 and rate['deferred']['total'] == 1
        assert rate['accepted']['per_second'] == '0.0'
        assert [(r['destination'], r['messages']) for r in found if r['kind'] == 'destination'] == [('far.test', 1)]
        failure, = [r for r in found if r['kind'] == 'failure']
        assert failure['recipient'] == 'a@far.test' and failure['status'] == 'deferred' and failure['id'] == waiting
        assert failure['reply'] and abs(failure['time'] - time.time()) < 3600
        text = tool(h).stdout  # no terminal: once
        assert '1 deferred' in text and 'far.test' in text and 'deferred a@far.test: ' in text
        h.kill('queued', signal.SIGSTOP)
        try:
            p = tool(h, '--once')
        finally:
            h.kill('queued', signal.SIGCONT)
        assert p.returncode == 0 and 'Rates:' in p.stdout  # the others are told
    p = tool(h, '--once')
    assert p.returncode == 69 and p.stderr, p


def test_a_rate_is_what_moved():
    with Host() as h:
        top = subprocess.Popen([TOOL, '--runtime', str(h.dir / 'run'), '--json', 'top', '--every', '3'], stdout=subprocess.PIPE, text=True)
        while top.poll() is None:
            h.send('user@demo.test')
        rate = {r['name']: float(r['per_second']) for r in json.loads(top.stdout.read())['rows'] if r['kind'] == 'rate'}
        assert rate['accepted'] > 0 and rate['sessions'] > 0 and rate['refused'] == 0


def test_live_on_a_terminal():
    with Host(relay_from=['127.0.0.0/8'], conf=ROUTE) as h:
        t = Terminal(h, '--every', '1')
        try:
            wait_for('the first picture', lambda: 'Rates:' in t.read() and 'quits' in t.read(), explain=t.read)
            assert 'far.test' not in t.read()
            h.wait_log('delivery.result', id=h.send('a@far.test'))
            wait_for('the failure on the screen', lambda: 'a@far.test' in t.read(), explain=t.read)
            fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack('HHHH', 5, 20, 0, 0))
            os.kill(t.pid, signal.SIGWINCH)
            os.write(t.fd, b'x')  # no key of ours
            assert not t.ended()
            h.stop()
            wait_for('that nobody answers', lambda: 'no answer' in t.read(), explain=t.read)
            os.write(t.fd, b'q')
            wait_for('its end', t.ended, explain=t.read)
            assert t.status == 0
        finally:
            t.close()
