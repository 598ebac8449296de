"""TLS and AUTH against the programs that people use, and against those that look for weaknesses: testssl.sh, msmtp, curl,
swaks, smtplib, openssl s_client; resumption with session tickets."""
import base64, concurrent.futures, json, os, re, signal, socket, subprocess

import pytest

from host import DEADLINE, HAS_MOUNTS, halt, wait_for
from tls import PASSWORD, AuthHost, Authority


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    a = Authority(tmp_path_factory.mktemp('ca'))
    a.host('mail.demo.test', days=90)
    a.host('other.test', '*.wild.test', days=90)
    return a


class TwoProcesses(AuthHost):
    def conf_text(self):
        return super().conf_text().replace('processes {', 'processes { smtpd = 2 ', 1)


@pytest.fixture(scope='module')
def host(authority):
    with TwoProcesses(authority) as h:
        yield h


# ---- testssl.sh ----

# What it finds above LOW and why that stays.
EXCEPTIONS = {
    'cert_revocation': 'the authority of this test publishes no list of revoked certificates; an operator\'s does',
}


def findings(host, authority, tmp, name, port, *args):
    out = tmp / f'{name}.json'
    r = subprocess.run(['testssl', '--quiet', '--color', '0', '--warnings', 'off', '--openssl-timeout', '10', '--nodns', 'none', '-p', '-s', '-f',
                        '-P', '-S', '-U', '--add-ca', str(authority.ca), '--jsonfile', str(out), '--ip', '127.0.0.1', *args, f'mail.demo.test:{port}'],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert out.exists(), r.stdout + r.stderr
    return name, json.loads(out.read_text()), r.stdout


def test_testssl_finds_nothing(host, authority, tmp_path):
    """STARTTLS on 587 and TLS from the first byte on 465; a finding above LOW fails unless it is excepted by its id."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(findings, host, authority, tmp_path, 'submission', host.sub, '--starttls', 'smtp'),
                pool.submit(findings, host, authority, tmp_path, 'submissions', host.subs)]
    for run in runs:
        name, found, text = run.result()
        ids = {f['id']: f for f in found}
        # It really looked: a run that broke off early finds nothing either.
        for want in ('TLS1_2', 'TLS1_3', 'cipher_order', 'cert_chain_of_trust', 'heartbleed', 'secure_renego', 'secure_client_renego', 'LUCKY13'):
            assert want in ids, (name, want, text)
        assert ids['TLS1_3']['finding'].startswith('offered') and ids['cert_chain_of_trust']['severity'] == 'OK', (name, text)
        bad = {f['id']: (f['severity'], f['finding']) for f in found if f['severity'] in ('MEDIUM', 'HIGH', 'CRITICAL', 'FATAL')}
        assert not set(bad) - set(EXCEPTIONS), (name, bad)


# ---- clients ----

def mails(host):
    return len(host.mailbox('user'))


@pytest.mark.skipif(not HAS_MOUNTS, reason='no mount namespaces here')
@pytest.mark.parametrize('tls', ['starttls', 'implicit'])
@pytest.mark.parametrize('mechanism', ['plain', 'login', 'scram-sha-256'])
def test_msmtp(host, authority, tmp_path, tls, mechanism):
    """SCRAM with the account that has a SCRAM secret."""
    user = 'mum' if mechanism.startswith('scram') else 'dad'
    conf = tmp_path / 'msmtprc'
    conf.write_text(f'account a\nhost mail.demo.test\nport {host.sub if tls == "starttls" else host.subs}\ntls on\n'
                    f'tls_starttls {"on" if tls == "starttls" else "off"}\ntls_trust_file {authority.ca}\nauth {mechanism}\n'
                    f'user {user}\npassword "{PASSWORD}"\nfrom {user}@demo.test\n')
    conf.chmod(0o600)
    known = tmp_path / 'hosts'
    known.write_text('127.0.0.1 mail.demo.test localhost\n')
    before = mails(host)
    r = subprocess.run(['unshare', '-m', 'sh', '-c', f'mount --bind {known} /etc/hosts && exec msmtp -C {conf} -a a user@demo.test'],
                       input=b'Subject: msmtp\n\nhello\n', capture_output=True, timeout=DEADLINE)
    assert r.returncode == 0, r.stderr
    host.wait_mail(count=before + 1)
    host.wait_log('smtp.auth.ok', login=f'{user}@demo.test', mechanism=mechanism.upper())


def curl(host, authority, scheme, port, mechanism, user, password, source='127.0.0.1'):
    return subprocess.run(['curl', '-sS', '--interface', source, '--ssl-reqd', '--cacert', str(authority.ca), '--resolve', f'mail.demo.test:{port}:127.0.0.1',
                           f'{scheme}://mail.demo.test:{port}', '--login-options', f'AUTH={mechanism}', '-u', f'{user}:{password}', '--mail-from',
                           f'{user}@demo.test', '--mail-rcpt', 'user@demo.test', '-T', '-'],
                          input=b'Subject: curl\r\n\r\nhello\r\n', capture_output=True, timeout=DEADLINE)


@pytest.mark.parametrize('mechanism,user', [('PLAIN', 'dad'), ('LOGIN', 'mum')])
@pytest.mark.parametrize('scheme', ['smtp', 'smtps'])
def test_curl(host, authority, scheme, mechanism, user):
    port = host.sub if scheme == 'smtp' else host.subs
    before = mails(host)
    r = curl(host, authority, scheme, port, mechanism, user, PASSWORD)
    assert r.returncode == 0, r.stderr
    host.wait_mail(count=before + 1)
    r = curl(host, authority, scheme, port, mechanism, user, 'wrong', f'127.0.4.{len(scheme + mechanism)}')
    assert r.returncode == 67, r.stderr                     # CURLE_LOGIN_DENIED


@pytest.mark.parametrize('tls', ['-tls', '-tlsc'])
@pytest.mark.parametrize('mechanism', ['PLAIN', 'LOGIN'])
def test_swaks(host, authority, tls, mechanism):
    port = host.sub if tls == '-tls' else host.subs
    args = ['swaks', '-s', '127.0.0.1', '-p', str(port), tls, '--tls-verify', '--tls-ca-path', str(authority.ca), '--tls-sni', 'mail.demo.test',
            '-a', mechanism, '-au', 'dad', '-f', 'dad@demo.test', '-t', 'user@demo.test']
    r = subprocess.run([*args, '-ap', PASSWORD], capture_output=True, timeout=DEADLINE, text=True)
    assert r.returncode == 0 and '235 2.7.0' in r.stdout, r.stdout + r.stderr
    r = subprocess.run([*args, '-ap', 'wrong', '--local-interface', f'127.0.5.{len(tls + mechanism)}'], capture_output=True, timeout=DEADLINE, text=True)
    assert r.returncode == 28 and '535 5.7.8' in r.stdout, r.stdout + r.stderr    # swaks: AUTH failed


@pytest.mark.parametrize('curve', ['X25519', 'P-256', 'P-384'])
def test_s_client_by_hand(host, authority, curve):
    """What an operator does to look: openssl s_client, EHLO and AUTH typed in."""
    token = base64.b64encode(f'\0dad\0{PASSWORD}'.encode()).decode()
    for args in (['-connect', f'127.0.0.1:{host.sub}', '-starttls', 'smtp'], ['-connect', f'127.0.0.1:{host.subs}']):
        p = subprocess.Popen(['openssl', 's_client', *args, '-quiet', '-crlf', '-groups', curve, '-servername', 'mail.demo.test', '-CAfile', str(authority.ca),
                              '-verify_return_error'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
        try:
            for line, code in (('EHLO me.test', '250'), (f'AUTH PLAIN {token}', '235'), ('QUIT', '221')):
                p.stdin.write(line + '\n')
                while not re.match(code + ' ', got := p.stdout.readline()):
                    assert re.match(r'(220|250)[ -]', got), (line, got)
        finally:
            p.kill()
            p.communicate()


# ---- resumption ----

def visit(context, port, session=None, starttls=False, name='mail.demo.test'):
    """(was the session resumed, the session to resume next)"""
    raw = socket.create_connection(('127.0.0.1', port), timeout=DEADLINE)

    def reply(s):
        got = b''
        while not re.search(rb'(?m)^\d{3} .*\n', got):
            part = s.recv(4096)
            assert part, got
            got += part
        return got
    if starttls:
        reply(raw)
        for line in (b'EHLO a.test\r\n', b'STARTTLS\r\n'):
            raw.sendall(line)
            reply(raw)
    with context.wrap_socket(raw, server_hostname=name, session=session) as s:
        if not starttls:
            reply(s)
        s.sendall(b'EHLO b.test\r\n')
        assert reply(s).startswith(b'250')      # the ticket came along before
        result = s.session_reused, s.session
        s.sendall(b'QUIT\r\n')
        reply(s)
    return result


def test_sessions_are_resumed_by_every_process(host, authority):
    """Two processes with keys of one seed: whoever takes the connection knows the ticket of the other."""
    context = authority.context()
    resumed, session = visit(context, host.sub, starttls=True)
    assert not resumed and session.has_ticket
    for other in host.pids()['smtpd']:
        halt(other)                             # so that this visit is the other one's
        try:
            resumed, session = visit(context, host.sub, session, starttls=True)
        finally:
            os.kill(other, signal.SIGCONT)
        assert resumed
    lines = host.wait_log('smtp.session.ended', count=3, listener='submission', helo='b.test')
    assert len({line.split(' mansio/')[1].split(':')[0] for line in lines}) == 2


def test_a_session_of_one_listener_is_of_no_worth_on_another(host, authority):
    """INCIDENTS 11."""
    context = authority.context()
    _, session = visit(context, host.sub, starttls=True)
    assert visit(context, host.sub, session, starttls=True)[0]
    for port, starttls in ((host.subs, False), (host.port, True)):
        _, session = visit(context, host.sub, starttls=True)
        resumed, other = visit(context, port, session, starttls=starttls)
        assert not resumed
        assert visit(context, port, other, starttls=starttls)[0]     # it does resume its own


def test_resumption_is_not_a_login(host, authority):
    """What a session proved is not in the ticket: AUTH is asked for again."""
    context = authority.context()
    s = context.wrap_socket(socket.create_connection(('127.0.0.1', host.subs), timeout=DEADLINE), server_hostname='mail.demo.test')
    f = s.makefile('rwb')

    def cmd(line):
        f.write(line + b'\r\n')
        f.flush()
        return reply()

    def reply():
        while (line := f.readline())[3:4] == b'-':
            pass
        return int(line[:3])
    assert reply() == 220 and cmd(b'EHLO a.test') == 250
    assert cmd(b'AUTH PLAIN ' + base64.b64encode(f'\0dad\0{PASSWORD}'.encode())) == 235
    session = s.session
    assert cmd(b'QUIT') == 221
    s = context.wrap_socket(socket.create_connection(('127.0.0.1', host.subs), timeout=DEADLINE), server_hostname='mail.demo.test', session=session)
    f = s.makefile('rwb')
    assert s.session_reused and reply() == 220 and cmd(b'EHLO a.test') == 250
    assert cmd(b'MAIL FROM:<dad@demo.test>') == 530


def test_a_restarted_process_has_the_same_keys(authority):
    with TwoProcesses(authority) as h:
        context = authority.context()
        _, session = visit(context, h.subs)
        pids = h.pids()['smtpd']
        h.kill('smtpd')
        for child in ('smtpd[0]', 'smtpd[1]'):
            h.wait_log('mtad.child.ready', child=child)
        assert not set(pids) & set(h.pids()['smtpd'])
        assert visit(context, h.subs, session)[0]
