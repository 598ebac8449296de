"""TLS and AUTH of smtpd as clients see them: swaks, smtplib, openssl s_client, curl, and clients that attack."""
import base64, re, socket, ssl, subprocess, threading, time

import pytest

from host import DEADLINE, Raw
from tls import CANARY, PASSWORD, AuthHost, Authority, TlsHost, b64, connect, login


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp('ca'))
    a.host('mail.demo.test')
    a.host('other.test', '*.wild.test')
    return a


@pytest.fixture(scope='module')
def host(authority):
    with TlsHost(authority) as h:
        yield h


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


# ---- AUTH ----

@pytest.fixture(scope='module')
def mail(authority):
    with AuthHost(authority) as h:
        yield h


@pytest.mark.parametrize('user,mechanism', [('dad', 'PLAIN'), ('dad@demo.test', 'LOGIN'), ('DAD@Demo.Test', 'PLAIN'), ('mum', 'PLAIN'),
                                            ('mum@demo.test', 'SCRAM-SHA-256'), ('boss', 'LOGIN')])
def test_good_logins(mail, authority, user, mechanism):
    s = login(mail, authority, user, PASSWORD, mechanism)
    full = user.lower() if '@' in user else user + '@demo.test'
    assert not isinstance(s, tuple), s
    assert s.mail(full)[0] == 250
    assert s.rcpt('user@demo.test')[0] == 250
    assert s.data('Subject: auth\r\n\r\nhello\r\n')[0] == 250
    s.quit()
    mail.wait_log('smtp.auth.ok', login=full, mechanism=mechanism)
    mail.wait_log('smtp.message.accepted', login=full)
    assert b'with ESMTPSA' in mail.wait_mail('user')[-1]


def test_wrong_logins_look_alike(mail, authority):
    """INCIDENTS 21: nobody, a locked account, a wrong password: the same words."""
    answers = {login(mail, authority, user, password, mechanism, source=f'127.0.2.{i}')
               for i, (user, password, mechanism) in enumerate([('dad', 'wrong', 'PLAIN'), ('nobody', 'wrong', 'PLAIN'), ('locked', PASSWORD, 'LOGIN'),
                                                                ('mum', 'wrong', 'SCRAM-SHA-256'), ('nobody', 'wrong', 'SCRAM-SHA-256'),
                                                                ('dad', PASSWORD, 'SCRAM-SHA-256')])}
    assert answers == {(535, '5.7.8 Authentication failed')}
    mail.wait_log('smtp.auth.failed', login='nobody@demo.test')


def test_salt_of_nobody_is_steady(mail, authority):
    with connect(mail, authority, mail.sub) as s:
        s.ehlo()
        salts = set()
        for _ in range(2):
            _, text = s.docmd('AUTH', 'SCRAM-SHA-256 ' + b64('n,,n=nobody,r=abc'))
            salts.add(base64.b64decode(text).decode().split(',')[1])
            assert s.docmd('*')[0] == 501
        assert len(salts) == 1


def test_failures_are_slowed_and_lookups_stay_fast(mail, authority):
    times = []
    for _ in range(3):
        began = time.monotonic()
        assert login(mail, authority, 'dad', 'wrong', source='127.0.3.1')[0] == 535
        times.append(time.monotonic() - began)
    assert times[0] >= 0.5 and times[2] >= 2 and times[2] > times[0]
    # From elsewhere nothing is slow, and recipients are looked up meanwhile.
    c = Raw(mail.port)
    c.cmd('EHLO a.test')
    c.cmd('MAIL FROM:<a@far.test>')

    def lookups():
        began = time.monotonic()
        for _ in range(50):
            assert c.cmd('RCPT TO:<user@demo.test>')[0] == 250
        return time.monotonic() - began
    alone = lookups()
    threads = [threading.Thread(target=login, args=(mail, authority, 'dad', 'wrong'), kwargs=dict(source='127.0.3.2')) for _ in range(4)]
    for t in threads:
        t.start()
    assert lookups() < 2 + 10 * alone
    for t in threads:
        t.join()


def test_what_is_announced_and_where(mail, authority):
    c = Raw(mail.sub)
    assert 'AUTH' not in c.cmd('EHLO a.test')[1]
    c = Raw(mail.port)
    assert c.cmd('EHLO a.test')[0] == 250
    assert c.cmd('AUTH PLAIN ' + b64(f'\0dad\0{CANARY}'))[0] == 502     # not offered on port 25
    with connect(mail, authority, mail.sub) as s:
        s.ehlo()
        assert s.esmtp_features['auth'].split() == ['PLAIN', 'LOGIN', 'SCRAM-SHA-256']
        for line, code in (('AUTH', 501), ('AUTH CRAM-MD5', 504), ('AUTH PLAIN !!!!', 501), ('AUTH PLAIN =', 501), ('AUTH PLAIN AAAA AAAA', 501),
                           ('MAIL FROM:<dad@demo.test>', 530)):
            assert s.docmd(line)[0] == code, line
        assert s.docmd('AUTH LOGIN')[0] == 334
        assert s.docmd('*')[0] == 501
        assert s.docmd('NOOP')[0] == 250


