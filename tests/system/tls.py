"""tls.py - certificates for tests: an authority, and hosts that it signs, made with openssl."""
import pathlib, ssl, subprocess


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
        san = ','.join(f'DNS:{n}' for n in (name, *names))
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
