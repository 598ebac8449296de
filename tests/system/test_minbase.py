"""test_minbase.py - the package on a Debian with nothing else on it: first steps of an operator, cron, users' mailboxes"""
import os, pathlib, re, subprocess

import pytest

from host import BUILD, ROOT, wait_for
from private_root import Root, make_deb

pytestmark = pytest.mark.root
BASE = pathlib.Path(os.environ.get('MANSIO_MINBASE', '/var/tmp/mansio-minbase-root'))
ALSO = ['cron', 'procmail', 'iproute2', 'procps']
SEND = '''import smtplib, sys
s = smtplib.SMTP('127.0.0.1', 25, timeout=30)
for rcpt in sys.argv[1:]:
    s.sendmail('a@example.net', [rcpt], f'Subject: from outside\\r\\n\\r\\nfor {rcpt}\\r\\n')
'''
SINK = '''import socketserver, sys
class Server(socketserver.StreamRequestHandler):
    def handle(self):
        say = lambda text: self.wfile.write(text.encode() + b'\\r\\n')
        say('220 sink')
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b'DATA':
                say('354 go')
                while (line := self.rfile.readline()) not in (b'.\\r\\n', b''):
                    with open(sys.argv[1], 'ab') as f:
                        f.write(line)
            say('221 bye' if verb == b'QUIT' else '250 ok')
            if verb == b'QUIT':
                return
socketserver.ThreadingTCPServer.allow_reuse_address = True
server = socketserver.ThreadingTCPServer(('127.0.0.1', 2600), Server)
print('up', flush=True)
server.serve_forever()
'''


@pytest.fixture(scope='module')
def deb(tmp_path_factory):
    return make_deb(BUILD, tmp_path_factory.mktemp('deb'))


