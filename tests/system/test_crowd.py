"""Idle strangers and stalled handshakes take nearly all sessions: they make room, mail and own clients go on."""
import selectors, socket, subprocess, time

import host
from host import DEADLINE, Raw, wait_for
from test_tls_auth import authority  # noqa: F401 (a fixture)
from tls import TlsHost

CROWDED = 'max_sessions = 10 crowded_timeout = 1s'
OWN = '127.0.0.9'


def client(port, source):
    s = socket.create_connection(('127.0.0.1', port), timeout=DEADLINE, source_address=(source, 0))
    return s


def greeted(port, source):
    s = client(port, source)
    assert s.recv(1000).startswith(b'220 ')
    return s


def ended(clients, want):
    """Waits until so many were closed; returns those, with their last words, and the others."""
    words, end = {}, time.monotonic() + DEADLINE
    with selectors.DefaultSelector() as look:
        for c in clients:
            look.register(c, selectors.EVENT_READ)
        while len([w for w in words.values() if w.endswith(b'\0')]) < want:
            assert time.monotonic() < end, words
            for key, _ in look.select(1):
                try:
                    got = key.fileobj.recv(1000)
                except ConnectionError:
                    got = b''
                words[key.fileobj] = words.get(key.fileobj, b'') + (got or b'\0')
                if not got:
                    look.unregister(key.fileobj)
    return [w[:-1] for w in words.values() if w.endswith(b'\0')], [c for c in clients if not words.get(c, b'').endswith(b'\0')]


def ask(s, command):
    s.sendall(command + b'\r\n')
    return s.recv(1000)


def mtactl(h, *words):
    return subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *words], capture_output=True, text=True, timeout=60)


class CrowdedHost(host.Host):
    def __init__(self, limits=CROWDED):
        super().__init__(relay_from=[OWN + '/32'])
        self.listen = f'listen smtp {{ address = [ "127.0.0.1:{self.port}" ] {limits} }}'

    def conf_text(self):
        return one_process(super().conf_text())


class CrowdedTlsHost(TlsHost):
    def conf_text(self):
        return one_process(super().conf_text()).replace(' tls = implicit', f' tls = implicit {CROWDED}').replace(' tls = offer', ' tls = offer timeout = 1s')


def one_process(conf):
    return conf.replace('processes {', 'processes { smtpd = 1', 1)


def strangers_come(h, one, **keys):
    """Until there are enough of them."""
    clients = []

    def another():
        clients.append(one(f'127.0.0.{30 + len(clients)}'))
        return h.log_lines('smtp.crowd.begun', **keys)
    wait_for('a crowd', another, step=0)
    return clients


def test_silent_strangers_make_room_for_others():
    with CrowdedHost() as h:
        own, sender = greeted(h.port, OWN), greeted(h.port, '127.0.0.20')
        assert ask(sender, b'HELO a').startswith(b'250') and ask(sender, b'MAIL FROM:<a@far.test>').startswith(b'250')
        assert ask(sender, b'RCPT TO:<user@demo.test>').startswith(b'250') and ask(sender, b'DATA').startswith(b'354')
        words, others = ended(strangers_come(h, lambda source: greeted(h.port, source)), 2)
        assert set(words) == {b'421 4.4.2 Timeout. Closing\r\n'}
        h.wait_log('smtp.crowd.ended', listener='smtp')
        assert ask(own, b'NOOP').startswith(b'250'), 'own clients stay'
        assert ask(sender, b'hello\r\n.').startswith(b'250'), 'so does a message that has begun'
        assert any(float(l.split()[-1]) > 0 for l in mtactl(h, 'metrics').stdout.splitlines() if l.startswith('mansio_smtp_sessions_hurried_total'))
        with greeted(h.port, '127.0.0.21') as s:
            assert ask(s, b'HELO b').startswith(b'250')
        for s in (own, sender, *others):
            s.close()


def test_senders_without_recipients_make_room():
    def begun(source):
        s = greeted(h.port, source)
        assert ask(s, b'HELO a').startswith(b'250') and ask(s, b'MAIL FROM:<a@far.test>').startswith(b'250')
        return s
    with CrowdedHost() as h:
        words, others = ended(strangers_come(h, begun), 2)
        assert set(words) == {b'421 4.4.2 Timeout. Closing\r\n'}
        h.wait_log('smtp.crowd.ended', listener='smtp')
        for s in others:
            s.close()


def test_status_tells_of_a_crowd():
    with CrowdedHost('max_sessions = 5') as h:
        strangers = strangers_come(h, lambda source: greeted(h.port, source))
        p = wait_for('degraded', lambda: (p := mtactl(h, 'status')).returncode == 1 and p)
        assert 'four fifths of its sessions are taken' in p.stdout
        for s in strangers:
            s.close()
        h.wait_log('smtp.crowd.ended')
        wait_for('well again', lambda: mtactl(h, 'status').returncode == 0)


def test_stalled_handshakes_end(authority):
    """In a crowd, and in any case when their time is over."""
    with CrowdedTlsHost(authority) as h:
        words, others = ended(strangers_come(h, lambda source: client(h.subs, source), listener='submissions'), 2)
        assert not any(w.startswith(b'2') for w in words)
        h.wait_log('smtp.crowd.ended', listener='submissions')
        with ssl_connect(h, authority) as s:
            assert s.recv(1000).startswith(b'220 ')
        raw = Raw(h.port)
        raw.cmd('EHLO a.test')
        assert raw.cmd('STARTTLS')[0] == 220
        assert raw.closed()
        h.wait_log('smtp.tls.failed', listener='smtp', why='the handshake took too long')
        h.wait_log('smtp.session.ended', listener='smtp', how='timeout', helo='a.test')
        for s in others:
            s.close()


def ssl_connect(h, authority):
    return authority.context().wrap_socket(client(h.subs, '127.0.0.1'), server_hostname='mail.demo.test')
