"""TLS and AUTH of smtpd as clients see them: swaks, smtplib, openssl s_client, curl, and clients that attack."""
import re, smtplib, socket, ssl, subprocess, time

import pytest

from host import DEADLINE, IS_ROOT, Host, Raw, free_port, wait_for
from tls import Authority


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp('ca'))
    a.host('mail.demo.test')
    a.host('other.test', '*.wild.test')
    return a


class TlsHost(Host):
    """Listeners: smtp (offer), submission (require), submissions (implicit)."""

    def __init__(self, authority, auth='none', conf='', tls=None, **kw):
        self.sub, self.subs = free_port(), free_port()
        tls = tls or (f'tls {{ certificate = "{authority.dir}/mail.demo.test.pem" key = "{authority.dir}/mail.demo.test.key" }}\n'
                      f'tls other {{ certificate = "{authority.dir}/other.test.both.pem" }}\n')
        super().__init__(conf=tls + conf, **kw)
        more = f'submission = yes auth = {auth}' if auth != 'none' else ''
        self.listen = (f'listen smtp {{ address = [ "127.0.0.1:{self.port}" ] tls = offer }}\n'
                       f'listen submission {{ address = [ "127.0.0.1:{self.sub}" ] tls = require {more} }}\n'
                       f'listen submissions {{ address = [ "127.0.0.1:{self.subs}" ] tls = implicit {more} }}')


@pytest.fixture(scope='module')
def host(authority):
    with TlsHost(authority) as h:
        yield h


def connect(host, authority, port=None, name='mail.demo.test', **kw):
    """smtplib under STARTTLS with the certificate verified for name."""
    s = smtplib.SMTP('127.0.0.1', port or host.port, timeout=DEADLINE, local_hostname='client.test')
    s._host = name
    s.starttls(context=authority.context(**kw))
    return s


# ---- TLS ----

def test_starttls_and_implicit(host, authority):
    with connect(host, authority) as s:
        assert s.sock.version() == 'TLSv1.3'
        s.ehlo()
        assert 'starttls' not in s.esmtp_features
        s.sendmail('a@far.test', ['user@demo.test'], 'Subject: tls\r\n\r\nover TLS\r\n')
    message = host.wait_mail('user')[-1].decode()
    trace = re.search(r'^Received:.*?(?=^\S)', message, re.M | re.S).group(0)
    assert 'with ESMTPS' in trace and 'TLSv1.3 TLS_' in trace
    raw = authority.context().wrap_socket(socket.create_connection(('127.0.0.1', host.subs)), server_hostname='mail.demo.test')
    assert raw.recv(100).startswith(b'220 mail.demo.test ESMTP')
    raw.sendall(b'EHLO a.test\r\n')
    assert b'250' in raw.recv(1000)
    raw.close()
    host.wait_log('smtp.session.ended', listener='submissions', helo='a.test')
    assert 'tls="TLSv1.3 TLS_' in host.wait_log('smtp.message.accepted')


def test_sni_chooses_the_certificate(host, authority):
    for asked, got in (('mail.demo.test', 'mail.demo.test'), ('other.test', 'other.test'), ('a.wild.test', 'other.test'),
                       ('unknown.test', 'mail.demo.test')):
        raw = ssl.create_default_context(cafile=str(authority.ca))
        raw.check_hostname = False
        s = raw.wrap_socket(socket.create_connection(('127.0.0.1', host.subs)), server_hostname=asked)
        assert dict(x[0] for x in s.getpeercert()['subject'])['commonName'] == got
        s.close()


@pytest.mark.parametrize('version,ok', [('TLSv1_1', False), ('TLSv1_2', True), ('TLSv1_3', True)])
def test_versions(host, authority, version, ok):
    flag = {'TLSv1_1': '-tls1_1', 'TLSv1_2': '-tls1_2', 'TLSv1_3': '-tls1_3'}[version]
    r = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{host.port}', '-starttls', 'smtp', flag, '-cipher', 'ALL@SECLEVEL=0',
                        '-CAfile', str(authority.ca), '-verify_return_error'], input=b'QUIT\r\n', capture_output=True, timeout=DEADLINE)
    assert (b'CN = mail.demo.test' in r.stdout) == ok, r.stdout + r.stderr
    assert b'Compression: NONE' in r.stdout or not ok


def test_no_ticket_no_renegotiation(host, authority):
    r = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{host.subs}', '-tls1_2', '-CAfile', str(authority.ca)],
                       input=b'R\n', capture_output=True, timeout=DEADLINE)
    assert b'session ticket' not in r.stdout
    assert b'no renegotiation' in r.stderr or b'RENEGOTIATING' in r.stdout
    assert b'Reused' not in r.stdout


