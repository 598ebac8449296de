"""postfix.py - a whole Postfix as the other side: unpacked by tests/support/peers.sh, never installed; all it needs and writes lies in a
directory of the test's. Needs root, for its processes change their user."""
import os, pathlib, shutil, socket, subprocess, tempfile

from host import ROOT, wait_for

PEER = ROOT / 'build/peers/postfix'
EXISTS = (PEER / 'usr/sbin/sendmail').exists()
OWNER, DROP, BOXES = 'uucp', 'games', 65534   # users that Debian has and that nothing here uses

MAIN = '''compatibility_level = 3.6
myhostname = {name}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mail_owner = {owner}
setgid_group = {drop}
queue_directory = {dir}/spool
data_directory = {dir}/data
daemon_directory = {peer}/usr/lib/postfix/sbin
command_directory = {dir}/bin
shlib_directory = {peer}/usr/lib/postfix
meta_directory = {dir}/etc
sendmail_path = {peer}/usr/sbin/sendmail
import_environment = MAIL_CONFIG LANG=C LD_LIBRARY_PATH={libs}
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
alias_maps =
local_recipient_maps =
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtp_tls_security_level = none
smtpd_tls_security_level = none
biff = no
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {dir}/boxes
virtual_uid_maps = static:{boxes}
virtual_gid_maps = static:{boxes}
virtual_mailbox_maps = inline:{{ {users} }}
{extra}
'''

MASTER = '''{address}:{port} inet n - n - - smtpd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
'''


class Postfix:
    """with Postfix('far.test', users=('a',), extra='...') as p: mail for users lies in Maildirs; p.send(...), p.mails('a'), p.log()"""

    def __init__(self, domain, users=('user',), address='127.0.0.61', port=25, extra=''):
        self.domain, self.users, self.address, self.port, self.extra = domain, users, address, port, extra
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='mansio-postfix-'))
        self.env = dict(os.environ, MAIL_CONFIG=f'{self.dir}/etc', LD_LIBRARY_PATH=self.libs())

    @staticmethod
    def libs():
        return f'{PEER}/usr/lib/postfix:{PEER}/usr/lib/x86_64-linux-gnu'

    def write(self):
        self.dir.chmod(0o755)
        for name in ('bin', 'etc', 'data', 'spool', 'boxes', 'spool/pid'):
            (self.dir / name).mkdir()
        for name, mode in (('active', 0o700), ('bounce', 0o700), ('corrupt', 0o700), ('defer', 0o700), ('deferred', 0o700), ('flush', 0o700), ('hold', 0o700),
                           ('incoming', 0o700), ('maildrop', 0o1730), ('private', 0o700), ('public', 0o2710), ('saved', 0o700), ('trace', 0o700)):
            path = self.dir / 'spool' / name
            path.mkdir()
            shutil.chown(path, OWNER, DROP if name in ('maildrop', 'public') else None)
            path.chmod(mode)
        shutil.chown(self.dir / 'data', OWNER)
        shutil.chown(self.dir / 'boxes', BOXES, BOXES)
        # Its sendmail keeps nothing of our environment, and its libraries lie where nobody looks.
        drop = self.dir / 'bin/postdrop'
        drop.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={self.libs()} exec {PEER}/usr/sbin/postdrop "$@"\n')
        drop.chmod(0o755)
        # Debian's libraries of table types are plug-ins; what is used here is built in.
        (self.dir / 'etc/dynamicmaps.cf').write_text('')
        facts = {'name': f'mx.{self.domain}', 'address': self.address, 'port': self.port, 'owner': OWNER, 'drop': DROP, 'boxes': BOXES, 'dir': self.dir, 'peer': PEER,
                 'libs': self.libs(), 'domain': self.domain, 'users': ', '.join(f'{{ {u}@{self.domain} = {u}/ }}' for u in self.users), 'extra': self.extra}
        (self.dir / 'etc/main.cf').write_text(MAIN.format(**facts))
        (self.dir / 'etc/master.cf').write_text(MASTER.format(**facts))

    def answers(self):
        try:
            with socket.create_connection((self.address, self.port), 5) as s:
                return s.recv(100).startswith(b'220')
        except OSError:
            return False

    def __enter__(self):
        self.write()
        self.out = open(self.dir / 'out', 'wb')
        self.proc = subprocess.Popen([str(PEER / 'usr/lib/postfix/sbin/master'), '-c', str(self.dir / 'etc'), '-d'], env=self.env, stdin=subprocess.DEVNULL,
                                     stdout=self.out, stderr=self.out, start_new_session=True)
        try:
            wait_for('Postfix', self.answers, explain=self.log)
        except AssertionError:
            self.__exit__(AssertionError)
            raise
        return self

    def __exit__(self, *exc):
        self.proc.terminate()
        self.proc.wait(60)
        self.out.close()
        if not exc[0]:
            shutil.rmtree(self.dir, ignore_errors=True)

    def log(self):
        return ''.join(p.read_text(errors='replace') for p in (self.dir / 'log', self.dir / 'out') if p.exists())

    def send(self, *args, body=b'Subject: from Postfix\n\nline of the body\n'):
        """Its sendmail command."""
        p = subprocess.run([str(PEER / 'usr/sbin/sendmail'), *args], env=self.env, input=body, capture_output=True, timeout=60)
        assert p.returncode == 0, (p, self.log())

    def mails(self, user, count=1):
        box = self.dir / f'boxes/{user}/new'
        wait_for(f'{count} messages for {user}@{self.domain}', lambda: box.is_dir() and len(list(box.iterdir())) >= count, explain=self.log)
        return [p.read_bytes() for p in sorted(box.iterdir(), key=lambda p: p.stat().st_mtime_ns)]
