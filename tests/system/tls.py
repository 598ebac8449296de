"""tls.py - certificates for tests: an authority, and hosts that it signs, made with openssl; hosts that use them, and
their clients."""
import base64, hashlib, hmac, pathlib, smtplib, ssl, subprocess

from host import DEADLINE, Host, free_port


def openssl(*args, **kw):
    return subprocess.run(['openssl', *map(str, args)], check=True, capture_output=True, **kw).stdout


class Authority:
    """Below dir: ca.pem, NAME.pem (certificate), NAME.key, NAME.both.pem (both in one file)."""

    def __init__(self, dir):
        self.dir = pathlib.Path(dir)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.ca = self.dir / 'ca.pem'
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', self.dir / 'ca.key',
                '-out', self.ca, '-days', '30', '-subj', '/CN=Test CA')

    def host(self, name, *names, days=20):
        key, cert, both = (self.dir / f'{name}{s}' for s in ('.key', '.pem', '.both.pem'))
        san = ','.join(n if n.startswith('IP:') else f'DNS:{n}' for n in (name, *names))
        request = openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-subj', f'/CN={name}')
        ext = self.dir / f'{name}.ext'
        ext.write_text(f'subjectAltName = {san}\n')
        cert.write_bytes(openssl('x509', '-req', '-CA', self.ca, '-CAkey', self.dir / 'ca.key', '-CAcreateserial', '-days', days,
                                 '-extfile', ext, input=request))
        both.write_bytes(key.read_bytes() + cert.read_bytes())
        both.chmod(0o600)
        return cert, key

    def context(self, verify=True):
        c = ssl.create_default_context(cafile=str(self.ca))
        if not verify:
            c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
        return c

    def server(self, name, verify=False):
        """The server's side; verify: clients must show a certificate of this authority."""
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.dir / f'{name}.pem', self.dir / f'{name}.key')
        if verify:
            c.verify_mode = ssl.CERT_REQUIRED
            c.load_verify_locations(self.ca)
        return c


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


PASSWORD = 'correct horse'
CANARY = 'cAnArY-53cr3t'


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def crypted(password, method='6'):
    return subprocess.run(['openssl', 'passwd', f'-{method}', password], check=True, capture_output=True, text=True).stdout.strip()


def scram_secret(password, salt=b'salt-of-the-test', iterations=4096):
    salted = hashlib.pbkdf2_hmac('sha256', password.encode(), salt, iterations)
    client = hmac.digest(salted, b'Client Key', 'sha256')
    return '{SCRAM-SHA-256}%d,%s,%s,%s' % (iterations, b64(salt), b64(hashlib.sha256(client).digest()),
                                            b64(hmac.digest(salted, b'Server Key', 'sha256')))


class AuthHost(TlsHost):
    """Accounts: dad (crypt), mum@demo.test (SCRAM), boss (further senders), locked, canary."""

    def __init__(self, authority, auth='require', more='', **kw):
        super().__init__(authority, auth=auth, conf=(
            'map logins { type = text source = "@DIR@/etc/logins" }\n'
            'map granted { type = inline entries = [ "boss@demo.test @demo.test, other@far.test" ] }\n'
            f'auth {{ users = logins realm = demo.test senders = granted mechanisms = [ PLAIN, LOGIN, SCRAM-SHA-256 ] {more} }}\n'), **kw)

    def write(self):
        conf = super().write()
        (self.dir / 'etc/logins').write_text(
            f'dad {crypted(PASSWORD)}\nmum@demo.test {scram_secret(PASSWORD)}\nboss {crypted(PASSWORD, "5")}\n'
            f'locked !{crypted(PASSWORD)}\ncanary {crypted(CANARY)}\n')
        (self.dir / 'etc/logins').chmod(0o600)
        return conf


def connect(host, authority, port=None, name='mail.demo.test', **kw):
    """smtplib under STARTTLS with the certificate verified for name."""
    s = smtplib.SMTP('127.0.0.1', port or host.port, timeout=DEADLINE, local_hostname='client.test')
    s._host = name
    s.starttls(context=authority.context(**kw))
    return s


def login(host, authority, user, password, mechanism='PLAIN', source='127.0.0.1'):
    """A session behind AUTH, or the reply that refused it. Each source address has failures of its own."""
    s = smtplib.SMTP('127.0.0.1', host.sub, timeout=DEADLINE, local_hostname='client.test', source_address=(source, 0))
    s._host = 'mail.demo.test'
    s.starttls(context=authority.context())
    s.ehlo()
    s.user, s.password = user, password
    try:
        code, text = scram(s, user, password) if mechanism.startswith('SCRAM') else s.auth(mechanism, getattr(s, 'auth_' + mechanism.lower()))
    except smtplib.SMTPAuthenticationError as e:
        code, text = e.smtp_code, e.smtp_error
    return s if code == 235 else (s.close(), (code, text.decode()))[1]


def scram(s, user, password, nonce='clientnonce'):
    bare = f'n={user},r={nonce}'
    code, text = s.docmd('AUTH', 'SCRAM-SHA-256 ' + b64('n,,' + bare))
    if code != 334:
        return code, text
    first = base64.b64decode(text).decode()
    part = dict(x.split('=', 1) for x in first.split(','))
    assert part['r'].startswith(nonce) and len(part['r']) > len(nonce) + 16
    salted = hashlib.pbkdf2_hmac('sha256', password.encode(), base64.b64decode(part['s']), int(part['i']))
    key = hmac.digest(salted, b'Client Key', 'sha256')
    final = f'c=biws,r={part["r"]}'
    message = f'{bare},{first},{final}'.encode()
    proof = bytes(a ^ b for a, b in zip(key, hmac.digest(hashlib.sha256(key).digest(), message, 'sha256')))
    code, text = s.docmd(b64(f'{final},p={b64(proof)}'))
    if code != 334:
        return code, text
    assert base64.b64decode(text).decode() == 'v=' + b64(hmac.digest(hmac.digest(salted, b'Server Key', 'sha256'), message, 'sha256'))
    return s.docmd('')