@pytest.fixture(scope='module')
def lower(deb):
    """What the package needs is there, as apt would bring it; the package is not."""
    depends = subprocess.run(['dpkg-deb', '-f', deb, 'Depends'], check=True, capture_output=True, text=True).stdout
    names = [re.sub(r'\(.*?\)', '', d).split('|')[0].strip() for d in depends.split(',')]
    done = subprocess.run(['bash', ROOT / 'tests/support/minbase-root.sh', BASE, *sorted(names), *ALSO], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip('no package mirror answers: ' + done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return BASE


@pytest.fixture
def root(tmp_path, lower, deb):
    with Root(tmp_path / 'ns', lower=lower) as r:
        r.put(deb, '/root/mansio.deb')
        r.out = r.sh('dpkg -i /root/mansio.deb')
        yield r


def conf(root, change):
    """The configuration as installed, changed as an operator does."""
    text = change(root.sh('cat /etc/mansio/mansio.conf'))
    root.put_text('/etc/mansio/mansio.conf', text)
    root.sh('mtad -n')


def two_lines(text):
    text = re.sub(r'^hostname = .*', 'hostname = mx.example.com', text, flags=re.M)
    return re.sub(r'^domains = .*', 'domains = [ example.com ]', text, flags=re.M)


def outside(root, *rcpts):
    done = root.net('/usr/bin/python3', '-c', SEND, *rcpts)
    assert done.returncode == 0, done.stderr + root.sh('tail -n 30 /var/log/mansio.log')


def wait_text(root, what, command, *texts):
    wait_for(what, lambda: all(t in root.sh(f'{command} 2>/dev/null; true') for t in texts),
             explain=lambda: root.sh(f'{command}; tail -n 60 /tmp/out /var/log/mansio.log; true'))


def test_as_installed(root):
    """Unconfigured it harms nobody: users of the host have mail, root's is kept, nobody else can connect."""
    assert 'next step' in root.out and '/etc/mansio/mansio.conf' in root.out and 'root' in root.out
    assert root.sh('dpkg -V mansio') == ''
    root.sh('mtad -n && mtactl check --install')
    root.sh('useradd -m maria && echo "before the first start" | setpriv --reuid maria --regid maria --clear-groups sendmail maria')
    queue = root.sh('mailq; true')
    assert 'No such file' not in queue and 'is not running' in queue and '1 ' in queue, queue
    root.start()
    listening = [l.split()[3] for l in root.net('ss', '-Hltn').stdout.splitlines()]
    assert listening == ['127.0.0.1:25'], listening
    assert not [l for l in root.net('ss', '-Hlun').stdout.splitlines() if not re.search(r'\s(127\.|\[::1\])', l)]
    wait_text(root, 'mail that was submitted before', 'cat /home/maria/Maildir/new/*', 'before the first start')
    # root has no alias yet: its mail is kept, and the operator is told of it.
    root.sh('echo "for root" | sendmail root')
    wait_text(root, "root's mail", 'grep -rh . /var/lib/mansio/mail', 'for root')
    assert 'root' in root.sh('mtactl check; true')
    root.sh('mtactl status')
    root.stop()


def test_two_lines_cron_and_mailboxes(root):
    """hostname and domains make a host. cron's mail to root goes where the alias says; users get theirs from outside."""
    conf(root, two_lines)
    root.sh('for u in maria otto petra; do useradd -m $u; done; echo "root: maria" >>/etc/aliases')
    root.start()
    outside(root, 'maria@example.com')
    root.put_text('/etc/cron.d/hello', '@reboot root echo a word from cron\n')
    root.sh('chmod 644 /etc/cron.d/hello; rm -f /run/crond.reboot; cron')
    wait_text(root, "cron's mail to root's alias", 'cat /home/maria/Maildir/new/*', 'a word from cron', 'for maria@example.com')
    root.stop()


def test_opened_to_the_world_and_closed_again(root):
    """The first change of every operator, 127.0.0.1:25 to 0.0.0.0:25, needs no restart, and neither does the way back."""
    conf(root, two_lines)
    root.sh('useradd -m maria')
    root.start()
    for old, new in (('127.0.0.1:25', '0.0.0.0:25'), ('0.0.0.0:25', '127.0.0.1:25')):
        conf(root, lambda text: text.replace(f'"{old}"', f'"{new}"'))
        root.sh('mtactl check && mtactl reload')
        wait_for(f'only {new}', lambda: [l.split()[3] for l in root.net('ss', '-Hltn').stdout.splitlines()] == [new],
                 explain=lambda: root.net('ss', '-ltn').stdout)
        outside(root, 'maria@example.com')
    # Nobody else gets in beside us.
    other = root.net('/usr/bin/python3', '-c', 'import socket as s; a = s.socket(); a.setsockopt(s.SOL_SOCKET, s.SO_REUSEADDR, 1); '
                     'a.bind(("0.0.0.0", 25))')
    assert 'Address already in use' in other.stderr
    root.stop()


def test_mbox_and_procmail(root):
    conf(root, lambda text: two_lines(text) + 'mailbox { method = mbox }\n')
    root.sh('for u in otto petra; do useradd -m $u; done')
    root.start()
    outside(root, 'otto@example.com')
    wait_text(root, 'the mbox', 'cat /var/mail/otto', 'From a@example.net', 'for otto@example.com')
    assert root.sh('stat -c "%U:%G %a" /var/mail/otto') == 'otto:mail 600\n'
    conf(root, lambda text: text.replace('mailbox { method = mbox }', 'mailbox { method = procmail }'))
    root.put_text('/home/petra/.procmailrc', ':0:\n* ^Subject:.*outside\nsorted\n')
    root.sh('chown petra: /home/petra/.procmailrc; mtactl reload')
    outside(root, 'petra@example.com')
    wait_text(root, 'the recipe', 'cat /home/petra/sorted', 'for petra@example.com')
    root.stop()


def test_host_without_listen(root):
    """A host that only sends: nothing listens; local mail goes to the smart host, and is tried again while that is down."""
    conf(root, lambda text: re.sub(r'^listen smtp \{.*?^\}', '', two_lines(text), flags=re.M | re.S) +
         'route default { via = "[127.0.0.1]:2600"  tls = none }\nqueue { retry = [ 1s ] }\n')
    root.start()
    assert root.net('ss', '-Hltn').stdout == ''
    root.sh('echo "out with it" | sendmail -f root@example.com someone@example.org')
    wait_for('it waits', lambda: 'someone@example.org' in root.sh('mailq'), explain=lambda: root.sh('cat /var/log/mansio.log'))
    wait_text(root, 'the reason', 'mailq', 'efused')
    sink = subprocess.Popen(['nsenter', '-t', str(root.init), '-n', '/usr/bin/python3', '-c', SINK, '/tmp/sink-' + str(os.getpid())],
                            stdout=subprocess.PIPE, text=True)
    try:
        assert sink.stdout.readline() == 'up\n'
        path = pathlib.Path(f'/tmp/sink-{os.getpid()}')
        wait_for('the smart host has it', lambda: path.exists() and 'out with it' in path.read_text(),
                 explain=lambda: root.sh('tail -n 30 /var/log/mansio.log'))
        wait_for('nothing waits', lambda: 'is empty' in root.sh('mailq'))
        path.unlink()
    finally:
        sink.kill()
        sink.wait()
    root.stop()


def test_upgrade_under_load_remove_reinstall(root):
    """Installing again interrupts nobody; removing keeps mail and configuration, which a new installation finds."""
    conf(root, lambda text: two_lines(text) + 'queue { retry = [ 1h ] }\nroute default { via = "[127.0.0.1]:2600" }\n')
    root.sh('useradd -m maria')
    root.start()
    root.sh('echo "for later" | sendmail -f root@example.com someone@example.org')
    load = '''import smtplib
for i in range(60):
    s = smtplib.SMTP('127.0.0.1', 25, timeout=30)
    s.sendmail('a@example.net', ['maria@example.com'], f'Subject: {i}\\r\\n\\r\\nno {i} of the load\\r\\n')
    s.quit()
'''
    loader = subprocess.Popen(['nsenter', '-t', str(root.init), '-n', '/usr/bin/python3', '-c', load], stderr=subprocess.PIPE, text=True)
    out = root.sh('dpkg -i /root/mansio.deb </dev/null')
    assert 'next step' not in out
    assert loader.wait(120) == 0, loader.stderr.read()
    wait_text(root, 'all of the load', 'cat /home/maria/Maildir/new/*', *(f'no {i} of the load' for i in range(60)))
    root.stop()
    root.sh('dpkg -r mansio && ! test -e /usr/sbin/sendmail && grep -q mx.example.com /etc/mansio/mansio.conf')
    assert 'next step' not in root.sh('dpkg -i /root/mansio.deb </dev/null')
    root.start()
    assert 'someone@example.org' in root.sh('mailq')
    root.stop()
    out = root.sh('dpkg -P mansio')
    assert '/var/spool/mansio is kept' in out, out