def test_required_means_required(host):
    c = Raw(host.sub)
    assert 'STARTTLS' in c.cmd('EHLO a.test')[1]
    for line in ('MAIL FROM:<a@demo.test>', 'VRFY a', 'RCPT TO:<user@demo.test>', 'DATA'):
        assert c.cmd(line) == (530, '530 5.7.0 Say STARTTLS first')
    assert c.cmd('NOOP')[0] == 250
    assert c.cmd('QUIT')[0] == 221


def test_injected_plain_text_is_never_a_command(host, authority):
    """INCIDENTS 6: in one segment, and between the reply and the handshake."""
    c = Raw(host.port)
    c.cmd('EHLO a.test')
    c.send('STARTTLS\r\nRSET\r\n')
    assert c.reply()[0] == 554
    assert c.closed()
    c = Raw(host.port)
    c.cmd('EHLO a.test')
    assert c.cmd('STARTTLS')[0] == 220
    c.send('NOOP\r\nMAIL FROM:<a@b.test>\r\n')
    rest = b''
    c.s.settimeout(DEADLINE)
    try:
        while got := c.s.recv(1000):
            rest += got
    except ConnectionError:
        pass
    assert b'250' not in rest
    host.wait_log('smtp.tls.failed')


def test_the_clear_is_forgotten(host, authority):
    c = Raw(host.port)
    c.cmd('EHLO before.test')
    assert c.cmd('STARTTLS')[0] == 220
    c.s = authority.context().wrap_socket(c.s, server_hostname='mail.demo.test')
    assert c.cmd('MAIL FROM:<a@far.test>')[0] == 503        # no EHLO in this session
    assert c.cmd('EHLO after.test')[0] == 250
    assert c.cmd('STARTTLS')[0] == 503
    assert c.cmd('MAIL FROM:<a@far.test>')[0] == 250
    c.s.unwrap()                                            # TLS ends in a transaction: the connection is dead
    c.s.close()
    assert 'before.test' not in host.wait_log('smtp.session.ended', helo='after.test')


def test_clear_bytes_in_a_session_end_it(host, authority):
    c = Raw(host.port)
    c.cmd('EHLO a.test')
    c.cmd('STARTTLS')
    plain = c.s.dup()
    c.s = authority.context().wrap_socket(c.s, server_hostname='mail.demo.test')
    c.cmd('EHLO b.test')
    plain.sendall(b'MAIL FROM:<a@far.test>\r\n')
    with pytest.raises((ssl.SSLError, EOFError)):           # an alert, or the end; never an answer
        c.reply()
    plain.close()


def test_clients_with_swaks_and_curl(host, authority):
    for args in (['-tls'], ['-tlsc', '-p', host.subs]):
        r = subprocess.run(['swaks', '-s', '127.0.0.1', '-p', str(host.port), '-f', 'a@far.test', '-t', 'user@demo.test',
                            *map(str, args)],
                           capture_output=True, timeout=DEADLINE, text=True)
        assert r.returncode == 0, r.stdout + r.stderr
    r = subprocess.run(['curl', '-sS', '--ssl-reqd', '--cacert', str(authority.ca), '--resolve', f'mail.demo.test:{host.port}:127.0.0.1',
                        f'smtp://mail.demo.test:{host.port}', '--mail-from', 'a@far.test', '--mail-rcpt', 'user@demo.test', '-T', '-'],
                       input=b'Subject: curl\r\n\r\nhello\r\n', capture_output=True, timeout=DEADLINE)
    assert r.returncode == 0, r.stderr


# ---- the configuration ----

def check(host):
    from host import BUILD
    conf = host.write()
    return subprocess.run([str(BUILD / 'bin/mtad'), '-c', str(conf), '-n'], capture_output=True, text=True, timeout=DEADLINE)


def test_certificates_are_checked(authority):
    good = f'tls {{ certificate = "{authority.dir}/mail.demo.test.pem" key = "{authority.dir}/mail.demo.test.key" }}\n'
    h = TlsHost(authority, tls=good.replace('mail.demo.test.key', 'other.test.key'))
    r = check(h)
    assert r.returncode == 1 and 'the key does not belong to the certificate' in r.stderr
    assert re.search(r'mansio\.conf:\d+', r.stderr)
    h = TlsHost(authority, tls=good.replace('mail.demo.test.key', 'ca.pem'))
    assert 'no usable private key' in check(h).stderr
    h = TlsHost(authority, tls=good)
    (authority.dir / 'mail.demo.test.key').chmod(0o644)
    r = check(h)
    assert r.returncode == 0 and 'readable by everybody' in r.stderr
    (authority.dir / 'mail.demo.test.key').chmod(0o600)
    r = check(h)
    assert r.returncode == 0 and r.stderr == ''


@pytest.mark.root
def test_a_key_for_root_alone(authority):
    """0600 root in a 0700 directory: mtad opens it, nobody else can."""
    (authority.dir / 'mail.demo.test.key').chmod(0o600)
    authority.dir.chmod(0o700)
    with TlsHost(authority) as h, connect(h, authority) as s:
        assert s.ehlo()[0] == 250