def test_offered_in_the_clear_it_is_refused(authority):
    """auth = offer: strangers write to own domains only; a password in the clear is not taken, and not logged."""
    with AuthHost(authority, auth='offer') as h:
        h.stop()
        h.listen = h.listen.replace('tls = require', 'tls = offer')
        h.start()
        c = Raw(h.sub)
        assert 'AUTH' not in c.cmd('EHLO a.test')[1]
        assert c.cmd('AUTH PLAIN ' + b64(f'\0canary\0{CANARY}')) == (538, '538 5.7.11 Passwords travel under TLS only; say STARTTLS first')
        assert c.cmd(b64(CANARY))[0] == 500                 # a client that did not read the answer
        assert c.cmd('MAIL FROM:<a@far.test>')[0] == 250
        assert c.cmd('RCPT TO:<user@demo.test>')[0] == 250
        assert c.cmd('RCPT TO:<b@else.test>')[0] == 550
        c.close()
        s = login(h, authority, 'canary', CANARY)
        s.mail('canary@demo.test')
        assert s.rcpt('b@else.test')[0] == 250              # an authenticated user may relay
        s.close()
        assert login(h, authority, 'canary', CANARY + 'x', 'LOGIN')[0] == 535
        h.wait_log('smtp.auth.failed', login='canary@demo.test')
        h.stop()
        for secret in (CANARY, b64(CANARY), b64(f'\0canary\0{CANARY}'), b64(f'\0canary\0{CANARY}')[:20]):
            assert secret not in h.log()


def test_whose_sender(mail, authority):
    s = login(mail, authority, 'dad', PASSWORD)
    assert s.mail('mum@demo.test') == (553, b'5.7.1 This sender address is not yours')
    assert s.mail('dad@DEMO.test')[0] == 250
    s.rset()
    assert s.mail('')[0] == 250
    s.close()
    s = login(mail, authority, 'boss', PASSWORD)
    for sender, code in (('anybody@demo.test', 250), ('other@far.test', 250), ('third@far.test', 553)):
        assert s.mail(sender)[0] == code
        s.rset()
    s.close()


def test_auth_order(mail, authority):
    s = login(mail, authority, 'dad', PASSWORD)
    assert s.docmd('AUTH', 'PLAIN ' + b64(f'\0dad\0{PASSWORD}'))[0] == 503
    assert s.docmd('MAIL FROM:<dad@demo.test> AUTH=<>')[0] == 250
    assert s.docmd('AUTH', 'PLAIN ' + b64(f'\0dad\0{PASSWORD}'))[0] == 503
    s.rset()
    s.ehlo()
    assert s.mail('dad@demo.test')[0] == 250                # EHLO does not forget who it is
    s.close()


def test_auth_clients(mail, authority):
    for mechanism in ('PLAIN', 'LOGIN'):
        r = subprocess.run(['swaks', '-s', '127.0.0.1', '-p', str(mail.sub), '-tls', '-a', mechanism, '-au', 'dad', '-ap', PASSWORD,
                            '-f', 'dad@demo.test', '-t', 'user@demo.test'], capture_output=True, timeout=DEADLINE, text=True)
        assert r.returncode == 0, r.stdout + r.stderr
    r = subprocess.run(['curl', '-sS', '--cacert', str(authority.ca), '--resolve', f'mail.demo.test:{mail.subs}:127.0.0.1',
                        f'smtps://mail.demo.test:{mail.subs}', '--login-options', 'AUTH=PLAIN', '-u', f'dad:{PASSWORD}', '--mail-from', 'dad@demo.test',
                        '--mail-rcpt', 'user@demo.test', '-T', '-'], input=b'Subject: c\r\n\r\nx\r\n', capture_output=True, timeout=DEADLINE)
    assert r.returncode == 0, r.stderr


def test_without_mapd_it_is_temporary(authority):
    with AuthHost(authority) as h:
        import signal
        h.kill('mapd-worker', signal.SIGSTOP)
        threads = login(h, authority, 'dad', PASSWORD)
        assert threads[0] == 454
        h.kill('mapd-worker', signal.SIGCONT)


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
